import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { assessIptablesDrift } from '../../../src/core/drift/iptables-drift.ts';
import {
  applyDiff,
  diffRulesets,
  type IptablesRuleset,
  iptablesDocument,
  isEmptyDiff,
  parseIptablesSave,
  printIptablesSave,
  ruleIdentity,
  rulesetIdentity,
} from '../../../src/core/iptables/index.ts';
import { fixturePath } from '../../support/environment.ts';
import { rulesOf } from './corpus.ts';
import { textOf, textRules } from './generate.ts';

const parse = (text: string): IptablesRuleset => parseIptablesSave(text, { family: 'ipv4' }).ruleset;

test('what is printed reads back as the same ruleset, and prints the same again', () => {
  fc.assert(
    fc.property(textRules, (rules) => {
      const ruleset = parse(textOf(rules));
      assert.equal(rulesOf(ruleset).length, rules.length);
      const printed = printIptablesSave(ruleset);
      assert.equal(rulesetIdentity(parse(printed)), rulesetIdentity(ruleset));
      assert.equal(printIptablesSave(parse(printed)), printed);
    }),
    { numRuns: 500 },
  );
});

test('a ruleset does not differ from itself, however it is printed', () => {
  fc.assert(
    fc.property(textRules, (rules) => {
      const ruleset = parse(textOf(rules));
      assert.ok(isEmptyDiff(diffRulesets(ruleset, parse(textOf(rules)))));
      assert.ok(isEmptyDiff(diffRulesets(ruleset, parse(printIptablesSave(ruleset, { counters: true })))));
      assert.deepEqual(assessIptablesDrift(ruleset, parse(printIptablesSave(ruleset))), []);
    }),
    { numRuns: 300 },
  );
});

test('applying a diff to the baseline gives the current ruleset', () => {
  fc.assert(
    fc.property(textRules, textRules, fc.constantFrom('ACCEPT', 'DROP'), (before, after, policy) => {
      const [baseline, current] = [parse(textOf(before)), parse(textOf(after, policy))];
      const diff = diffRulesets(baseline, current);
      assert.equal(rulesetIdentity(applyDiff(baseline, diff)), rulesetIdentity(current));
    }),
    { numRuns: 500 },
  );
});

test('applying a diff also restores a shuffled chain with rules taken out and put in', () => {
  fc.assert(
    fc.property(
      textRules.chain((rules) => fc.tuple(fc.constant(rules), fc.shuffledSubarray(rules), textRules)),
      ([before, kept, added]) => {
        const [baseline, current] = [parse(textOf(before)), parse(textOf([...kept, ...added]))];
        const diff = diffRulesets(baseline, current);
        assert.equal(rulesetIdentity(applyDiff(baseline, diff)), rulesetIdentity(current));
        assert.equal(isEmptyDiff(diff), rulesetIdentity(baseline) === rulesetIdentity(current));
        assert.equal(assessIptablesDrift(baseline, current).length === 0, isEmptyDiff(diff));
      },
    ),
    { numRuns: 300 },
  );
});

test('every single change of a ruleset is at least one difference', () => {
  fc.assert(
    fc.property(
      textRules,
      fc.nat(),
      fc.constantFrom('remove', 'repeat', 'swap', 'retarget', 'policy'),
      (rules, at, kind) => {
        fc.pre(rules.length > 1);
        const index = at % rules.length;
        const changed = [...rules];
        const rule = rules[index] as (typeof rules)[0];
        if (kind === 'remove') changed.splice(index, 1);
        else if (kind === 'repeat') changed.splice(index, 0, rule);
        else if (kind === 'retarget')
          changed[index] = { ...rule, body: `${rule.body.replace(/-[jg] .*$/, '')} -j QUEUE` };
        else if (kind === 'swap') {
          const other = (index + 1) % rules.length;
          changed[index] = rules[other] as typeof rule;
          changed[other] = rule;
        }
        const [baseline, current] = [
          parse(textOf(rules)),
          parse(textOf(changed, kind === 'policy' ? 'DROP' : 'ACCEPT')),
        ];
        const perChain = (ruleset: IptablesRuleset): string => rulesetIdentity(ruleset);
        // Two rules of different chains may change places without any chain changing.
        fc.pre(kind !== 'swap' || perChain(baseline) !== perChain(current));
        fc.pre(kind !== 'retarget' || rule.body !== changed[index]?.body);
        const diff = diffRulesets(baseline, current);
        assert.ok(!isEmptyDiff(diff));
        assert.ok(assessIptablesDrift(baseline, current).length > 0);
      },
    ),
    { numRuns: 500 },
  );
});

test('one rule put on top of a thousand is one addition and no move', () => {
  const rules = Array.from({ length: 1000 }, (_, index) => ({
    chain: 'INPUT',
    body: `-s 10.0.${index >> 8}.${index & 255} -j DROP`,
  }));
  const diff = diffRulesets(
    parse(textOf(rules)),
    parse(textOf([{ chain: 'INPUT', body: '-s 1.2.3.4 -j ACCEPT' }, ...rules])),
  );
  assert.equal(diff.chains.length, 1);
  assert.deepEqual(
    diff.chains[0]?.changes.map(({ kind }) => kind),
    ['added'],
  );
  const moved = diffRulesets(parse(textOf(rules)), parse(textOf([...rules.slice(-1), ...rules.slice(0, -1)])));
  assert.deepEqual(
    moved.chains[0]?.changes.map((change) => [change.kind, change.kind === 'moved' && change.fromIndex]),
    [['moved', 999]],
  );
});

test('a rule whose value changed is one modified rule that names the field', () => {
  const before = textOf([{ chain: 'INPUT', body: '-p tcp -m tcp --dport 22 -m comment --comment x -j ACCEPT' }]);
  const diff = diffRulesets(parse(before), parse(before.replace('22', '2222')));
  const [change] = diff.chains[0]?.changes ?? [];
  assert.equal(change?.kind, 'modified');
  assert.deepEqual(change?.kind === 'modified' && change.fields, ['tcp.dport']);
});

test('no cut of a ruleset makes reading, printing or comparing throw', () => {
  const text = readFileSync(fixturePath('iptables', 'pairs', 'ipt-kube-churn', 'after.iptables-save.txt'), 'utf8');
  const whole = parse(text);
  const short = `${text.slice(0, 900)}${'-A INPUT -m comment --comment "x\\" y" -m set ! --match-set a src -j LOG --log-prefix "it\\\'s "\n'}`;
  for (let cut = 0; cut <= short.length; cut += 1) {
    const { ruleset } = parseIptablesSave(short.slice(0, cut), { family: 'ipv4' });
    printIptablesSave(ruleset);
    JSON.stringify(iptablesDocument(ruleset));
    diffRulesets(ruleset, whole);
  }
  for (let cut = 0; cut <= text.length; cut += 97) assessIptablesDrift(whole, parse(text.slice(0, cut)));
});

test('no bytes make the parser throw, and no rule of them is lost', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.constantFrom('ipv4' as const, 'ipv6' as const),
      (bytes, family) => {
        const text = Buffer.from(bytes).toString('latin1');
        const { ruleset } = parseIptablesSave(`*filter\n-A INPUT ${text}\n${text}`, { family });
        for (const rule of rulesOf(ruleset)) ruleIdentity(rule);
        printIptablesSave(ruleset);
        assert.ok(ruleset.tables.has('filter'));
      },
    ),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom('-A', '"', '\\', '!', ' ', '--dport', '-m', 'tcp', '-s', '1', '-j', '*', ':', '[', '\n', '='),
        { maxLength: 60 },
      ),
      (parts) => {
        const { ruleset } = parseIptablesSave(parts.join(''), { family: 'ipv6' });
        const printed = printIptablesSave(ruleset);
        assert.equal(rulesOf(parse(printed)).length >= 0, true);
      },
    ),
    { numRuns: 1000 },
  );
});

test('what is odd in a line does not depend on the lines before it', () => {
  const told = (text: string): string[] =>
    parseIptablesSave(text, { family: 'ipv4' })
      .diagnostics.filter(({ code }) => code !== 'IPT_UNKNOWN_TARGET')
      .map(({ code, column, excerpt, message }) => `${code} ${column} ${excerpt} ${message}`);
  const values = fc.constantFrom(
    '22',
    '70000',
    '!',
    '-j',
    '1.2.3.4',
    '1.2.3.4/33',
    'a,b',
    '"-j"',
    '"!"',
    'ssh',
    'A',
    'ACCEPT',
    'LOG',
    '',
  );
  const line = fc
    .tuple(values, values, values, fc.constantFrom('-j', '-g'), values)
    .map(([source, port, comment, jump, target]) => ({
      chain: 'INPUT',
      body: `-s ${source} -p tcp -m tcp --dport ${port} -m comment --comment ${comment} ${jump} ${target}`,
    }));
  fc.assert(
    fc.property(fc.oneof(fc.array(line, { maxLength: 30 }), textRules), (rules) => {
      assert.deepEqual(
        told(textOf(rules)),
        rules.flatMap((rule) => told(textOf([rule]))),
      );
    }),
    { numRuns: 1000 },
  );
});
