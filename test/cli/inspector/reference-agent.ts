import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// What the reference's agent does with its inspector, step by step: it writes a config file, runs the command with it,
// and reads the newest document of the audit directory.

export interface AgentCall {
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Lines of the config file that the agent makes. */
  readonly config: Readonly<Record<string, string>>;
  readonly auditDir: string;
  readonly isBaseline?: boolean;
  readonly compareSessionId?: string;
  readonly sessionId?: string;
}

type Rule = Record<string, unknown>;
interface Family {
  readonly error?: string;
  readonly drift_detected: boolean;
  readonly has_critical_changes: boolean;
  readonly summary: Record<string, number>;
  readonly changes: Record<string, Rule[]>;
}

export interface AgentResult {
  readonly status: string;
  readonly [member: string]: unknown;
}

const TIMEOUT_MS = 120_000;

export function callAsTheAgentDoes(call: AgentCall): AgentResult {
  const scratch = mkdtempSync(join(tmpdir(), 'agent-'));
  const configPath = join(scratch, 'tmp.env');
  const lines = Object.entries({ ...call.config, AUDIT_DIR: call.auditDir, FAMILY: 'both' }).map(
    ([key, value]) => `${key}=${value}`,
  );
  writeFileSync(configPath, `${lines.join('\n')}\n`);
  const mode = call.isBaseline === true ? ['--is-baseline'] : ['--compare-baseline', call.compareSessionId ?? ''];
  const session = call.sessionId === undefined ? [] : ['--session-id', call.sessionId];
  const started = Date.now();
  const [program = '', ...args] = call.command;
  const { status, error } = spawnSync(program, [...args, '--config', configPath, ...mode, ...session], {
    env: call.env,
    timeout: TIMEOUT_MS,
    stdio: 'ignore',
  });
  rmSync(scratch, { recursive: true });
  if (error !== undefined) return { status: 'error', error: error.message };
  const artifact = newest(call.auditDir, call.isBaseline === true ? '_snapshot.json' : '_drift.json', started);
  if (artifact === null) return { status: 'error', error: 'no artifact was produced', exit_code: status };
  const document = JSON.parse(readFileSync(artifact, 'utf8'));
  return call.isBaseline === true ? readSnapshot(artifact, document) : readDrift(artifact, document);
}

function newest(directory: string, ending: string, since: number): string | null {
  const found = readdirSync(directory)
    .filter((name) => name.endsWith(ending))
    .map((name) => ({ path: join(directory, name), time: statSync(join(directory, name)).mtimeMs }))
    .filter(({ time }) => time >= since - 1000)
    .sort((a, b) => b.time - a.time);
  return found[0]?.path ?? null;
}

function readSnapshot(
  artifact: string,
  document: { framework: string; rulesets: Record<string, unknown> },
): AgentResult {
  const blocking: Rule[] = [];
  for (const [family, ruleset] of Object.entries(document.rulesets)) {
    if (!ruleset) continue;
    const { tables } = ruleset as {
      tables: Record<string, { chains: Record<string, { default_policy?: string; rules: Rule[] }> }>;
    };
    for (const [table, { chains }] of Object.entries(tables)) {
      for (const [chain, { default_policy: policy, rules }] of Object.entries(chains)) {
        if (policy === 'DROP' || policy === 'REJECT')
          blocking.push({ family, chain: `${table}/${chain}`, raw_rule: `default policy ${policy}` });
        for (const { target, protocol, dst_port, source, raw_rule } of rules) {
          if (target === 'DROP' || target === 'REJECT')
            blocking.push({ family, chain: `${table}/${chain}`, target, protocol, dst_port, source, raw_rule });
        }
      }
    }
  }
  const sessionId = artifact.replace(/^.*\//, '').replace('_snapshot.json', '');
  return {
    status: 'success',
    mode: 'baseline',
    session_id: sessionId,
    artifact,
    framework: document.framework,
    blocking_rules: blocking,
  };
}

function readDrift(artifact: string, document: { drift_by_family: Record<string, Family> }): AgentResult {
  const result: Record<string, unknown> = {};
  const families = Object.entries(document.drift_by_family).filter(([, family]) => family.error === undefined);
  for (const [name, family] of families) {
    const fields =
      name === 'nft'
        ? ['table', 'chain', 'verdict', 'protocol', 'dst_port', 'src_port', 'src_addr', 'dst_addr', 'comment']
        : ['table', 'chain', 'target', 'protocol', 'dst_port', 'src_port', 'source', 'raw_rule'];
    const { drift_detected, has_critical_changes, summary, changes } = family;
    const condensed: Record<string, unknown> = { drift_detected, has_critical_changes, summary };
    for (const list of ['rules_added', 'rules_removed']) {
      const rules = changes[list] ?? [];
      if (rules.length > 0)
        condensed[list] = rules.map((rule) => Object.fromEntries(fields.map((field) => [field, rule[field] ?? null])));
    }
    for (const list of ['policy_changes', 'chains_added', 'chains_removed']) {
      if ((changes[list] ?? []).length > 0) condensed[list] = changes[list];
    }
    result[name] = condensed;
  }
  return {
    status: 'success',
    mode: 'compare',
    artifact,
    ...result,
    drift_detected: families.some(([, family]) => family.drift_detected),
    has_critical_changes: families.some(([, family]) => family.has_critical_changes),
  };
}
