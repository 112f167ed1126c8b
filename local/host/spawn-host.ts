import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { HostKeys } from './http-exchange.ts';

export interface SpawnedHost {
  url: string;
  port: number;
  keys: HostKeys;
  process: ChildProcess;
  /** Everything the host and the app wrote to stderr so far. */
  stderr(): string;
  /** SIGTERM and the graceful way out, or another signal; resolves when the process is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface SpawnHostOptions {
  appDirectory: string;
  /** More arguments of `main.ts`: `--state`, `--port`, `--time-scale`, `--setting NAME=VALUE` … */
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Called with each line the child writes, for instance to show progress. */
  onLine?: (stream: 'stdout' | 'stderr', line: string) => void;
}

/** Starts `main.ts` in a process of its own, which is what a second host or a restart needs. Error: it ends before it is ready. */
export async function spawnFunctionsHost({
  appDirectory,
  args = [],
  env = {},
  onLine,
}: SpawnHostOptions): Promise<SpawnedHost> {
  const extension = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
  const entry = fileURLToPath(new URL(`./main.${extension}`, import.meta.url));
  const child = spawn(
    process.execPath,
    ['--enable-source-maps', entry, '--app', appDirectory, '--with-parent', ...args],
    {
      env: { ...process.env, ...env },
      // The child ends when its stdin does, so that it never outlives this process, however that ends.
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  let errors = '';
  const exited = once(child, 'exit');
  const ready = new Promise<{ url: string; port: number; keys: HostKeys }>((resolve, reject) => {
    eachLine(child, 'stdout', (line) => {
      onLine?.('stdout', line);
      if (line.startsWith('{"url":')) resolve(JSON.parse(line) as { url: string; port: number; keys: HostKeys });
    });
    eachLine(child, 'stderr', (line) => {
      onLine?.('stderr', line);
      errors += `${line}\n`;
    });
    child.once('error', reject);
    child.once('close', (code) =>
      reject(new Error(`the functions host ended with ${code} before it was ready:\n${errors}`)),
    );
  });
  const { url, port, keys } = await ready;
  return {
    url,
    port,
    keys,
    process: child,
    stderr: () => errors,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      await exited;
    },
  };
}

function eachLine(child: ChildProcess, stream: 'stdout' | 'stderr', use: (line: string) => void): void {
  let rest = '';
  child[stream]?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) use(line);
  });
}
