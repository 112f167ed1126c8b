import { parseSnapshot } from '../../activities/read-baseline.ts';
import { artifactNames } from '../../core/artifact-names.ts';
import { parseDocument } from '../../core/baseline/integrity.ts';
import { checkSessionId } from '../../core/baseline/session-id.ts';
import { printable } from '../../core/diagnostics.ts';
import type { DriftDocument } from '../../core/drift/drift-document.ts';
import { OperationError } from '../../core/errors.ts';
import { printDriftMarkdown } from '../../core/report/drift-markdown.ts';
import { buildDriftReport } from '../../core/report/drift-report.ts';
import { printDriftText } from '../../core/report/drift-text.ts';
import type { Command } from '../framework/command.ts';
import { jsonText } from '../framework/json-text.ts';
import { AuditDirectory, HOST } from './audit-directory.ts';
import { AUDIT_DIR_OPTION, COLOR_OPTION, CONFIG_OPTION, OUTPUT_OPTION, SHOW_ALL_OPTION } from './options.ts';
import { asObject, coverageRemark, type Format, printSnapshot } from './report.ts';
import { Settings } from './settings.ts';

export const showCommand: Command = {
  name: 'firewall-inspector show',
  summary: 'Shows one session: what changed, when it was a comparison, else what its snapshot holds. Verified first.',
  operands: 'SESSION_ID',
  operandsMin: 1,
  operandsMax: 1,
  options: [CONFIG_OPTION, AUDIT_DIR_OPTION, OUTPUT_OPTION, COLOR_OPTION, SHOW_ALL_OPTION],
  notes: ['With --output json the stored document is printed: the drift document, or the snapshot.'],
  examples: ['firewall-inspector show fw_20261101_000000', 'firewall-inspector show fw_20261123_060000 -o markdown'],
  async run(invocation, output) {
    const directory = new AuditDirectory(new Settings(invocation, process.env).auditDir);
    const id = checkSessionId(invocation.operands[0] ?? '');
    const format = (invocation.text('output') ?? 'text') as Format;
    const { bytes, sha256 } = await directory.readVerified(id);
    const drift = await readDrift(directory, id, sha256);
    if (drift === null) {
      const snapshot = parseSnapshot(id, bytes);
      return format === 'json'
        ? output.writeAll(jsonText(snapshot, 2))
        : output.write(printSnapshot(snapshot, sha256, '', format));
    }
    if (format === 'json') return output.writeAll(jsonText(asObject(drift), 2));
    const families = Object.entries(drift.drift_by_family).map(([family, one]) => ({
      family,
      drift: one,
      baseline: null,
      current: null,
    }));
    const report = buildDriftReport(families, { context: 0, showAll: invocation.has('show-all') });
    const title = `${drift.vm_name}  ${drift.framework.current}  ${id}, since ${drift.baseline_session}`;
    for (const reason of drift.coverage.reasons) output.note(`warning: coverage partial: ${printable(reason)}`);
    const options = { title, hint: '--show-all', remarks: coverageRemark(drift) };
    return output.write(
      format === 'markdown'
        ? printDriftMarkdown(report, { ...options, reasons: drift.coverage.reasons })
        : printDriftText(report, { ...options, paint: output.paint(invocation.text('color') ?? 'auto') }),
    );
  },
};

/**
 * The drift document of a session; null when it has none. It says which snapshot it is of.
 *
 * Errors: `DRIFT_FORMAT` when it is no drift document, or one of another snapshot.
 */
export async function readDrift(directory: AuditDirectory, id: string, sha256: string): Promise<DriftDocument | null> {
  const name = artifactNames.drift(HOST, id);
  const stored = await directory.store.read('reports', name);
  if (stored === null) return null;
  const fault = (what: string, cause?: unknown): OperationError =>
    new OperationError('DRIFT_FORMAT', directory.pathOf(name), what, {
      nextStep: 'compare again under a new session id',
      cause,
    });
  let document: DriftDocument;
  try {
    document = parseDocument(stored.bytes) as unknown as DriftDocument;
  } catch (cause) {
    throw fault('it is not JSON', cause);
  }
  const { snapshot_sha256: of, drift_by_family: families, severity_counts: counts, coverage } = asObject(document);
  if (typeof families !== 'object' || typeof counts !== 'object' || typeof coverage !== 'object') {
    throw fault('it is no drift document of this program');
  }
  if (of !== sha256) throw fault('it is of another snapshot than the one beside it');
  return document;
}
