import { parseSnapshot } from '../../activities/read-baseline.ts';
import { checkSessionId } from '../../core/baseline/session-id.ts';
import { counted } from '../../core/counted.ts';
import { printable } from '../../core/diagnostics.ts';
import { IntegrityError, OperationError } from '../../core/errors.ts';
import type { Command } from '../framework/command.ts';
import { CommandError } from '../framework/errors.ts';
import { AuditDirectory } from './audit-directory.ts';
import { AUDIT_DIR_OPTION, CONFIG_OPTION } from './options.ts';
import { Settings } from './settings.ts';

export const verifyCommand: Command = {
  name: 'firewall-inspector verify',
  summary: 'Checks stored snapshots against their SHA-256 companions: the one that is named, or every one.',
  operands: '[SESSION_ID]',
  operandsMin: 0,
  operandsMax: 1,
  options: [CONFIG_OPTION, AUDIT_DIR_OPTION],
  notes: [
    'A missing companion, and a companion without a snapshot, are tamper evidence: they fail. Where there is no session at all nothing was verified: exit 1.',
  ],
  examples: ['firewall-inspector verify', 'firewall-inspector verify fw_20261101_000000 --audit-dir /srv/audit'],
  async run(invocation, output) {
    const directory = new AuditDirectory(new Settings(invocation, process.env).auditDir);
    const [named] = invocation.operands;
    const ids =
      named === undefined
        ? directory
            .sessions()
            .map(({ id }) => id)
            .sort()
        : [checkSessionId(named)];
    if (ids.length === 0) {
      throw new CommandError(`no session in ${printable(directory.path)}: nothing was verified`, {
        nextStep: 'is it the directory? --audit-dir, or AUDIT_DIR in the config file, names it',
      });
    }
    const width = ids.reduce((most, id) => Math.max(most, id.length), 0);
    let failed = 0;
    let unreadable = 0;
    for (const id of ids) {
      try {
        const { bytes, sha256 } = await directory.readVerified(id);
        parseSnapshot(id, bytes);
        await output.write(`ok      ${id.padEnd(width)}  sha256 ${sha256}\n`);
      } catch (error) {
        if (!(error instanceof OperationError)) throw error;
        const gone = named === undefined && error.code === 'BASELINE_NOT_FOUND';
        if (error instanceof IntegrityError || gone) failed += 1;
        else unreadable += 1;
        const what = gone ? 'its snapshot is missing: it was removed, or never written to the end' : error.what;
        await output.write(`FAILED  ${id.padEnd(width)}  ${error.code}: ${printable(what)}\n`);
        if (named !== undefined) throw error;
      }
    }
    const of = `of ${counted(ids.length, 'session')}`;
    if (unreadable > 0) throw new CommandError(`${unreadable} ${of} could not be read, ${failed} did not verify`);
    if (failed > 0)
      throw new IntegrityError('BASELINE_TAMPERED', printable(directory.path), `${failed} ${of} did not verify`);
  },
};
