import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runSsh, type SshRun } from '../../src/ssh/run-ssh.ts';

/** Runs a script in ssh's place that starts something, says its process id, which is its group's too, and goes on. */
async function runInstead(
  context: TestContext,
  started: string,
  then: string,
  stop?: AbortController,
): Promise<SshRun> {
  const directory = mkdtempSync(join(tmpdir(), 'nfi-ssh-fake-'));
  context.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'ssh'), `#!/bin/sh\n(${started}) &\necho $$\n${then}\n`, { mode: 0o755 });
  const env = { PATH: `${directory}:${process.env['PATH']}` };
  // Once what it said was taken.
  const onFirstOutput = () => setImmediate(() => stop?.abort());
  const limits = { deadlineMs: 60_000, outputBytesMax: 1000 };
  return runSsh({ args: [], input: '', env, ...limits, signal: stop?.signal, onFirstOutput });
}

/** Command lines of the processes of a group that have not ended. */
function groupOf(run: SshRun): string[] {
  const group = /^\d+/.exec(run.stdout)?.[0] ?? assert.fail(`no process id: ${run.stdout}`);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [state, , pgrp] = readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ');
        return pgrp === group && state !== 'Z' ? [readFileSync(`/proc/${pid}/cmdline`, 'utf8')] : [];
      } catch {
        return [];
      }
    });
}

// As the ssh of a bastion: what it says goes through another process, so that none of the pipes tells when it ends.
const DETACHED = 'exec sleep 50 </dev/null >/dev/null 2>&1';

test('what ssh started has ended too, though its pipes were closed before', async (context) => {
  for (const started of [DETACHED, `trap '' TERM; ${DETACHED}`]) {
    const run = await runInstead(context, started, 'exit 0');
    assert.deepEqual([run.end, run.status, groupOf(run)], ['exited', 0, []], started);
  }
});

test('an aborted run has ended with all that it started', async (context) => {
  const run = await runInstead(context, `trap '' TERM; ${DETACHED}`, 'exec sleep 50', new AbortController());
  assert.deepEqual([run.end, groupOf(run)], ['aborted', []]);
});
