import { printable } from '../../core/diagnostics.ts';
import type { Severity } from '../../core/drift/severity.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Command } from '../framework/command.ts';
import { usageError } from '../framework/errors.ts';
import { jsonText } from '../framework/json-text.ts';
import type { Invocation } from '../framework/options.ts';
import type { Output } from '../framework/output.ts';
import { type Inspection, inspect } from './inspect.ts';
import { AUDIT_DIR_OPTION, CONFIG_OPTION, REPORT_OPTIONS, SESSION_OPTIONS, TARGET_OPTIONS } from './options.ts';
import { type Format, isAtLeast, printComparison, printSnapshot, worstOf } from './report.ts';
import { Settings } from './settings.ts';
import { SUBCOMMAND_LINES } from './subcommand-lines.ts';

export const inspectCommand: Command = {
  name: 'firewall-inspector',
  summary:
    'Reads the firewall inside one Linux host, keeps it as a baseline, and says what changed since. It only ever reads: nothing is changed, installed or written on the host.',
  operands: '[SUBCOMMAND]',
  operandsMin: 0,
  operandsMax: 1,
  subcommands: SUBCOMMAND_LINES,
  options: [CONFIG_OPTION, ...TARGET_OPTIONS, AUDIT_DIR_OPTION, ...SESSION_OPTIONS, ...REPORT_OPTIONS],
  notes: [
    'Without --is-baseline and --compare-baseline the firewall is read and shown, and nothing but the log of commands is stored.',
  ],
  examples: [
    'firewall-inspector --vm-name web-01 --resource-group rg-web --is-baseline',
    'firewall-inspector --provider ssh --target-vm-ip 10.0.0.5 --bastion-public-ip 20.1.2.3 --is-baseline',
    'sudo firewall-inspector --provider local --compare-baseline fw_20261101_000000 --fail-on high',
    'firewall-inspector --config config.env --compare-baseline fw_20261101_000000 -o markdown',
  ],
  async run(invocation, output, decide) {
    const [operand] = invocation.operands;
    if (operand !== undefined) {
      const names = SUBCOMMAND_LINES.map(([name]) => name).join(', ');
      throw usageError(`no subcommand "${printable(operand)}" here`, `they come first, before options: ${names}`);
    }
    const settings = new Settings(invocation, process.env);
    // Before anything else: it becomes part of file names.
    const { sessionId, mode } = settings;
    // A gate that can never close is worse than none.
    if (invocation.has('fail-on') && mode.kind !== 'compare') {
      throw usageError(
        '--fail-on needs a comparison',
        'add --compare-baseline ID (COMPARE_BASELINE in the config file)',
      );
    }
    const note = (text: string): void => {
      if (!invocation.has('quiet')) output.note(text);
    };
    for (const warning of settings.warnings) note(`warning: ${warning}`);
    const request = {
      target: settings.target(),
      family: settings.family,
      mode,
      sessionId,
      auditDir: settings.auditDir,
    };
    const interrupted = new AbortController();
    const interrupt = (): void => interrupted.abort();
    process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
    const world = {
      env: process.env,
      progress: (what: string) => note(`… ${what}`),
      now: () => new Date(),
      signal: interrupted.signal,
    };
    try {
      const found = await inspect(request, world);
      for (const warning of found.warnings) note(`warning: ${printable(warning)}`);
      for (const reason of found.drift?.coverage.reasons ?? []) note(`warning: coverage partial: ${printable(reason)}`);
      const isFailure = reportDrift(found, invocation, note);
      const status = found.drift?.coverage.status ?? found.current.snapshot.coverage.status;
      decide({ drift: isFailure, incomplete: invocation.has('strict') && status !== 'complete' });
      await output.writeAll(print(found, invocation, output));
    } finally {
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    }
  },
};

/** Whether there is drift of the --fail-on severity; a note says how to fail on what was found. */
function reportDrift({ drift }: Inspection, invocation: Invocation, note: (text: string) => void): boolean {
  const worst = drift === null ? null : worstOf(drift);
  const threshold = invocation.text('fail-on') as Severity | undefined;
  const isFailure = isAtLeast(worst, threshold);
  if (worst !== null && !isFailure) {
    const why = threshold === undefined ? 'drift found' : `drift found, none of it ${threshold} or worse`;
    note(`note: ${why}, exit 0. Use --fail-on ${worst} to fail this command.`);
  }
  return isFailure;
}

function print(found: Inspection, invocation: Invocation, output: Output): Iterable<string> {
  const format = (invocation.text('output') ?? 'text') as Format;
  const { baseline, current, drift, artifacts, sessionId } = found;
  if (format === 'json') {
    if (drift !== null) return jsonText(drift as unknown as JsonObject, 2);
    return jsonText(found.mode === 'look' ? (current.snapshot as unknown as JsonObject) : recorded(found), 2);
  }
  if (drift !== null && baseline !== null) {
    const paint = output.paint(invocation.text('color') ?? 'auto');
    return [printComparison(baseline, current, drift, { format, showAll: invocation.has('show-all'), paint })];
  }
  const remark =
    artifacts.snapshot === null
      ? 'nothing stored: --is-baseline records it, --compare-baseline says what changed'
      : `baseline ${sessionId} recorded: ${artifacts.snapshot}`;
  return [printSnapshot(current.snapshot, current.sha256, remark, format)];
}

/** What a recorded baseline is, for programs; the snapshot itself lies at `artifact`. */
function recorded({ sessionId, current, artifacts, slices }: Inspection): JsonObject {
  const { snapshot, sha256 } = current;
  return {
    mode: 'baseline',
    session_id: sessionId,
    artifact: artifacts.snapshot,
    sha256,
    snapshot_at: snapshot.snapshot_at,
    vm_name: snapshot.vm_name,
    vm_id: snapshot.vm_id,
    framework: snapshot.framework,
    coverage: { status: snapshot.coverage.status, reasons: [...snapshot.coverage.reasons] },
    slices,
  };
}
