import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixturePath, repositoryRoot } from '../support/environment.ts';

/** The commands as they are here: sources when the tests are sources, compiled when they are. */
export const isCompiled: boolean = import.meta.filename.endsWith('.js');
export const commandDirectory: string = join(repositoryRoot, isCompiled ? 'dist/src/cli' : 'src/cli');

export const COMMANDS = ['iptables-parser', 'iptables-diff', 'nftables-parser', 'nftables-diff'] as const;
export type CommandName = (typeof COMMANDS)[number];

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export function commandPath(name: CommandName): string {
  return join(commandDirectory, `${name}.${isCompiled ? 'js' : 'ts'}`);
}

/** Runs a command as a process of its own, without a terminal and without the colours of who runs the tests. */
export function run(name: CommandName, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return runProcess(process.execPath, [commandPath(name), ...args], options);
}

export function runProcess(file: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const { FORCE_COLOR: _forced, NO_COLOR: _no, ...env } = process.env;
  const child = spawn(file, args, { cwd: options.cwd ?? repositoryRoot, env: { ...env, ...options.env } });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A command that ends without reading its input closes the pipe under us.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({ code, stdout: Buffer.concat(stdout).toString('utf8'), stderr: Buffer.concat(stderr).toString('utf8') }),
    );
  });
}

/** A directory that is gone after the test. */
export function scratch(test: { after(done: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'nfi-cli-'));
  test.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function iptablesPair(name: string): [string, string] {
  const directory = fixturePath('iptables', 'pairs', name);
  return [join(directory, 'before.iptables-save.txt'), join(directory, 'after.iptables-save.txt')];
}

export function nftPair(name: string): [string, string] {
  const directory = fixturePath('nftables', 'pairs', name);
  return [join(directory, 'before.nft.json'), join(directory, 'after.nft.json')];
}

/** An iptables-save text with these lines in filter's INPUT, whose policy is DROP. */
export function inputChain(...rules: string[]): string {
  const lines = rules.map((rule) => `-A INPUT ${rule}`);
  return ['*filter', ':INPUT DROP [0:0]', ':FORWARD DROP [0:0]', ':OUTPUT ACCEPT [0:0]', ...lines, 'COMMIT', ''].join(
    '\n',
  );
}
