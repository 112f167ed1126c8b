import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { buildProbeScript } from '../../core/capture/probe-script.ts';
import { decodeSlice, type Slice } from '../../core/capture/slice.ts';
import { excerpt } from '../../core/diagnostics.ts';
import { OperationError } from '../../core/errors.ts';
import type { CaptureRun, Provider } from './provider.ts';

const DEADLINE_MS = 120_000;
const OUTPUT_BYTES_MAX = 128 * 1024 * 1024;

/** This host: a shell with the probe on its standard input. Errors: `LOCAL_NOT_ROOT`: only root reads a firewall. */
export function localProvider(label: string | null): Provider {
  const name = label ?? hostname();
  if (process.getuid?.() !== 0) {
    throw new OperationError('LOCAL_NOT_ROOT', name, 'only root reads a firewall, and this is not root', {
      nextStep: 'run it with sudo',
    });
  }
  return {
    host: { vm_id: `local://${hostname()}`, vm_name: name, resource_group: '', subscription_id: '' },
    async capture(run) {
      run.progress('running the probe on this host');
      const nonce = randomBytes(16).toString('hex');
      const output = await runLocally(buildProbeScript(run.probeText, { nonce, slice: 1, mode: 'full' }), name, run);
      return [decodeFull(output, nonce, name)];
    },
  };
}

/** The one slice of a probe in mode `full`. Errors: `PROBE_*`. */
export function decodeFull(stdout: string, nonce: string, subject: string): Slice {
  const decoded = decodeSlice(stdout, { nonce, slice: 1 });
  if (decoded.ok) return decoded.slice;
  throw new OperationError(decoded.code, subject, decoded.message, {
    nextStep: 'the output did not verify and was not used; run again',
    retryable: true,
  });
}

function runLocally(script: readonly string[], name: string, run: CaptureRun): Promise<string> {
  return new Promise((resolve, reject) => {
    // A group of its own: what the shell started ends with it.
    const shell = spawn('/bin/sh', ['-s'], { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    const chunks: Buffer[] = [];
    let bytes = 0;
    let errors = '';
    let fault: OperationError | null = null;
    const end = (code: string, what: string): void => {
      fault ??= new OperationError(code, name, what);
      if (shell.pid !== undefined) {
        try {
          process.kill(-shell.pid, 'SIGKILL');
        } catch {
          // It has ended by itself meanwhile.
        }
      }
    };
    const timer = setTimeout(() => end('LOCAL_TIMED_OUT', `no answer within ${DEADLINE_MS / 1000} s`), DEADLINE_MS);
    const abort = (): void => end('LOCAL_FAILED', 'interrupted');
    run.signal.addEventListener('abort', abort, { once: true });
    if (run.signal.aborted) abort();
    shell.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= OUTPUT_BYTES_MAX) chunks.push(chunk);
      else end('LOCAL_FAILED', `more than ${OUTPUT_BYTES_MAX} bytes of output`);
    });
    shell.stderr.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString('utf8')).slice(-500);
    });
    // A shell that ends before it has read everything says so with its exit code.
    shell.stdin.on('error', () => {});
    shell.on('error', (cause) => {
      fault ??= new OperationError('LOCAL_FAILED', name, `/bin/sh could not be started: ${cause.message}`, { cause });
    });
    shell.on('close', (code) => {
      clearTimeout(timer);
      run.signal.removeEventListener('abort', abort);
      try {
        run.log({ command: 'sh -s < probe.sh', exitCode: code, outputBytes: bytes });
      } catch (error) {
        return reject(error);
      }
      if (fault !== null) return reject(fault);
      if (bytes === 0) {
        return reject(new OperationError('LOCAL_FAILED', name, `the probe printed nothing: ${excerpt(errors.trim())}`));
      }
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
    shell.stdin.end(`${script.join('\n')}\n`);
  });
}
