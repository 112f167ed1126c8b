import { randomBytes } from 'node:crypto';
import { buildProbeScript } from '../../core/capture/probe-script.ts';
import { runProbeOverSsh } from '../../ssh/run-probe.ts';
import { decodeFull } from './local-provider.ts';
import type { Provider } from './provider.ts';
import type { Target } from './settings.ts';

const DEADLINE_MS = 110_000;

/** A host over the system's OpenSSH, directly or through a bastion: one connection, the whole output. */
export function sshProvider(target: Extract<Target, { provider: 'ssh' }>): Provider {
  const { host, port, user, keyFile, bastion } = target;
  const name = target.label ?? host;
  const sshTarget = {
    host,
    ...(port === null ? {} : { port }),
    ...(user === null ? {} : { user }),
    ...(keyFile === null ? {} : { identityFile: keyFile }),
    ...(bastion === null
      ? {}
      : {
          bastion: {
            host: bastion.host,
            ...(bastion.user === null ? {} : { user: bastion.user }),
            ...(bastion.keyFile === null ? {} : { identityFile: bastion.keyFile }),
          },
        }),
  };
  const place = `${host.includes(':') ? `[${host}]` : host}${port === null ? '' : `:${port}`}`;
  return {
    host: { vm_id: `ssh://${place}`, vm_name: name, resource_group: '', subscription_id: '' },
    async capture({ probeText, progress, log, signal }) {
      const nonce = randomBytes(16).toString('hex');
      const script = buildProbeScript(probeText, { nonce, slice: 1, mode: 'full' });
      const command = `ssh ${user === null ? '' : `${user}@`}${place}${bastion === null ? '' : ` through ${bastion.host}`}: sudo -n sh -s < probe.sh`;
      const stdout = await runProbeOverSsh(sshTarget, script, {
        deadlineMs: DEADLINE_MS,
        onProgress: progress,
        signal,
      }).then(
        (answer) => answer.stdout,
        (error: unknown) => {
          log({ command, exitCode: null, outputBytes: 0 });
          throw error;
        },
      );
      log({ command, exitCode: 0, outputBytes: stdout.length });
      return [decodeFull(stdout, nonce, name)];
    },
  };
}
