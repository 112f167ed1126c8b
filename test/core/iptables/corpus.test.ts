import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import {
  diffRulesets,
  type Family,
  IptablesRule,
  isEmptyDiff,
  parseIptablesSave,
  printRule,
  ruleIdentity,
} from '../../../src/core/iptables/index.ts';
import { sharedPath, sharedTest } from '../../support/environment.ts';
import { corpusFiles, jsonLines, rulesOf } from './corpus.ts';

const corpusTest = sharedTest('corpus');

corpusTest(
  'every file of the corpus is read; saved rules print back token for token; 99.5 % of options are typed',
  () => {
    let options = 0;
    let typed = 0;
    let saved = 0;
    const different: string[] = [];
    for (const file of corpusFiles()) {
      const { ruleset } = parseIptablesSave(file.text, { family: file.family });
      for (const rule of rulesOf(ruleset)) {
        const { matches, target } = rule.readFields();
        for (const use of [...matches, ...(target === null ? [] : [target])]) {
          for (const option of use.options) {
            options += 1;
            if (option.understood) typed += 1;
          }
        }
        if (!file.saved) continue;
        saved += 1;
        // nfacct's name is saved behind two blanks: the same tokens, one blank here.
        const printed = printRule(IptablesRule.fromText(rule, rule.text));
        if (printed !== rule.text.replace('--nfacct-name  ', '--nfacct-name '))
          different.push(`${rule.text}\n${printed}`);
      }
    }
    assert.deepEqual(different, []);
    assert.ok(saved > 100_000, `${saved} saved rules`);
    assert.ok(typed / options >= 0.995, `${typed} of ${options} options typed`);
  },
);

interface KernelRow {
  readonly table: string;
  readonly chain: string;
  readonly family: '4' | '6';
  readonly backend: 'legacy' | 'nft';
  readonly rule: string;
  readonly saved?: string;
  readonly rc: number;
}

corpusTest("a rule of iptables' own tests and its saved form are one identity, fully typed", () => {
  const directory = sharedPath('corpus', 'iptables-t-kernel');
  const different: string[] = [];
  let compared = 0;
  for (const name of readdirSync(directory)) {
    for (const row of jsonLines<KernelRow>(`${directory}/${name}`)) {
      if (row.rc !== 0 || row.saved === undefined || row.saved === '') continue;
      const family: Family = row.family === '4' ? 'ipv4' : 'ipv6';
      const given = IptablesRule.fromText({ ...row, family }, `-A ${row.chain} ${row.rule}`);
      const saved = IptablesRule.fromText({ ...row, family }, row.saved);
      compared += 1;
      if (ruleIdentity(given) !== ruleIdentity(saved)) different.push(`${row.backend}: ${row.rule} | ${row.saved}`);
      for (const { fields, text } of [given, saved]) {
        const uses = [...fields.matches, ...(fields.target === null ? [] : [fields.target])];
        assert.ok(
          uses.every(({ understood }) => understood),
          text,
        );
        assert.deepEqual(fields.stray, [], text);
      }
    }
  }
  assert.ok(compared > 1000);
  // What the backend does not keep is another rule: legacy cuts an NFLOG prefix at 63 bytes, nf_tables drops the range.
  const lost = different.filter(
    (row) => !/^legacy: -j NFLOG --nflog-prefix x{65} |^nft: -j NFLOG --nflog-range /.test(row),
  );
  assert.deepEqual(lost, []);
});

corpusTest('every change of one token between two rules is a difference', () => {
  const rows = jsonLines<{ family: Family; table: string; change: string; before: string; after: string }>(
    sharedPath('corpus', 'pairs', 'mutants.jsonl'),
  );
  const parse = (family: Family, table: string, rule: string) =>
    parseIptablesSave(`*${table}\n${rule}\nCOMMIT\n`, { family }).ruleset;
  const unseen = rows.filter(({ family, table, before, after }) =>
    isEmptyDiff(diffRulesets(parse(family, table, before), parse(family, table, after))),
  );
  assert.ok(rows.length > 5000);
  assert.deepEqual(unseen, []);
});

corpusTest('no string in a rule is read as a target, and every string comes back whole', () => {
  const rows = jsonLines<{ chain: string; argv: string[]; saved: string; true_target: string | null }>(
    sharedPath('corpus', 'adversarial.jsonl'),
  );
  assert.ok(rows.length > 50);
  for (const { chain, argv, saved, true_target: target } of rows) {
    const rule = IptablesRule.fromText({ family: 'ipv4', table: 'filter', chain }, saved);
    assert.equal(rule.fields.target?.name ?? null, target, saved);
    assert.equal(printRule(rule), saved);
    const values = [...rule.fields.matches, ...(rule.fields.target === null ? [] : [rule.fields.target])].flatMap(
      ({ options }) => options.flatMap((option) => option.values),
    );
    for (const [index, word] of argv.entries()) {
      if (!/^--(comment|log-prefix|nflog-prefix|string|helper|hashlimit-name)$/.test(word)) continue;
      // The kernel keeps a bounded number of bytes of each.
      const given = argv[index + 1] ?? '';
      assert.ok(
        values.some((value) => value === given || (value.length >= 29 && given.startsWith(value))),
        saved,
      );
    }
  }
});
