import { parseSnapshot } from '../../activities/read-baseline.ts';
import { printable } from '../../core/diagnostics.ts';
import { IntegrityError, OperationError } from '../../core/errors.ts';
import type { Command } from '../framework/command.ts';
import { jsonText } from '../framework/json-text.ts';
import { AuditDirectory, type Session } from './audit-directory.ts';
import { AUDIT_DIR_OPTION, CONFIG_OPTION, OUTPUT_OPTION } from './options.ts';
import { Settings } from './settings.ts';

/** A session as `list` and the agent's `list_baselines` tell of it. */
export interface ListedSession {
  readonly session_id: string;
  readonly kind: 'baseline' | 'comparison';
  readonly vm_name: string;
  readonly snapshot_at: string;
  readonly framework: string;
  readonly integrity: 'verified' | 'failed';
  /** Empty when verified. */
  readonly fault: string;
}

/** Reads and verifies one session's snapshot; what is wrong with it is part of the answer. */
export async function describeSession(directory: AuditDirectory, session: Session): Promise<ListedSession> {
  const known = { session_id: session.id, kind: session.hasDrift ? 'comparison' : 'baseline' } as const;
  const failed = (fault: string): ListedSession => ({
    ...known,
    vm_name: '',
    snapshot_at: '',
    framework: '',
    integrity: 'failed',
    fault,
  });
  if (!session.hasSnapshot) return failed('its snapshot is missing');
  try {
    const { bytes } = await directory.readVerified(session.id);
    const snapshot = parseSnapshot(session.id, bytes);
    const text = (field: string): string => (typeof snapshot[field] === 'string' ? snapshot[field] : '');
    return {
      ...known,
      vm_name: text('vm_name'),
      snapshot_at: text('snapshot_at'),
      framework: text('framework'),
      integrity: 'verified',
      fault: '',
    };
  } catch (error) {
    if (error instanceof IntegrityError || error instanceof OperationError)
      return failed(`${error.code}: ${error.what}`);
    throw error;
  }
}

export const listCommand: Command = {
  name: 'firewall-inspector list',
  summary: 'Lists the sessions of an audit directory, newest first, each verified.',
  operands: '',
  operandsMin: 0,
  operandsMax: 0,
  options: [CONFIG_OPTION, AUDIT_DIR_OPTION, { ...OUTPUT_OPTION, value: 'text|json', choices: ['text', 'json'] }],
  notes: [],
  examples: ['firewall-inspector list --audit-dir ./audit'],
  async run(invocation, output) {
    const directory = new AuditDirectory(new Settings(invocation, process.env).auditDir);
    const listed: ListedSession[] = [];
    for (const session of directory.sessions()) listed.push(await describeSession(directory, session));
    if (invocation.text('output') === 'json') {
      return output.writeAll(jsonText({ sessions: listed.map((one) => ({ ...one })) }, 2));
    }
    if (listed.length === 0) {
      output.note(`note: no session in ${printable(directory.path)} yet; record one with --is-baseline`);
    }
    const width = listed.reduce((most, { session_id }) => Math.max(most, session_id.length), 0);
    for (const one of listed) {
      const rest =
        one.integrity === 'failed' ? `FAILED  ${one.fault}` : `${one.snapshot_at}  ${one.vm_name}  ${one.framework}`;
      await output.write(`${one.session_id.padEnd(width)}  ${one.kind.padEnd(10)}  ${printable(rest)}\n`);
    }
  },
};
