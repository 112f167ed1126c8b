import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { type Command, optionDescription, optionSynopsis } from '../../src/cli/framework/command.ts';
import { EXIT_TABLE } from '../../src/cli/framework/exit-codes.ts';
import { HELP_OPTIONS } from '../../src/cli/framework/options.ts';
import { iptablesDiff } from '../../src/cli/iptables/diff.ts';
import { iptablesParser } from '../../src/cli/iptables/parser.ts';
import { nftablesDiff } from '../../src/cli/nftables/diff.ts';
import { nftablesParser } from '../../src/cli/nftables/parser.ts';
import { repositoryRoot } from '../support/environment.ts';
import { COMMANDS, commandPath, iptablesPair, run, runProcess, scratch } from './run-command.ts';

const DOCUMENT = join(repositoryRoot, 'docs', 'cli.md');
const ALL: readonly Command[] = [iptablesDiff, nftablesDiff, iptablesParser, nftablesParser];

/** A command block, and the output that follows it. */
const EXAMPLE = /^```sh\n((?:ip|nf)tables-(?:diff|parser) [^\n]*)\n```\n\n```text\n([\s\S]*?)```$/gm;

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function optionsTable({ options }: Command): string {
  const rows = [...options, ...HELP_OPTIONS].map(
    (option) => `| \`${cell(optionSynopsis(option))}\` | ${cell(optionDescription(option))} |`,
  );
  return ['| option | meaning |', '|---|---|', ...rows].join('\n');
}

function generated(name: string): string {
  if (name === 'exit-codes') {
    return ['| code | meaning |', '|---|---|', ...EXIT_TABLE.map(([code, meaning]) => `| ${code} | ${meaning} |`)].join(
      '\n',
    );
  }
  const command = ALL.find((one) => name === `options ${one.name}`);
  assert.ok(command, `docs/cli.md wants "${name}"`);
  return optionsTable(command);
}

/** The document as it should be: generated tables, and outputs as the commands give them now. */
async function upToDate(document: string, directory: string): Promise<string> {
  const withTables = document.replace(
    /<!-- ((?:options|exit-codes)[^>]*?) -->\n[\s\S]*?<!-- end -->/g,
    (_whole, name: string) => `<!-- ${name} -->\n${generated(name)}\n<!-- end -->`,
  );
  const outputs = new Map<string, string>();
  for (const [, command = ''] of withTables.matchAll(EXAMPLE)) {
    const { stdout } = await runProcess('sh', ['-c', `exec 2>&1\n${command}`], {
      env: { PATH: `${directory}:${process.env['PATH'] ?? ''}` },
    });
    outputs.set(command, stdout);
  }
  assert.ok(outputs.size >= 5, `${outputs.size} examples were found: is the search broken?`);
  return withTables.replace(
    EXAMPLE,
    (_whole, command: string) => `\`\`\`sh\n${command}\n\`\`\`\n\n\`\`\`text\n${outputs.get(command)}\`\`\``,
  );
}

/** The four names on the path, as `npm link` would put them there. */
function commandsOnPath(t: { after(done: () => void): void }): string {
  const directory = join(scratch(t), 'bin');
  mkdirSync(directory);
  for (const name of COMMANDS) {
    const file = join(directory, name);
    writeFileSync(file, `#!/bin/sh\nexec '${process.execPath}' '${commandPath(name)}' "$@"\n`);
    chmodSync(file, 0o755);
  }
  return directory;
}

test('docs/cli.md has the options of today, and its examples print what it says', async (t) => {
  const document = readFileSync(DOCUMENT, 'utf8');
  const wanted = await upToDate(document, commandsOnPath(t));
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(DOCUMENT, wanted);
  assert.equal(readFileSync(DOCUMENT, 'utf8'), wanted);
  for (const { name } of ALL) assert.match(wanted, new RegExp(`<!-- options ${name} -->`));
});

test('every member of the JSON is in docs/cli.md, and every one there exists', async () => {
  const document = readFileSync(DOCUMENT, 'utf8');
  const section = document.slice(
    document.indexOf('## The JSON of the diff commands'),
    document.indexOf('## In a pipeline'),
  );
  const documented = [...section.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, names = '']) =>
    names.split(', ').map((name) => name.replaceAll('`', '')),
  );
  const sets = [
    '--baseline-ipset',
    'examples/iptables/before.ipset',
    '--current-ipset',
    'examples/iptables/after.ipset',
  ];
  const rules = ['examples/iptables/before.rules', 'examples/iptables/after.rules'];
  const { stdout } = await run('iptables-diff', ['-o', 'json', '--counters', ...sets, ...rules]);
  assert.deepEqual(documented.sort(), Object.keys(JSON.parse(stdout) as object).sort());
});

test('the drift in the JSON of the diff commands is one entry of a drift document', async () => {
  const schema = JSON.parse(readFileSync(join(repositoryRoot, 'docs/schemas/drift.schema.json'), 'utf8')) as object;
  const ajv = new Ajv2020({ strict: false });
  (formats as unknown as (instance: Ajv2020) => void)(ajv);
  ajv.addSchema(schema, 'drift');
  const validate = ajv.getSchema('drift#/$defs/family');
  assert.ok(validate);
  for (const [command, pair] of [
    ['iptables-diff', iptablesPair('ipt-docker-start')],
    ['iptables-diff', ['examples/iptables/before.rules', 'examples/iptables/after.rules']],
    ['nftables-diff', ['examples/nftables/before.json', 'examples/nftables/after.json']],
  ] as const) {
    const { stdout } = await run(command, ['-o', 'json', ...pair]);
    const { drift } = JSON.parse(stdout) as { drift: unknown };
    assert.equal(validate(drift), true, JSON.stringify(validate.errors));
  }
});
