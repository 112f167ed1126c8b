// The product's real job on this machine, start to end: baseline a fleet, change two firewalls, report the drift, refuse
// a tampered baseline. Exits 0 when every step gave exactly what it had to.
import { artifactNames } from '../src/core/artifact-names.ts';
import type { RunReport } from '../src/core/contracts.ts';
import { counted } from '../src/core/counted.ts';
import { type DriftDocument, listedChanges } from '../src/core/drift/drift-document.ts';
import { ApiClient } from './api-client.ts';
import { type LocalEnvironment, startEnvironment } from './environment.ts';
import type { FleetChange } from './fleet/fleet-changes.ts';
import { Progress } from './progress.ts';
import { driftText, reportText } from './report-text.ts';
import { type SchemaName, schemaFaults } from './schema-check.ts';

const progress = new Progress();
const hostLog: string[] = [];
const startedAt = Date.now();

main().then(
  (lastLine) => process.stdout.write(`\n${lastLine}\n`),
  (error) => {
    progress.clear();
    process.stderr.write(
      `\ndemo: failed — ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    const tail = hostLog.slice(-20);
    if (tail.length > 0)
      process.stderr.write(`\nthe Functions host's last lines:\n${tail.map((line) => `  ${line}`).join('\n')}\n`);
    process.exitCode = 1;
  },
);

async function main(): Promise<string> {
  const environment = await startEnvironment({
    // Real Run Commands take 20 s and more; the simulated ones are quick, so the waits between looks are too.
    timeScale: 10,
    progress: (what) => progress.show(`starting ${what}`),
    log: (line) => hostLog.push(line),
  });
  const onSignal = () => void environment.stop().finally(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, onSignal);
  try {
    return await tellTheStory(environment);
  } finally {
    await environment.stop();
  }
}

async function tellTheStory(environment: LocalEnvironment): Promise<string> {
  const { fleet } = environment;
  const api = new ApiClient(() => environment.url, environment.functionKey);
  const selector = { subscription_ids: [environment.subscriptionId], tag: { name: 'fw-baseline', value: 'enabled' } };
  say(
    fleet.mode === 'kernel'
      ? `${fleet.vms.length} VMs, on real kernel firewalls: one network namespace each (${fleet.modeReason})`
      : `${fleet.vms.length} VMs, replaying recordings of real firewalls through the real probe (${fleet.modeReason})`,
  );

  heading('1. Baseline the fleet');
  const baseline = await run(api, { mode: 'baseline', selector, session_id: sessionId('baseline') });
  say(reportText(baseline));
  const baselined = baseline.outcomes.filter((outcome) => outcome.baselined);
  for (const { vm_key } of baselined) checkSchema('snapshot', await api.snapshot(vm_key, baseline.session_id));

  heading('2. Somebody changes two firewalls');
  const changes: FleetChange[] = [];
  for (const name of ['ssh-open', 'ssh-log'] as const) {
    const change = await fleet.change(name);
    changes.push(change);
    say(`${change.vmName}: ${change.summary}`);
  }

  heading('3. Look for drift');
  const drift = await run(api, { mode: 'drift', selector, session_id: sessionId('drift') });
  say(reportText(drift));
  const drifted = drift.outcomes.filter(({ verdict }) => verdict === 'drifted');
  for (const outcome of drifted) {
    const document = await api.drift(outcome.vm_key, drift.session_id);
    checkSchema('drift', document);
    say(`\n${driftText(document)}`);
    checkExactly(document, changes);
  }
  expect(
    drifted.length === changes.length,
    `${changes.length} firewalls were changed, ${drifted.length} are reported as drifted`,
  );
  const inSync = drift.outcomes.filter(({ verdict }) => verdict === 'in_sync');
  expect(
    inSync.length === baselined.length - changes.length,
    'a firewall that nobody changed is not reported as in sync',
  );

  heading('4. Somebody tampers with a stored baseline');
  const victim = inSync[0];
  if (victim === undefined) throw new Error('no VM is in sync to tamper with');
  await tamper(environment, victim.vm_key, baseline.session_id);
  say(`one byte of the stored baseline of ${victim.vm_name} was changed behind the inspector's back`);
  const refused = await run(api, {
    mode: 'drift',
    selector: { vm_ids: [victim.vm_id] },
    session_id: sessionId('tampered'),
  });
  const outcome = refused.outcomes[0];
  say(`${outcome?.vm_name}: ${outcome?.problem?.message ?? 'compared'}\n  next: ${outcome?.problem?.next_step ?? ''}`);
  expect(outcome?.integrity === 'failed' && outcome.verdict === null, 'the tampered baseline was not refused');
  expect(
    (await api.request('GET', `vms/${victim.vm_key}/drifts/${refused.session_id}`)).status === 404,
    'a comparison with a tampered baseline was stored',
  );

  const unreadable = baseline.outcomes.filter(({ coverage }) => coverage === 'failed');
  const critical = drifted.filter((each) => each.drift?.has_critical_changes === true);
  say(
    `\nran on ${fleet.mode === 'kernel' ? 'real kernel firewalls' : 'replayed recordings'}, in ${seconds()} s; nothing was left behind`,
  );
  return `demo: ok — ${baselined.length} VMs baselined, ${drifted.length} drifted (${critical.length} critical), ${unreadable.length} not readable, 1 tampered baseline refused`;
}

async function run(api: ApiClient, body: { mode: string; selector: unknown; session_id: string }): Promise<RunReport> {
  const report = await api.run(body, ({ status, progress: at }) => {
    const fleetSize =
      at?.vms == null ? '' : `, ${at.done === undefined ? '' : `${at.done} of `}${counted(at.vms, 'VM')}`;
    progress.show(`${body.mode} run ${body.session_id}: ${at?.phase ?? status}${fleetSize}`);
  });
  progress.clear();
  checkSchema('run-report', report);
  return report;
}

/** Every expected change is listed, and nothing else is. */
function checkExactly(document: DriftDocument, changes: readonly FleetChange[]): void {
  const change = changes.find(({ vmName }) => vmName === document.vm_name);
  if (change === undefined) throw new Error(`${document.vm_name} drifted, and nobody changed it`);
  const listed = listedChanges(document.drift_by_family).map(
    ({ family, kind, change: each }) => `${family} ${kind} ${each.table} ${each.chain}`,
  );
  const expected = change.expected.map(({ family, kind, table, chain }) => `${family} ${kind} ${table} ${chain}`);
  expect(
    JSON.stringify(listed.sort()) === JSON.stringify(expected.sort()),
    `${document.vm_name}: expected exactly ${expected.join('; ')}, listed ${listed.join('; ')}`,
  );
  expect(
    document.has_critical_changes === change.critical,
    `${document.vm_name}: critical is ${document.has_critical_changes}`,
  );
}

async function tamper({ blobs }: LocalEnvironment, vmKey: string, session: string): Promise<void> {
  const blob = blobs.getContainerClient('baselines').getBlockBlobClient(artifactNames.snapshot(vmKey, session));
  const bytes = await blob.downloadToBuffer();
  const at = bytes.indexOf('"vm_name"') + 2;
  bytes[at] = (bytes[at] as number) ^ 1;
  await blob.upload(bytes, bytes.length);
}

function checkSchema(name: SchemaName, document: unknown): void {
  const faults = schemaFaults(name, document);
  expect(
    faults.length === 0,
    `an artifact does not fit docs/schemas/${name}.schema.json: ${faults.slice(0, 5).join('; ')}`,
  );
}

function sessionId(what: string): string {
  return `demo_${what}`;
}

function expect(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(otherwise);
}

function heading(text: string): void {
  say(`\n${text}\n`);
}

function say(text: string): void {
  progress.clear();
  process.stdout.write(`${text}\n`);
}

function seconds(): number {
  return Math.round((Date.now() - startedAt) / 1000);
}
