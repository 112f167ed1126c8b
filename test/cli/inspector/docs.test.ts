import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { comparedAnswer, errorAnswer, toolError } from '../../../src/agent/answer.ts';
import { jsonSchemaOf, toolInputSchema, toolInputShape } from '../../../src/agent/tool-input.ts';
import { type Command, optionDescription, optionSynopsis } from '../../../src/cli/framework/command.ts';
import { EXIT_TABLE } from '../../../src/cli/framework/exit-codes.ts';
import { HELP_OPTIONS, readArguments } from '../../../src/cli/framework/options.ts';
import { inspectCommand } from '../../../src/cli/inspector/inspect-command.ts';
import { mcpCommand } from '../../../src/cli/inspector/mcp-command.ts';
import type { InspectorOption } from '../../../src/cli/inspector/options.ts';
import { Settings } from '../../../src/cli/inspector/settings.ts';
import { SUBCOMMAND_LINES } from '../../../src/cli/inspector/subcommand-lines.ts';
import { OperationError } from '../../../src/core/errors.ts';
import { repositoryRoot } from '../../support/environment.ts';
import { runProcess } from '../run-command.ts';
import { type AzureOnLoopback, inspectorPath, startAzure } from './inspector-process.ts';

const document = (name: string) => join(repositoryRoot, name);
const INSPECTOR = document('docs/firewall-inspector.md');
const AGENT = document('docs/agent.md');

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function flagsTable({ options }: Command): string {
  const rows = [...(options as readonly InspectorOption[]), ...HELP_OPTIONS].map((option: InspectorOption) => {
    const key = option.configKey === undefined ? '' : `\`${option.configKey}\``;
    return `| \`${cell(optionSynopsis(option))}\` | ${cell(optionDescription(option))} | ${key} |`;
  });
  return ['| option | meaning | config key |', '|---|---|---|', ...rows].join('\n');
}

function argumentsTable(): string {
  const { properties } = jsonSchemaOf(toolInputShape) as unknown as {
    properties: Record<string, { description?: string }>;
  };
  const rows = Object.entries(properties).map(
    ([name, { description }]) => `| \`${name}\` | ${cell(description ?? '')} |`,
  );
  return ['| argument | meaning |', '|---|---|', ...rows].join('\n');
}

function exitCodes(): string {
  return ['| code | meaning |', '|---|---|', ...EXIT_TABLE.map(([code, meaning]) => `| ${code} | ${meaning} |`)].join(
    '\n',
  );
}

/** Puts text between the markers of a name; nothing where there are none. */
function fill(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(open), text.indexOf(close)];
  return from === -1 || to < from ? text : text.slice(0, from + open.length) + content + text.slice(to);
}

/** Compares a document with what it should be, or writes it so with UPDATE_GOLDEN=1. */
function holds(path: string, wanted: string): void {
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, wanted);
  assert.equal(readFileSync(path, 'utf8'), wanted);
}

describe('the documents', () => {
  let azure: AzureOnLoopback;
  let directory: string;
  before(async () => {
    azure = await startAzure();
    directory = mkdtempSync(join(tmpdir(), 'nfi-docs-'));
    mkdirSync(join(directory, 'bin'));
    const command = join(directory, 'bin', 'firewall-inspector');
    writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${inspectorPath}' "$@"\n`);
    chmodSync(command, 0o755);
  });
  after(async () => {
    rmSync(directory, { recursive: true });
    await azure.stop();
  });

  const shell = (line: string) =>
    runProcess('sh', ['-c', `exec 2>&1\n${line}`], {
      cwd: directory,
      env: { ...azure.env, PATH: `${directory}/bin:${process.env['PATH'] ?? ''}` },
    });

  test('the flags in README and the guide are those of the parser’s definition', () => {
    const flags = `\n${flagsTable(inspectCommand)}\n`;
    const readme = readFileSync(document('README.md'), 'utf8');
    assert.match(readme, /<!-- firewall-inspector flags -->\n[\s\S]*<!-- \/firewall-inspector flags -->/);
    holds(document('README.md'), fill(readme, 'firewall-inspector flags', flags));
  });

  test('docs/firewall-inspector.md: its examples print what it says, one after another', async () => {
    let wanted = readFileSync(INSPECTOR, 'utf8');
    wanted = fill(wanted, 'firewall-inspector flags', `\n${flagsTable(inspectCommand)}\n`);
    wanted = fill(wanted, 'exit-codes', `\n${exitCodes()}\n`);
    wanted = fill(
      wanted,
      'subcommands',
      `\n| subcommand | does |\n|---|---|\n${SUBCOMMAND_LINES.map(([name, what]) => `| \`${name}\` | ${what} |`).join('\n')}\n`,
    );
    const [, config = ''] = /```ini\n([\s\S]*?)```/.exec(wanted) ?? assert.fail('no config file');
    writeFileSync(join(directory, 'config.env'), config);
    const examples = [...wanted.matchAll(/```sh\n(firewall-inspector [^\n]*)\n```\n\n```text\n([\s\S]*?)```/g)];
    assert.ok(examples.length >= 5, `${examples.length} examples`);
    for (const [whole, line = ''] of examples) {
      if (line.includes('--compare-baseline')) await azure.fleet.change('ssh-open');
      const { stdout } = await shell(line);
      wanted = wanted.replace(whole, () => `\`\`\`sh\n${line}\n\`\`\`\n\n\`\`\`text\n${settled(stdout)}\`\`\``);
    }
    holds(INSPECTOR, wanted);
  });

  test('every other command line of the documents is one that the command takes', () => {
    const lines = [INSPECTOR, AGENT].flatMap((path) => [
      ...readFileSync(path, 'utf8').matchAll(/^firewall-inspector (--[^\n;]*)/gm),
    ]);
    assert.ok(lines.length >= 4);
    for (const [, args = ''] of lines) {
      const invocation = readArguments(
        args.trim().replace('config.env', join(directory, 'config.env')).split(' '),
        inspectCommand.options,
      );
      const settings = new Settings(invocation, { HOME: '/home/ops' });
      assert.ok(settings.mode.kind !== 'look');
      if (settings.provider === 'ssh') assert.equal(settings.target().provider, 'ssh');
    }
  });

  test('docs/agent.md: its commands run, its answers are real, its bodies are taken', async () => {
    let wanted = fill(readFileSync(AGENT, 'utf8'), 'arguments', `\n${argumentsTable()}\n`);
    for (const [, line = ''] of wanted.matchAll(/```sh\n(firewall-inspector [^\n]*)\n```/g)) {
      assert.equal((await shell(line)).code, 0, line);
    }
    const drift = JSON.parse(readFileSync(join(directory, 'audit', 'after_change_drift.json'), 'utf8'));
    const answer = comparedAnswer({ drift, artifact: 'audit/after_change_drift.json', warnings: [] }, 'summary');
    const missing = new OperationError(
      'BASELINE_NOT_FOUND',
      'fw_20260101_000000',
      'no baseline of this session in ./audit',
      {
        nextStep: 'the newest are before_change; or record one with --is-baseline',
      },
    );
    const error = errorAnswer(toolError(missing), { baselines: ['before_change'] });
    for (const [name, value] of [
      ['answer', answer],
      ['error', error],
    ] as const) {
      wanted = wanted.replace(
        new RegExp(`\`\`\`json ${name}\\n[\\s\\S]*?\`\`\``),
        () => `\`\`\`json ${name}\n${JSON.stringify(value, null, 2)}\n\`\`\``,
      );
    }
    holds(AGENT, wanted);
    const [client, body] = [...wanted.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text = '']) => JSON.parse(text));
    const { command, args } = client.mcpServers['firewall-inspector'];
    assert.deepEqual([command, args[0]], ['firewall-inspector', 'mcp']);
    readArguments(args.slice(1), mcpCommand.options);
    assert.ok(toolInputSchema.safeParse(body).success);
  });
});

/** Times and digests are others in every run. */
function settled(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '2026-11-23T06:00:00.000Z')
    .replace(/sha256 [0-9a-f]{64}/g, `sha256 ${'9f2c'.repeat(16)}`)
    .replace(/sha256 [0-9a-f]{16}…/g, 'sha256 9f2c9f2c9f2c9f2c…')
    .replace(/sha256 [0-9a-f]{8}…/g, 'sha256 9f2c9f2c…');
}
