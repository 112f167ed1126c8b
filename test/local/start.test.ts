import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { repositoryRoot } from '../support/environment.ts';

// A supervisor, or `kill`, knows the first process only; what that one leaves behind has ports and namespaces.
for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
  test(`npm start ends whole when its first process gets ${signal}`, async () => {
    const child = spawn(process.execPath, ['scripts/run.mjs', 'start', '--port', '0', '--replay'], {
      cwd: repositoryRoot,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let url = '';
    for await (const line of createInterface({ input: child.stdout })) {
      url ||= /^app +(http:\S+)$/.exec(line)?.[1] ?? '';
      if (line.startsWith('Ctrl-C ends it')) break;
    }
    assert.equal((await fetch(`${url}/operations/none`)).status, 401);
    child.kill(signal);
    assert.deepEqual(await once(child, 'exit'), [0, null]);
    await assert.rejects(fetch(url), /fetch failed/);
  });
}
