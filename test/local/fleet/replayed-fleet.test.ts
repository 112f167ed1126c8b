import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Fleet, startFleet } from '../../../local/fleet/fleet.ts';
import { fleetChanges } from '../../../local/fleet/fleet-changes.ts';
import { runTool } from '../../../local/fleet/run-tool.ts';
import { fleetFiles } from '../../../local/repository-root.ts';
import { kernelSkipReason } from '../../support/environment.ts';
import { type PayloadSection, probeSections, settledText } from './probe-payload.ts';

const TOOLS = ['ip', 'unshare', 'nft', 'ipset', 'xtables-legacy-multi', 'xtables-nft-multi'];

describe('the fleet in replay mode', () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({ mode: 'replay' });
  });
  after(() => fleet.stop());

  test('every Linux VM answers the probe, and no call of it is without a recording', async () => {
    for (const { name, firewall } of fleet.vms) {
      if (firewall === null) continue;
      for (const [section, { status }] of await probeSections(fleet, name)) {
        assert.notEqual(status, 'exit:125', `${name}: ${section}`);
      }
    }
  });

  test('tools are absent where the VM lacks them, whatever this machine has', async () => {
    const edge = await probeSections(fleet, 'edge-nft');
    assert.equal(edge.get('iptables-save')?.status, 'absent');
    assert.equal(edge.get('nft-ruleset')?.status, 'exit:0');
    const web = await probeSections(fleet, 'web-legacy');
    assert.equal(web.get('nft-ruleset')?.status, 'absent');
    assert.match(web.get('iptables-version')?.content ?? '', /legacy/);
  });

  test('a call that was not recorded fails aloud', async () => {
    const [vm] = fleet.vms;
    assert.ok(vm);
    const lines = ['PATH=$NFI_PATH', 'iptables-save --never-asked'];
    const { stderr, exitCode } = await fleet.executeScript(vm, lines, new AbortController().signal);
    assert.equal(exitCode, 125);
    assert.match(stderr.toString('utf8'), /iptables-save_--never-asked: this call was not recorded/);
  });

  test('a script runs without rights of its own', async () => {
    const [vm] = fleet.vms;
    assert.ok(vm);
    const { stdout } = await fleet.executeScript(vm, ['id -u'], new AbortController().signal);
    assert.notEqual(stdout.toString('utf8'), '0\n');
  });

  test('each change shows in its VM and in no other', async () => {
    const readable = fleet.vms.filter(({ firewall }) => firewall !== null).map(({ name }) => name);
    const read = async (): Promise<Map<string, string>> => {
      const texts = await Promise.all(readable.map((name) => probeSections(fleet, name)));
      return new Map(readable.map((name, index) => [name, text(texts[index] ?? new Map())]));
    };
    const from = await read();
    for (const { name } of fleetChanges) await fleet.change(name);
    const to = await read();
    assert.deepEqual(
      readable.filter((name) => from.get(name) !== to.get(name)).sort(),
      fleetChanges.map(({ vmName }) => vmName).sort(),
    );
  });

  function text(sections: ReadonlyMap<string, PayloadSection>): string {
    return [...sections].map(([name, { status, content }]) => `${name} ${status}\n${content}`).join('\n');
  }
});

describe('replay against the kernel', { skip: kernelSkipReason(TOOLS) }, () => {
  let kernel: Fleet;
  let replay: Fleet;
  before(async () => {
    [kernel, replay] = await Promise.all([startFleet({ mode: 'kernel' }), startFleet({ mode: 'replay' })]);
  });
  after(() => Promise.all([kernel.stop(), replay.stop()]));

  test('both give the same payload for every VM, before and after each change', async (context) => {
    const different = await differentVersions();
    if (different !== undefined) {
      context.skip(different);
      return;
    }
    for (const { name, firewall } of kernel.vms) if (firewall !== null) await assertSame(name, 'at the start');
    for (const { name, vmName } of fleetChanges) {
      await Promise.all([kernel.change(name), replay.change(name)]);
      await assertSame(vmName, `after ${name}`);
    }
  });

  async function assertSame(vmName: string, when: string): Promise<void> {
    const [fromKernel, fromReplay] = await Promise.all([probeSections(kernel, vmName), probeSections(replay, vmName)]);
    assert.equal(settledText(fromReplay), settledText(fromKernel), `${vmName} ${when}`);
  }
});

/** Other versions of the tools print other texts: then there is nothing to compare with until `record.ts` ran again. */
async function differentVersions(): Promise<string | undefined> {
  const readme = readFileSync(join(fleetFiles, 'recordings', 'README.md'), 'utf8');
  for (const tool of [
    ['xtables-nft-multi', 'iptables'],
    ['xtables-legacy-multi', 'iptables'],
    ['nft'],
    ['ipset'],
  ] as const) {
    const version = (await runTool([...tool, '--version'])).trim();
    if (!readme.includes(`- ${version}\n`)) return `the recordings were made with another version than ${version}`;
  }
  return undefined;
}
