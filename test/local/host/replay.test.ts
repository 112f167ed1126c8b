import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  type Action,
  ActionType,
  EventType,
  type HistoryEvent,
  type OrchestratorAnswer,
} from '../../../local/host/durable-protocol.ts';
import { type Decision, replay } from '../../../local/host/replay.ts';
import { sharedPath, sharedTest } from '../../support/environment.ts';

const t0 = Date.parse('2026-01-01T00:00:00.000Z');
const iso = (ms: number): string => new Date(t0 + ms).toISOString();
const stamp = (ms = 0) => ({ EventId: -1, Timestamp: iso(ms) });

const episodeAt = (ms: number): HistoryEvent => ({ ...stamp(ms), EventType: EventType.OrchestratorStarted });
const begun: HistoryEvent[] = [
  episodeAt(0),
  {
    ...stamp(),
    EventType: EventType.ExecutionStarted,
    OrchestrationInstance: { InstanceId: 'i', ExecutionId: 'e' },
    Name: 'o',
    Version: '',
    Input: null,
  },
];
const scheduled = (id: number, name: string): HistoryEvent => ({
  EventId: id,
  Timestamp: iso(0),
  EventType: EventType.TaskScheduled,
  Name: name,
  Input: '[null]',
});
const created = (id: number, name: string): HistoryEvent => ({
  EventId: id,
  Timestamp: iso(0),
  EventType: EventType.SubOrchestrationInstanceCreated,
  Name: name,
  Version: '',
  InstanceId: `e:${id}`,
  Input: null,
});
const timer = (id: number, ms: number): HistoryEvent => ({
  EventId: id,
  Timestamp: iso(0),
  EventType: EventType.TimerCreated,
  FireAt: iso(ms),
});
const completed = (id: number): HistoryEvent => ({
  ...stamp(),
  EventType: EventType.TaskCompleted,
  TaskScheduledId: id,
  Result: '1',
});
const failed = (id: number): HistoryEvent => ({
  ...stamp(),
  EventType: EventType.TaskFailed,
  TaskScheduledId: id,
  Reason: 'r',
  Details: 'd',
  FailureDetails: null,
});
const fired = (id: number, ms: number): HistoryEvent => ({
  ...stamp(ms),
  EventType: EventType.TimerFired,
  TimerId: id,
  FireAt: iso(ms),
});
const raised = (name: string): HistoryEvent => ({
  ...stamp(),
  EventType: EventType.EventRaised,
  Name: name,
  Input: '1',
});

const call = (functionName: string): Action => ({ actionType: ActionType.CallActivity, functionName });
const sub = (functionName: string, instanceId?: string): Action => ({
  actionType: ActionType.CallSubOrchestrator,
  functionName,
  ...(instanceId ? { instanceId } : {}),
});
const wait = (externalEventName: string): Action => ({
  actionType: ActionType.WaitForExternalEvent,
  externalEventName,
});
const at = (ms: number, isCanceled = false): Action => ({
  actionType: ActionType.CreateTimer,
  fireAt: iso(ms),
  isCanceled,
});
const all = (...compoundActions: Action[]): Action => ({ actionType: ActionType.WhenAll, compoundActions });
const any = (...compoundActions: Action[]): Action => ({ actionType: ActionType.WhenAny, compoundActions });
const retried = (functionName: string, maxNumberOfAttempts: number, more: object = {}): Action => ({
  actionType: ActionType.CallActivityWithRetry,
  functionName,
  retryOptions: { firstRetryIntervalInMilliseconds: 1000, maxNumberOfAttempts, ...more },
});
const again = (input: unknown): Action => ({ actionType: ActionType.ContinueAsNew, input });

function decide(history: HistoryEvent[], actions: Action[], rest: Partial<OrchestratorAnswer> = {}): Decision {
  return replay(history, { isDone: false, ...rest, actions: [actions] }, { instanceId: 'i', executionId: 'e' });
}
/** What is to be scheduled, as `<sequence id> <name or due time>`. */
function names(decision: Decision): string[] {
  return decision.scheduled.map((event) =>
    event.EventType === EventType.TimerCreated
      ? `${event.EventId} at ${Date.parse(event.FireAt) - t0}`
      : `${event.EventId} ${event.Name}`,
  );
}

test('only the first action is invoked; the next waits for its answer', () => {
  assert.deepEqual(names(decide(begun, [call('a')])), ['0 a']);
  const history = [...begun, scheduled(0, 'a'), episodeAt(5), completed(0)];
  assert.deepEqual(names(decide(history, [call('a'), call('b')])), ['1 b']);
  assert.deepEqual(names(decide([...begun, scheduled(0, 'a')], [call('a'), call('b')])), []);
});

test('the argument is sent as an array of one', () => {
  const [event] = decide(begun, [{ ...call('a'), input: { n: 1 } }]).scheduled;
  assert.equal(event?.EventType === EventType.TaskScheduled && event.Input, '[{"n":1}]');
});

test('Task.all schedules every child at once and waits for all, even after a failure', () => {
  const actions = [all(call('a'), call('b'), call('c')), call('next')];
  assert.deepEqual(names(decide(begun, actions)), ['0 a', '1 b', '2 c']);
  const open = [
    ...begun,
    scheduled(0, 'a'),
    scheduled(1, 'b'),
    scheduled(2, 'c'),
    episodeAt(1),
    failed(1),
    completed(0),
  ];
  assert.deepEqual(names(decide(open, actions)), []);
  assert.deepEqual(names(decide([...open, completed(2)], actions)), ['3 next']);
});

test('Task.any goes on at the first answer', () => {
  const history = [...begun, scheduled(0, 'a'), scheduled(1, 'b'), episodeAt(1), completed(1)];
  assert.deepEqual(names(decide(history, [any(call('a'), call('b')), call('next')])), ['2 next']);
});

test('compound tasks nest', () => {
  const actions = [all(any(call('a'), wait('Go')), call('b')), call('next')];
  const history = [...begun, scheduled(0, 'a'), scheduled(1, 'b'), raised('Go')];
  assert.deepEqual(names(decide(history, actions)), []);
  assert.deepEqual(names(decide([...history, completed(1)], actions)), ['2 next']);
});

test('a retried call takes ids as it goes: attempt, pause, attempt, and one last timer that fires at once', () => {
  const actions = [retried('a', 2, { backoffCoefficient: 3 })];
  const history = [...begun];
  assert.deepEqual(names(decide(history, actions)), ['0 a']);
  history.push(scheduled(0, 'a'), episodeAt(10), failed(0));
  assert.deepEqual(names(decide(history, actions)), ['1 at 1010']);
  history.push(timer(1, 1010), episodeAt(1010), fired(1, 1010));
  assert.deepEqual(names(decide(history, actions)), ['2 a']);
  history.push(scheduled(2, 'a'), episodeAt(1020), failed(2));
  assert.deepEqual(names(decide(history, actions)), ['3 at 1020']);
  history.push(timer(3, 1020), episodeAt(1021), fired(3, 1020));
  assert.deepEqual(names(decide(history, [...actions, call('next')])), ['4 next']);
});

test('pauses between attempts grow by the coefficient up to the longest allowed', () => {
  const actions = [retried('a', 9, { backoffCoefficient: 10, maxRetryIntervalInMilliseconds: 5000 })];
  const history = [
    ...begun,
    scheduled(0, 'a'),
    failed(0),
    timer(1, 1000),
    fired(1, 1000),
    scheduled(2, 'a'),
    failed(2),
  ];
  assert.deepEqual(names(decide(history, actions)), ['3 at 5000']);
});

test('a retry whose time is used up gets no timer, so the orchestrator is stuck, as on Azure', () => {
  const actions = [retried('a', 9, { retryTimeoutInMilliseconds: 500 })];
  const { outcome } = decide([...begun, scheduled(0, 'a'), episodeAt(500), failed(0)], actions);
  assert.deepEqual(outcome, { kind: 'running', functionEnded: false, openTimers: 0, stuck: true });
});

test('a sub-orchestration is called after the execution and its sequence id, unless it has an id of its own', () => {
  const ids = decide(begun, [all(call('a'), sub('child'), sub('child', 'mine'))]).scheduled.map((event) =>
    event.EventType === EventType.SubOrchestrationInstanceCreated ? event.InstanceId : null,
  );
  assert.deepEqual(ids, [null, 'e:1', 'mine']);
});

test('an event that came before anyone listened is kept, in order', () => {
  const actions = [call('a'), wait('Go'), wait('Go'), call('b')];
  const history = [...begun, scheduled(0, 'a'), raised('Go'), raised('Other'), raised('Go'), completed(0)];
  assert.deepEqual(names(decide(history, actions)), ['1 b']);
});

test('of two listeners for the same event the later one is served first', () => {
  const both = [any(wait('Go'), call('a')), any(wait('Go'), call('b')), call('c')];
  const history = [...begun, scheduled(0, 'a'), completed(0), scheduled(1, 'b')];
  assert.deepEqual(names(decide([...history, raised('Go')], both)), ['2 c']);
});

test('a timer that is cancelled later changes nothing that was decided before', () => {
  const open = [...begun, timer(0, 60_000)];
  assert.deepEqual(names(decide(open, [any(wait('Go'), at(60_000))])), []);
  const after = decide([...open, episodeAt(5), raised('Go')], [any(wait('Go'), at(60_000, true)), call('a')]);
  assert.deepEqual(names(after), ['1 a']);
});

test('a cancelled timer holds up neither Task.all nor Task.any', () => {
  const history = [...begun, scheduled(0, 'a'), timer(1, 60_000), episodeAt(5), failed(0)];
  assert.deepEqual(names(decide(history, [all(call('a'), at(60_000)), call('b')])), []);
  assert.deepEqual(names(decide(history, [all(call('a'), at(60_000, true)), call('b')])), ['2 b']);
  assert.deepEqual(names(decide([...begun, timer(0, 60_000)], [any(at(60_000, true)), call('b')])), ['1 b']);
});

test('an event that a race has consumed is not carried over to the next execution', () => {
  const history = [...begun, timer(0, 60_000), episodeAt(5), raised('Go'), raised('Go')];
  const { outcome } = decide(history, [any(wait('Go'), at(60_000, true)), again({ n: 2 })], { isDone: true });
  assert.equal(outcome.kind, 'continued');
  assert.deepEqual(outcome.kind === 'continued' && [outcome.input, outcome.carriedOver.length], [{ n: 2 }, 1]);
});

test('a timer beyond six days is made of legs of three', () => {
  const day = 86_400_000;
  const actions = [at(8 * day), call('a')];
  assert.deepEqual(names(decide(begun, actions)), [`0 at ${3 * day}`]);
  const history = [...begun, timer(0, 3 * day), episodeAt(3 * day), fired(0, 3 * day)];
  assert.deepEqual(names(decide(history, actions)), [`1 at ${8 * day}`]);
  history.push(timer(1, 8 * day), episodeAt(8 * day), fired(1, 8 * day));
  assert.deepEqual(names(decide(history, actions)), ['2 a']);
});

test('an orchestration completes only when nothing it started is open', () => {
  const actions = [any(call('a'), at(60_000))];
  const history = [...begun, scheduled(0, 'a'), timer(1, 60_000), completed(0)];
  const early = decide(history, actions, { isDone: true, output: 7 });
  assert.deepEqual(early.outcome, { kind: 'running', functionEnded: true, openTimers: 1, stuck: false });
  const late = decide([...history, fired(1, 60_000)], actions, { isDone: true, output: 7 });
  assert.deepEqual(late.outcome, { kind: 'completed', output: 7 });
});

test('a failure waits for what is open, and then is the outcome', () => {
  const actions = [all(call('a'), call('b'))];
  const history = [...begun, scheduled(0, 'a'), scheduled(1, 'b'), failed(0)];
  assert.equal(decide(history, actions, { error: 'no' }).outcome.kind, 'running');
  assert.deepEqual(decide([...history, completed(1)], actions, { error: 'no' }).outcome, {
    kind: 'failed',
    reason: 'no',
  });
});

test('a second answer to the same call is ignored', () => {
  const history = [...begun, scheduled(0, 'a'), completed(0), completed(0)];
  assert.deepEqual(names(decide(history, [call('a'), call('b'), call('c')])), ['1 b']);
});

const disagreements: [string, HistoryEvent[], Action[], RegExp][] = [
  [
    'another activity',
    [scheduled(0, 'a')],
    [call('b')],
    /'a' with sequence id 0, but the replay schedules the activity 'b'/,
  ],
  ['another kind of call', [scheduled(0, 'a')], [sub('a')], /the replay schedules the sub-orchestration 'a'/],
  [
    'a timer instead',
    [created(0, 'a')],
    [at(5)],
    /sub-orchestration 'a' with sequence id 0, but the replay schedules a timer/,
  ],
  ['nothing any more', [scheduled(0, 'a'), scheduled(1, 'b')], [call('a')], /does not schedule anything with that id/],
];
for (const [what, past, actions, message] of disagreements) {
  test(`a replay that schedules ${what} is non-deterministic and fails the orchestration`, () => {
    const { outcome, scheduled: next } = decide([...begun, ...past], actions);
    assert.equal(outcome.kind, 'failed');
    assert.match(outcome.kind === 'failed' ? outcome.reason : '', message);
    assert.deepEqual(next, []);
  });
}

test('durable entities are refused by name', () => {
  const { outcome } = decide(begun, [{ actionType: ActionType.CallEntity, instanceId: '@counter@a' }]);
  assert.match(outcome.kind === 'failed' ? outcome.reason : '', /CallEntity is not supported/);
});

test('a call of an unknown function fails the orchestration, not the call', () => {
  const answer = { isDone: false, actions: [[call('nope')]] };
  const { outcome } = replay(begun, answer, { instanceId: 'i', executionId: 'e', isKnown: () => false });
  assert.match(outcome.kind === 'failed' ? outcome.reason : '', /^The function 'nope' doesn't exist/);
});

test('a fan-out of 10,000 replays in time proportional to its size', () => {
  const count = 10_000;
  const ids = Array.from({ length: count }, (_, id) => id);
  const history = [...begun, ...ids.map((id) => scheduled(id, 'a')), ...ids.map((id) => completed(id))];
  const decision = decide(history, [all(...ids.map(() => call('a'))), call('b')]);
  assert.deepEqual(names(decision), [`${count} b`]);
});

interface Episode {
  orchestrator: string;
  triggerBinding: { history: HistoryEvent[]; instanceId: string };
  returned?: OrchestratorAnswer;
}

sharedTest('facts')('recorded episodes of another host lead to the same decisions', () => {
  const file = sharedPath('facts', 'local-host-examples', 'episodes.json');
  const episodes = JSON.parse(readFileSync(file, 'utf8')) as Episode[];
  let compared = 0;
  for (const [index, episode] of episodes.entries()) {
    const { history, instanceId } = episode.triggerBinding;
    if (!episode.returned) continue;
    const begin = history.find((event) => event.EventType === EventType.ExecutionStarted);
    const executionId = begin?.OrchestrationInstance.ExecutionId ?? '';
    const decision = replay(history, episode.returned, { instanceId, executionId });
    const next = episodes.slice(index + 1).find((later) => later.triggerBinding.instanceId === instanceId)
      ?.triggerBinding.history;
    if (!next) continue;
    const end = next.findIndex(
      (event, at) => at >= history.length && event.EventType === EventType.OrchestratorCompleted,
    );
    assert.deepEqual(decision.scheduled.map(essence), next.slice(history.length, end).map(essence));
    compared += 1;
  }
  assert.ok(compared >= 15, `${compared} episodes compared`);
});

function essence(event: HistoryEvent): object {
  const { EventType: type, EventId: id } = event;
  const { Name, Input, FireAt, InstanceId } = event as {
    Name?: string;
    Input?: string;
    FireAt?: string;
    InstanceId?: string;
  };
  return { type, id, Name, Input, FireAt, InstanceId };
}
