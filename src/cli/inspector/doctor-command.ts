import { takeSnapshot } from '../../activities/take-snapshot.ts';
import { reasonTexts } from '../../core/capture/coverage.ts';
import { probeScriptSha256 } from '../../core/capture/probe-script.ts';
import { printable } from '../../core/diagnostics.ts';
import type { HostFirewall } from '../../core/host-firewall.ts';
import type { Command } from '../framework/command.ts';
import { CommandError } from '../framework/errors.ts';
import type { Invocation } from '../framework/options.ts';
import { AuditDirectory } from './audit-directory.ts';
import { checkStorage, type Finding, findingOf } from './doctor-findings.ts';
import { makeProvider, vmIdOf } from './make-provider.ts';
import { AUDIT_DIR_OPTION, CONFIG_OPTION, TARGET_OPTIONS } from './options.ts';
import { readProbe } from './probe-file.ts';
import { Settings, type Target } from './settings.ts';

/** What the caller needs on a VM; Contributor and Virtual Machine Contributor have all of it. */
const ACTIONS = [
  'Microsoft.Compute/virtualMachines/read',
  'Microsoft.Compute/virtualMachines/instanceView/read',
  'Microsoft.Compute/virtualMachines/runCommand/action',
  'Microsoft.Compute/locations/operations/read',
];

export const doctorCommand: Command = {
  name: 'firewall-inspector doctor',
  summary:
    'Checks what a run needs, in the order in which it is needed: settings, storage, login, role, the host, its tools. Says the next command.',
  operands: '',
  operandsMin: 0,
  operandsMax: 0,
  options: [CONFIG_OPTION, ...TARGET_OPTIONS, AUDIT_DIR_OPTION],
  notes: ['Over SSH and on this host the probe is run, which only reads; in Azure no Run Command is started.'],
  examples: ['firewall-inspector doctor --config config.env', 'sudo firewall-inspector doctor --provider local'],
  async run(invocation, output) {
    const settings = new Settings(invocation, process.env);
    for (const warning of settings.warnings) output.note(`warning: ${warning}`);
    let failed = 0;
    const findings: Finding[] = [];
    const tell = async (finding: Finding): Promise<boolean> => {
      findings.push(finding);
      if (finding.state === 'FAILED') failed += 1;
      await output.write(`${finding.state.padEnd(7)}  ${finding.name.padEnd(8)}  ${printable(finding.what)}\n`);
      return finding.state !== 'FAILED';
    };
    const target = await findingOf('settings', () => settings.target());
    await tell(target.finding ?? { name: 'settings', state: 'ok', what: `provider ${settings.provider}` });
    await tell(checkStorage(settings.auditDir));
    if (target.value !== undefined) {
      const checks = target.value.provider === 'azure' ? azureChecks(target.value) : hostChecks(target.value);
      // Each needs the one before it.
      for await (const finding of checks) if (!(await tell(finding))) break;
    }
    if (failed > 0) throw new CommandError(`${failed} of ${findings.length} checks failed`, { nextStep: 'see above' });
    await output.write(`\nNext: ${nextCommand(invocation, settings)}\n`);
  },
};

async function* azureChecks(target: Extract<Target, { provider: 'azure' }>): AsyncGenerator<Finding> {
  const { makeComputeAccess } = await import('../../azure/compute-access.ts');
  const id = await findingOf('vm', () => vmIdOf(target, process.env));
  if (id.value === undefined) return yield id.finding;
  const access = makeComputeAccess(process.env);
  const login = await findingOf('login', () => access.checkLogin());
  yield login.finding ?? { name: 'login', state: 'ok', what: 'Azure gave a token' };
  const ready = await findingOf('vm', () => access.runner.readiness(id.value));
  if (ready.value === undefined) return yield ready.finding;
  yield ready.value.kind === 'ready'
    ? { name: 'vm', state: 'ok', what: `${target.vmName} runs, and its agent reports` }
    : { name: 'vm', state: 'FAILED', what: `${target.vmName}: ${ready.value.message}` };
  const missing = await findingOf('role', () => access.missingActions(id.value, ACTIONS));
  if (missing.finding !== undefined || missing.value === null) {
    yield { name: 'role', state: 'unknown', what: 'Azure does not tell what you may do; the first run will' };
  } else if (missing.value.length === 0) {
    yield { name: 'role', state: 'ok', what: 'it may run the probe' };
  } else {
    yield { name: 'role', state: 'FAILED', what: `missing on the VM: ${missing.value.join(', ')}` };
  }
  yield { name: 'tools', state: 'unknown', what: 'what is installed on the VM is known after the first run' };
}

async function* hostChecks(target: Target): AsyncGenerator<Finding> {
  const name = target.provider === 'local' ? 'host' : 'login';
  const taken = await findingOf(name, async () => {
    const provider = await makeProvider(target, process.env);
    const probeText = readProbe();
    const now = () => new Date();
    const signal = new AbortController().signal;
    const slices = await provider.capture({ probeText, progress: () => {}, log: () => {}, now, signal });
    const origin = { target: provider.host, sessionId: 'doctor', capturedAt: now().toISOString() };
    return takeSnapshot(slices, { ...origin, probeScriptSha256: probeScriptSha256(probeText) });
  });
  if (taken.value === undefined) return yield taken.finding;
  yield { name, state: 'ok', what: target.provider === 'local' ? 'this is root' : 'it logs in, and sudo works' };
  if (taken.value.ok) yield toolsFinding(taken.value.side.firewall);
  else yield { name: 'tools', state: 'FAILED', what: `${taken.value.code}: ${taken.value.message}` };
}

function toolsFinding({ host, coverage, framework }: HostFirewall): Finding {
  const tools = Object.entries(host.tools).map(([tool, version]) => `${tool} ${version ?? 'not there'}`);
  const seen = `${framework.framework}; ${tools.join(', ')}`;
  return coverage.state === 'complete'
    ? { name: 'tools', state: 'ok', what: seen }
    : { name: 'tools', state: 'unknown', what: `${seen}; ${coverage.state}: ${reasonTexts(coverage).join('; ')}` };
}

/** The same options, and what to do with them. */
function nextCommand(invocation: Invocation, settings: Settings): string {
  const given = [CONFIG_OPTION, ...TARGET_OPTIONS, AUDIT_DIR_OPTION].flatMap(({ name }) => {
    const value = invocation.text(name);
    return value === undefined ? [] : [`--${name}`, shellWord(value)];
  });
  const [newest] = new AuditDirectory(settings.auditDir).newestBaselines();
  const what = newest === undefined ? ['--is-baseline'] : ['--compare-baseline', newest];
  return printable(['firewall-inspector', ...given, ...what].join(' '));
}

function shellWord(text: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
