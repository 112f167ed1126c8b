/**
 * Records what the demo fleet's tools answer to the probe, for machines where no kernel firewall can be had:
 *
 *     node local/fleet/record.ts
 *
 * as root with the tools. It starts the fleet in kernel mode, runs the real probe in every way it is run, with a shim
 * before each tool that keeps the arguments and the answer, and again after every change.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fleetFiles, repositoryRoot } from '../repository-root.ts';
import type { FleetVm } from './demo-fleet.ts';
import { startFleet } from './fleet.ts';
import { fleetChanges } from './fleet-changes.ts';
import { BASELINE_STATE, PROC_NET_FILES, type RecordedCommand, type Recording, writeRecording } from './recording.ts';
import { makeShimTools } from './replayed-firewalls.ts';
import { newRunName } from './run-identity.ts';
import { runTool } from './run-tool.ts';
import { makeScratchDirectory } from './scratch-directory.ts';

const probe = readFileSync(join(repositoryRoot, 'probe', 'probe.sh'), 'utf8').split('\n');
const recordings = join(fleetFiles, 'recordings');
const scratch = makeScratchDirectory(newRunName());
const fleet = await startFleet({ mode: 'kernel' });
try {
  rmSync(recordings, { recursive: true, force: true });
  mkdirSync(recordings);
  for (const vm of fleet.vms) await recordState(vm, BASELINE_STATE);
  for (const { name, vmName } of fleetChanges) {
    await fleet.change(name);
    const vm = fleet.vms.find((each) => each.name === vmName);
    if (vm !== undefined) await recordState(vm, name);
  }
  writeFileSync(join(recordings, 'README.md'), await readme());
} finally {
  await fleet.stop();
  scratch.remove();
}

async function recordState(vm: FleetVm, state: string): Promise<void> {
  if (vm.firewall === null) return;
  const directory = join(scratch.path, `${vm.name}.${state}`);
  const kept = join(directory, 'kept');
  makeShimTools(directory, vm.firewall, 'record.sh');
  mkdirSync(kept);
  for (const mode of ['auto', 'stable', 'full']) {
    const lines = [
      `NFI_RECORD_TO=${kept} NFI_RECORD_PATH=$NFI_PATH NFI_PATH=${join(directory, 'tools')}:$NFI_PATH`,
      'export NFI_RECORD_TO NFI_RECORD_PATH',
      `NFI_NONCE=${'0'.repeat(16)} NFI_MODE=${mode}`,
      ...probe,
    ];
    const { exitCode, stdout } = await fleet.executeScript(vm, lines, new AbortController().signal);
    if (exitCode !== 0) throw new Error(`the probe failed on ${vm.name}: ${stdout.toString('utf8').slice(0, 200)}`);
  }
  writeRecording(vm.name, state, { commands: readKept(kept), procNet: await readProcNet(vm) });
}

function readKept(directory: string): RecordedCommand[] {
  const calls = new Map<string, RecordedCommand>();
  for (const file of readdirSync(directory).filter((name) => name.endsWith('.argv'))) {
    const read = (suffix: string): string => readFileSync(join(directory, file.replace(/argv$/, suffix)), 'utf8');
    const argv = read('argv').trimEnd().split('\n');
    if (argv.some((argument) => argument.includes('/'))) throw new Error(`a slash in ${argv.join(' ')}`);
    calls.set(argv.join(' '), {
      argv,
      exit: Number(read('exit')),
      stdout: read('out').split('\n'),
      stderr: read('err').split('\n'),
    });
  }
  return [...calls].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, command]) => command);
}

async function readProcNet(vm: FleetVm): Promise<Recording['procNet']> {
  const files: Record<string, readonly string[]> = {};
  for (const name of PROC_NET_FILES) {
    const { exitCode, stdout } = await fleet.executeScript(vm, [`cat /proc/net/${name}`], new AbortController().signal);
    if (exitCode === 0) files[name] = stdout.toString('utf8').split('\n');
  }
  return files;
}

async function readme(): Promise<string> {
  const versions = await Promise.all([
    runTool(['xtables-nft-multi', 'iptables', '--version']),
    runTool(['xtables-legacy-multi', 'iptables', '--version']),
    runTool(['nft', '--version']),
    runTool(['ipset', '--version']),
    runTool(['uname', '-sr']),
  ]);
  return [
    'What the tools of the demo fleet answered to the probe, one file per VM and state; see `../recording.ts`.',
    '',
    'Recorded by `node local/fleet/record.ts` with:',
    '',
    ...versions.map((version) => `- ${version.trim().replaceAll('\n', '; ')}`),
    '',
  ].join('\n');
}
