import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  comparedAnswer,
  DATA_NOTICE,
  errorAnswer,
  recordedAnswer,
  runningAnswer,
  toolError,
} from '../../agent/answer.ts';
import { parseArguments } from '../../agent/arguments.ts';
import { boundAnswer } from '../../agent/bounded.ts';
import {
  getDriftInput,
  getOperationInput,
  jsonSchemaOf,
  listBaselinesInput,
  TOOL_DESCRIPTION,
  TOOL_NAME,
  type ToolInput,
  toolInputSchema,
  toolInputShape,
} from '../../agent/tool-input.ts';
import { printable } from '../../core/diagnostics.ts';
import { OperationError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { AuditDirectory } from './audit-directory.ts';
import { type Inspection, inspect } from './inspect.ts';
import { describeSession } from './list-command.ts';
import type { Settings, Target } from './settings.ts';
import { readDrift } from './show-command.ts';

/** What the tools are given of the world. */
export interface AgentWorld {
  readonly settings: Settings;
  readonly env: NodeJS.ProcessEnv;
  readonly waitSeconds: number;
  readonly now: () => Date;
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
}

export interface ToolCall {
  readonly content: JsonObject;
  readonly isError: boolean;
}

/** An inspection under way or done; its outcome is kept for `get_operation`. */
interface Operation {
  readonly input: ToolInput;
  readonly done: Promise<Outcome>;
  outcome: Outcome | null;
}

type Outcome = { readonly found: Inspection } | { readonly error: unknown };

const RUNNING_MAX = 4;
const KEPT_MAX = 100;
const LISTED_MAX = 20;
const RETRY_SECONDS = 10;

/** Without what says where a VM is: over MCP that is the operator's word, and refused. */
const OFFERED = toolInputShape.omit({ vm_id: true, resource_group: true, subscription_id: true });

const READ_ONLY = { readOnlyHint: true, destructiveHint: false, openWorldHint: true } as const;

/** The tools of the server. Arguments are checked here; what goes wrong is thrown as OperationError. */
export class AgentTools {
  readonly #world: AgentWorld;
  readonly #operations = new Map<string, Operation>();

  constructor(world: AgentWorld) {
    this.#world = world;
  }

  list() {
    return [
      {
        name: TOOL_NAME,
        title: 'Detect firewall drift inside a VM',
        description: TOOL_DESCRIPTION,
        inputSchema: jsonSchemaOf(OFFERED),
        annotations: { title: 'Detect firewall drift inside a VM', ...READ_ONLY, idempotentHint: false },
      },
      {
        name: 'get_operation',
        title: 'Result of a run that went on',
        description: `Read-only (SAFE): waits for a run of ${TOOL_NAME} that answered status "running", and gives its answer.`,
        inputSchema: jsonSchemaOf(getOperationInput),
        annotations: { title: 'Result of a run that went on', ...READ_ONLY, idempotentHint: true },
      },
      {
        name: 'list_baselines',
        title: 'Recorded baselines',
        description:
          'Read-only (SAFE): the newest recorded baselines, each verified; their ids fit compare_session_id.',
        inputSchema: jsonSchemaOf(listBaselinesInput),
        annotations: { title: 'Recorded baselines', ...READ_ONLY, openWorldHint: false, idempotentHint: true },
      },
      {
        name: 'get_drift',
        title: 'A stored comparison',
        description: 'Read-only (SAFE): a comparison made earlier, by its session id; no host is asked.',
        inputSchema: jsonSchemaOf(getDriftInput),
        annotations: { title: 'A stored comparison', ...READ_ONLY, openWorldHint: false, idempotentHint: true },
      },
    ];
  }

  /** @param signal  the client's: aborted when it cancels this call */
  async call(
    { name, args }: { readonly name: string; readonly args: unknown },
    signal: AbortSignal,
  ): Promise<ToolCall> {
    switch (name) {
      case TOOL_NAME:
        return this.#detect(parseArguments(toolInputSchema, args), signal);
      case 'get_operation': {
        const { operation_id: id, detail } = parseArguments(getOperationInput, args);
        const operation = this.#operations.get(id);
        if (operation !== undefined) return this.#answerOf(id, operation, detail ?? operation.input.detail);
        throw new OperationError('OPERATION_MISSING', id, 'this server has started no such run', {
          nextStep: 'runs are known to the server that started them, while it lives; start it anew',
        });
      }
      case 'list_baselines':
        parseArguments(listBaselinesInput, args);
        return this.#listBaselines();
      case 'get_drift': {
        const { session_id: id, detail } = parseArguments(getDriftInput, args);
        const { sha256 } = await this.#directory.readVerified(id);
        const drift = await readDrift(this.#directory, id, sha256);
        if (drift === null) {
          throw new OperationError('DRIFT_MISSING', id, 'this session is a baseline, not a comparison', {
            nextStep: `use it as compare_session_id of ${TOOL_NAME}`,
          });
        }
        return { content: comparedAnswer({ drift, artifact: null, warnings: [] }, detail), isError: false };
      }
      default:
        throw new OperationError('AGENT_ARGUMENTS', printable(name.slice(0, 64)), 'there is no such tool', {
          nextStep: `use ${TOOL_NAME}, get_operation, list_baselines or get_drift`,
        });
    }
  }

  get #directory(): AuditDirectory {
    return new AuditDirectory(this.#world.settings.auditDir);
  }

  async #detect(input: ToolInput, cancelled: AbortSignal): Promise<ToolCall> {
    // A run that failed is not among them: asked for again, it is made again.
    const known = [...this.#operations].find(
      ([, { input: asked, outcome }]) =>
        input.session_id !== undefined &&
        asked.session_id === input.session_id &&
        !(outcome !== null && 'error' in outcome),
    );
    // Asked again, as agents do when an answer took too long: the same run, not another one.
    if (known !== undefined && isSameRequest(known[1].input, input)) {
      return this.#answerOf(known[0], known[1], input.detail);
    }
    if (input.vm_id !== undefined || input.resource_group !== undefined || input.subscription_id !== undefined) {
      throw new OperationError(
        'AGENT_ARGUMENTS',
        TOOL_NAME,
        'this server takes no vm_id, resource_group or subscription_id',
        {
          nextStep: 'the configured ones are used; only vm_name may be given',
        },
      );
    }
    const { settings, env, now, note } = this.#world;
    const running = [...this.#operations.values()].filter(({ outcome }) => outcome === null).length;
    if (running >= RUNNING_MAX) {
      throw new OperationError('AGENT_BUSY', TOOL_NAME, `${running} runs are going on`, {
        nextStep: 'wait for one of them with get_operation',
        retryable: true,
      });
    }
    const compared = input.compare_session_id;
    const request = {
      target: this.#targetOf(input),
      family: settings.family,
      mode:
        compared === undefined ? ({ kind: 'baseline' } as const) : ({ kind: 'compare', baseline: compared } as const),
      sessionId: input.session_id ?? null,
      auditDir: settings.auditDir,
    };
    const id = `op_${randomBytes(8).toString('hex')}`;
    const why = [input.hypothesis_id, input.reasoning].filter((part) => part !== undefined).join(': ');
    note(`${id}: ${TOOL_NAME} ${request.mode.kind}, provider ${input.provider} (${printable(why)})`);
    const progress = (what: string): void => note(`${id}: ${what}`);
    const end = new AbortController();
    const signal = AbortSignal.any([this.#world.signal, end.signal]);
    // A client that gives up may ask again by its session id; without one nobody can ever ask for the answer.
    const cancel = (): void => {
      note(`${id}: cancelled`);
      end.abort();
    };
    if (input.session_id === undefined) cancelled.addEventListener('abort', cancel, { once: true });
    const done = inspect(request, { env, progress, now, signal }).then(
      (found): Outcome => ({ found }),
      (error: unknown): Outcome => ({ error }),
    );
    const operation: Operation = { input, done, outcome: null };
    void done.then((outcome) => {
      operation.outcome = outcome;
    });
    this.#keep(id, operation);
    return this.#answerOf(id, operation, input.detail);
  }

  /** Errors: `AGENT_ARGUMENTS` for the name of a VM that is not reached so; `CONFIG_TARGET` with what is set up. */
  #targetOf({ provider, vm_name: asked }: ToolInput): Target {
    const target = this.#configured(provider, provider === 'azure' ? asked : undefined);
    if (asked === undefined || target.provider === 'azure') return target;
    // The one that is configured answers whatever it is called: under another name its rules would pass for that VM's.
    const own = target.provider === 'ssh' ? [target.label, target.host] : [target.label, hostname()];
    const names = own.filter((name) => name !== null);
    if (names.some((name) => name.toLowerCase() === asked.toLowerCase())) return target;
    throw new OperationError(
      'AGENT_ARGUMENTS',
      'vm_name',
      `provider ${provider} reaches ${printable(names[0] ?? 'one host')}, and no other VM`,
      { nextStep: 'leave vm_name out to look at that one; another VM needs a server of its own, or provider azure' },
    );
  }

  #configured(provider: Target['provider'], vmName: string | undefined): Target {
    const { settings } = this.#world;
    try {
      return settings.target(provider, vmName);
    } catch (error) {
      if (!(error instanceof OperationError) || error.code !== 'CONFIG_TARGET') throw error;
      const nextStep =
        provider !== settings.provider
          ? `this server is set up for provider ${settings.provider}: use that, or ask its operator`
          : provider === 'azure' && vmName === undefined
            ? 'give vm_name, or ask the operator of this server to configure what is missing'
            : 'ask the operator of this server to configure it';
      throw new OperationError(error.code, error.subject, error.what, { nextStep, cause: error });
    }
  }

  #keep(id: string, operation: Operation): void {
    this.#operations.set(id, operation);
    for (const [oldest, { outcome }] of this.#operations) {
      if (this.#operations.size <= KEPT_MAX) break;
      if (outcome !== null) this.#operations.delete(oldest);
    }
  }

  async #answerOf(id: string, { done }: Operation, detail: ToolInput['detail']): Promise<ToolCall> {
    const timer = new AbortController();
    const late = sleep(this.#world.waitSeconds * 1000, null, { signal: timer.signal }).catch(() => null);
    const outcome = await Promise.race([done, late]);
    timer.abort();
    if (outcome === null) {
      const next = `call get_operation with operation_id ${id}`;
      return { content: runningAnswer(id, RETRY_SECONDS, next), isError: false };
    }
    if ('error' in outcome) {
      if (!(outcome.error instanceof OperationError)) throw outcome.error;
      return { content: this.#errorContent(outcome.error), isError: true };
    }
    const { drift, current, artifacts, warnings } = outcome.found;
    const content =
      drift === null
        ? recordedAnswer({ ...current, artifact: artifacts.snapshot, warnings }, detail)
        : comparedAnswer({ drift, artifact: artifacts.drift, warnings }, detail);
    return { content, isError: false };
  }

  #errorContent(error: OperationError): JsonObject {
    const more = error.code === 'BASELINE_NOT_FOUND' ? { baselines: this.#directory.newestBaselines() } : {};
    return errorAnswer(toolError(error), more);
  }

  async #listBaselines(): Promise<ToolCall> {
    const directory = this.#directory;
    const sessions = directory.sessions().filter(({ hasDrift }) => !hasDrift);
    const listed: JsonObject[] = [];
    for (const session of sessions.slice(0, LISTED_MAX))
      listed.push({ ...(await describeSession(directory, session)) });
    const content = boundAnswer(
      { baselines: listed },
      { status: 'success', total: sessions.length, notice: DATA_NOTICE },
      'full',
    );
    return { content, isError: false };
  }
}

/** All that says what is done; why it is done, and how much is told of it, may be worded anew. */
function isSameRequest(a: ToolInput, b: ToolInput): boolean {
  return (
    a.provider === b.provider &&
    a.vm_name === b.vm_name &&
    (a.is_baseline === true) === (b.is_baseline === true) &&
    a.compare_session_id === b.compare_session_id
  );
}
