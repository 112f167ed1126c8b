#!/usr/bin/env node
import { type Command, runCommand } from './framework/command.ts';
import { inspectCommand } from './inspector/inspect-command.ts';

// Loaded when they are asked for: the agent's server alone takes as long to load as everything else together.
const SUBCOMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  list: async () => (await import('./inspector/list-command.ts')).listCommand,
  show: async () => (await import('./inspector/show-command.ts')).showCommand,
  verify: async () => (await import('./inspector/verify-command.ts')).verifyCommand,
  doctor: async () => (await import('./inspector/doctor-command.ts')).doctorCommand,
  selftest: async () => (await import('./inspector/selftest-command.ts')).selftestCommand,
  mcp: async () => (await import('./inspector/mcp-command.ts')).mcpCommand,
};

const [first = '', ...rest] = process.argv.slice(2);
const subcommand = Object.hasOwn(SUBCOMMANDS, first) ? SUBCOMMANDS[first] : undefined;
if (subcommand === undefined) await runCommand(inspectCommand);
else await runCommand(await subcommand(), rest);
