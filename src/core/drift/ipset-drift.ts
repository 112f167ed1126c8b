import { counted } from '../counted.ts';
import {
  diffIpsets,
  type Ipset,
  type IpsetChange,
  type IpsetCollection,
  type IpsetEntry,
  ipsetOption,
  printIpsetEntry,
} from '../ipset/index.ts';
import { type IptablesRuleset, printRule } from '../iptables/index.ts';
import type { JsonObject } from '../json.ts';
import { addressWithin, isBannable, WIRESERVER } from './addresses.ts';
import type { AssessedChange } from './family-drift.ts';
import { type SetUser, SetUsers } from './ipset-users.ts';
import { isBanTool, type Owner, setOwner } from './owners.ts';
import type { Assessment, Severity } from './severity.ts';

const MEMBERS_LISTED_MAX = 1000;
const USERS_LISTED_MAX = 20;
const SET: Assessment = { severity: 'low', reason: '' };

/**
 * The differences of two captures' ipsets, each judged by the rules that look the set up: a member of a set that a
 * drop rule uses is an address dropped or let through.
 *
 * @param rulesets  every iptables ruleset of the current capture, of both families and backends
 */
export function assessIpsetDrift(
  baseline: IpsetCollection,
  current: IpsetCollection,
  rulesets: readonly IptablesRuleset[],
): AssessedChange[] {
  const diff = diffIpsets(baseline, current);
  const users = new SetUsers(rulesets, current);
  const changes: AssessedChange[] = [];
  for (const set of diff.setsAdded) changes.push(wholeSet('sets_added', set, users.of(set.name)));
  for (const set of diff.setsRemoved) changes.push(wholeSet('sets_removed', set, users.of(set.name)));
  for (const change of diff.setsChanged) changes.push(changedSet(change, users.of(change.after.name)));
  for (const [lines, verb] of [
    [diff.unparsedAdded, 'added'],
    [diff.unparsedRemoved, 'removed'],
  ] as const) {
    for (const text of lines) {
      const reason = `a line of the ipset listing that is not understood was ${verb}`;
      const detail = { change: verb, text };
      changes.push(made('unparsed_changed', `${verb} ${text}`, { severity: 'high', reason }, detail, null, false));
    }
  }
  return changes;
}

function made(
  kind: AssessedChange['kind'],
  subject: string,
  assessment: Assessment,
  detail: JsonObject,
  owner: Owner | null,
  ephemeral: boolean,
): AssessedChange {
  return {
    kind,
    table: null,
    chain: null,
    subject,
    severity: ephemeral ? 'noise' : assessment.severity,
    reason: ephemeral ? `made by ${owner?.name} itself: ${assessment.reason}` : assessment.reason,
    owner: owner?.name ?? null,
    ephemeral,
    detail,
  };
}

function wholeSet(kind: 'sets_added' | 'sets_removed', set: Ipset, users: readonly SetUser[]): AssessedChange {
  const owner = setOwner(null, set.name);
  const verb = kind === 'sets_added' ? 'added' : 'removed';
  const count = set.entries.size;
  // The kernel does not let a set go that a rule uses, so a removed one was used by rules that went too.
  const severity: Severity = users.length === 0 ? SET.severity : 'medium';
  const use = users.length === 0 ? 'no rule uses it' : `used by ${counted(users.length, 'rule')}, judged apart`;
  const reason = `set ${set.name} with ${counted(count, 'member')} ${verb}: ${use}`;
  const detail = { set: set.name, type: set.type, member_count: count, used_by: usersDetail(users) };
  const ephemeral = isChurn(owner, [...set.entries.values()], users);
  return made(kind, `${set.name} ${set.type}`, { severity, reason }, detail, owner, ephemeral);
}

function changedSet(change: IpsetChange, users: readonly SetUser[]): AssessedChange {
  const { before, after, entriesAdded, entriesRemoved, entriesChanged } = change;
  const owner = setOwner(null, after.name);
  const assessment = judgeSet(change, users);
  const onlyMembers = !change.typeChanged && change.options.length === 0;
  const came = [...entriesAdded, ...entriesChanged.map((entry) => entry.after)];
  const ephemeral = onlyMembers && isChurn(owner, came, users);
  const detail: JsonObject = {
    set: after.name,
    type: after.type,
    ...(change.typeChanged ? { baseline_type: before.type } : {}),
    member_count: after.entries.size,
    baseline_member_count: before.entries.size,
    members_added_count: entriesAdded.length,
    members_removed_count: entriesRemoved.length,
    members_added: entriesAdded.slice(0, MEMBERS_LISTED_MAX).map(printIpsetEntry),
    members_removed: entriesRemoved.slice(0, MEMBERS_LISTED_MAX).map(printIpsetEntry),
    members_changed: entriesChanged.slice(0, MEMBERS_LISTED_MAX).map((entry) => ({
      before: printIpsetEntry(entry.before),
      after: printIpsetEntry(entry.after),
    })),
    options_changed: change.options.map((option) => ({ ...option })),
    reordered: change.reordered,
    used_by: usersDetail(users),
  };
  return made('sets_changed', subjectOf(change), assessment, detail, owner, ephemeral);
}

/**
 * Members that their ephemeral owner adds and removes by itself: bans of guests, addresses of services. Who can write a
 * set can use its name, so one that bans half the world, spares someone or opens a way in is none.
 */
function isChurn(owner: Owner | null, came: readonly IpsetEntry[], users: readonly SetUser[]): boolean {
  if (owner?.ephemeral !== true || came.some(isUnlikeChurn)) return false;
  if (!isBanTool(owner)) return true;
  const areBans = came.every(({ member }) => isBannable(member.split(',')[0] ?? '', owner));
  return areBans && !users.some(({ use }) => use === 'accept');
}

function isUnlikeChurn(entry: IpsetEntry): boolean {
  return (
    isHuge(entry) ||
    entry.options.some(({ name }) => name === 'nomatch') ||
    entry.member.split(',').some((part) => addressWithin(part, WIRESERVER, 0))
  );
}

/** The set and what of it changed, so that a finding put aside today does not hide tomorrow's other member. */
function subjectOf(change: IpsetChange): string {
  return JSON.stringify([
    change.after.name,
    change.after.type,
    change.options.map(({ name, after }) => [name, after]),
    change.entriesAdded.map(({ member }) => member).sort(),
    change.entriesRemoved.map(({ member }) => member).sort(),
    change.entriesChanged.map(({ after, options }) => [
      after.member,
      options.map(({ name, after: now }) => [name, now]),
    ]),
    change.reordered,
  ]);
}

function judgeSet(change: IpsetChange, users: readonly SetUser[]): Assessment {
  const name = change.after.name;
  const what = describeMembers(change);
  if (change.typeChanged || change.options.some((option) => option.name === 'family')) {
    const severity = users.length === 0 ? 'medium' : 'critical';
    return { severity, reason: `set ${name} is of another kind now: ${change.before.type} to ${change.after.type}` };
  }
  const mask = change.options.find((option) => /^(net|bit|mark)mask$/.test(option.name));
  if (mask !== undefined) {
    const severity = users.length === 0 ? 'medium' : 'critical';
    return { severity, reason: `set ${name}: ${mask.name} changed, so its members mean other addresses` };
  }
  if (what === '') {
    return {
      severity: 'low',
      reason: `set ${name}: ${change.options.map((option) => option.name).join(', ')} changed`,
    };
  }
  if (users.length === 0) return { severity: 'low', reason: `set ${name}: ${what}; no rule uses it` };
  if (isOnlyComments(change)) return { severity: 'low', reason: `set ${name}: only comments of members changed` };
  const deny = users.find(({ use }) => use === 'deny');
  if (deny !== undefined) {
    const reason = `set ${name}: ${what}; a rule that drops looks it up: ${printRule(deny.rule)}`;
    return { severity: 'critical', reason };
  }
  const accept = users.find(({ use }) => use === 'accept');
  if (accept !== undefined) {
    const severity = change.entriesAdded.some(isHuge) ? 'critical' : 'high';
    return { severity, reason: `set ${name}: ${what}; a rule that accepts looks it up: ${printRule(accept.rule)}` };
  }
  const steer = users.find(({ use }) => use === 'steer');
  if (steer !== undefined) {
    const reason = `set ${name}: ${what}; a rule that steers packets looks it up: ${printRule(steer.rule)}`;
    return { severity: 'high', reason };
  }
  const first = users[0] as SetUser;
  return { severity: 'medium', reason: `set ${name}: ${what}; looked up by ${printRule(first.rule)}` };
}

function isOnlyComments({ entriesAdded, entriesRemoved, entriesChanged, reordered }: IpsetChange): boolean {
  if (reordered || entriesAdded.length + entriesRemoved.length > 0) return false;
  return entriesChanged.every(({ options }) => options.every((option) => option.name === 'comment'));
}

function describeMembers(change: IpsetChange): string {
  const parts: string[] = [];
  const list = (entries: readonly IpsetEntry[], verb: string): void => {
    const [only] = entries;
    if (only === undefined) return;
    parts.push(entries.length === 1 ? `${only.member} ${verb}` : `${entries.length} members ${verb}`);
  };
  list(change.entriesAdded, 'added');
  list(change.entriesRemoved, 'removed');
  list(
    change.entriesChanged.map(({ after }) => after),
    'changed',
  );
  if (change.reordered) parts.push('members in another order');
  return parts.join(', ');
}

/** A network so large that no ban is meant: a /8 of IPv4 or more, a /16 of IPv6 or more. */
function isHuge(entry: IpsetEntry): boolean {
  return (
    entry.member.split(',').some((part) => {
      const prefix = /^([0-9a-fA-F.:]+)\/([0-9]+)$/.exec(part);
      if (prefix === null) return false;
      return Number(prefix[2]) <= ((prefix[1] ?? '').includes(':') ? 16 : 8);
    }) && ipsetOption(entry.options, 'nomatch') === null
  );
}

function usersDetail(users: readonly SetUser[]): JsonObject['used_by'] & object {
  return users.slice(0, USERS_LISTED_MAX).map(({ rule }) => ({
    family: rule.family,
    table: rule.table,
    chain: rule.chain,
    rule: printRule(rule),
  }));
}
