import { randomBytes, randomUUID } from 'node:crypto';
import { agentSilent, type OperationFailure } from './arm-errors.ts';
import type { Fault } from './faults.ts';
import { BUILT_IN_SAMPLE_STDOUT, type InstanceViewStatus, linuxOutput, windowsOutput } from './run-command-output.ts';
import type { ExecuteScript, ScriptResult, SimulatedVm } from './simulated-vm.ts';

/** One accepted run command: what its two addresses answer from. Kept in memory until the simulator stops. */
export interface RunCommandOperation {
  readonly id: string;
  readonly vm: SimulatedVm;
  /** The signed part of the operation's addresses. A request that does not carry it unchanged is refused. */
  readonly token: OperationToken;
  readonly startTime: string;
  endTime: string | undefined;
  outcome: OperationOutcome | undefined;
}

export interface OperationToken {
  readonly p: string;
  readonly t: string;
  readonly c: string;
  readonly s: string;
  readonly h: string;
}

export type OperationOutcome =
  | { readonly status: 'Succeeded'; readonly value: readonly InstanceViewStatus[] }
  | { readonly status: 'Failed'; readonly error: OperationFailure };

export interface RunCommandTimes {
  /** The shortest run; the real service needs about 20 s. */
  readonly minimumRunMs: number;
  /** How long a silent agent is waited for; about 25 min in the real service. */
  readonly agentTimeoutMs: number;
}

/** One run that the simulator executed or pretended to, for tests: what the service itself does not report. */
export interface RunLogEntry {
  readonly vmName: string;
  readonly operationId: string;
  /** The script as it was sent, its lines joined by line feeds. */
  readonly script: string;
  /** Undefined while it runs and where the script was not run at all. */
  exitCode: number | undefined;
  stdoutBytes: number;
  stderrBytes: number;
}

/** Runs scripts one at a time per VM and remembers every operation. */
export class RunCommandOperations {
  readonly #operations = new Map<string, RunCommandOperation>();
  readonly #busy = new Map<string, RunCommandOperation>();
  readonly #lastOutput = new Map<string, ScriptResult>();
  readonly #stopping = new AbortController();
  readonly #unfinished = new Set<Promise<void>>();
  readonly #execute: ExecuteScript;
  readonly #times: RunCommandTimes;
  readonly runs: RunLogEntry[] = [];
  #release: (() => void)[] = [];

  constructor(execute: ExecuteScript, times: RunCommandTimes) {
    this.#execute = execute;
    this.#times = times;
  }

  isBusy(vm: SimulatedVm): boolean {
    return this.#busy.has(vm.id);
  }

  find(id: string): RunCommandOperation | undefined {
    return this.#operations.get(id.toLowerCase());
  }

  /** Accepts a run; the caller has checked that the VM runs and is not busy. It goes on after this returns. */
  start(vm: SimulatedVm, lines: readonly string[], fault: Fault | undefined): RunCommandOperation {
    const operation: RunCommandOperation = {
      id: randomUUID(),
      vm,
      token: makeToken(),
      startTime: new Date().toISOString(),
      endTime: undefined,
      outcome: undefined,
    };
    this.#operations.set(operation.id, operation);
    this.#busy.set(vm.id, operation);
    const run = this.#run(operation, lines, fault).finally(() => {
      operation.endTime = new Date().toISOString();
      this.#busy.delete(vm.id);
      this.#unfinished.delete(run);
    });
    this.#unfinished.add(run);
    return operation;
  }

  /** Lets every operation of a `neverFinishes` fault end. */
  finishAll(): void {
    for (const release of this.#release.splice(0)) release();
  }

  /** Resolves once no VM runs a script. Operations of a `neverFinishes` fault end with `finishAll` only. */
  async idle(): Promise<void> {
    while (this.#unfinished.size > 0) await Promise.all(this.#unfinished);
  }

  /** Ends all scripts and waits for them. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.finishAll();
    await Promise.all(this.#unfinished);
  }

  async #run(operation: RunCommandOperation, lines: readonly string[], fault: Fault | undefined): Promise<void> {
    const entry: RunLogEntry = {
      vmName: operation.vm.name,
      operationId: operation.id,
      script: lines.join('\n'),
      exitCode: undefined,
      stdoutBytes: 0,
      stderrBytes: 0,
    };
    this.runs.push(entry);
    if (!operation.vm.agentReady) {
      await this.#pause(this.#times.agentTimeoutMs);
      operation.outcome = { status: 'Failed', error: agentSilent(operation.vm) };
      return;
    }
    const shortest = this.#pause(fault?.kind === 'slow' ? fault.runMs : this.#times.minimumRunMs);
    operation.outcome = await this.#outcome(operation.vm, lines, fault, entry, shortest);
  }

  async #outcome(
    vm: SimulatedVm,
    lines: readonly string[],
    fault: Fault | undefined,
    entry: RunLogEntry,
    shortest: Promise<void>,
  ): Promise<OperationOutcome> {
    if (fault?.kind === 'neverFinishes') await new Promise<void>((resolve) => this.#release.push(resolve));
    if (fault?.kind === 'operationFails') {
      await shortest;
      return { status: 'Failed', error: { code: fault.code, message: fault.message } };
    }
    try {
      const result = this.#instead(vm, fault) ?? (await this.#execute(vm, lines, this.#stopping.signal));
      entry.exitCode = result.exitCode;
      entry.stdoutBytes = result.stdout.length;
      entry.stderrBytes = result.stderr.length;
      this.#lastOutput.set(vm.id, result);
      await shortest;
      return { status: 'Succeeded', value: vm.osType === 'Linux' ? linuxOutput(result) : windowsOutput(result) };
    } catch (error) {
      await shortest;
      const message = `VM has reported a failure when processing extension 'RunCommandLinux'. Error message: "${String(error)}"`;
      return { status: 'Failed', error: { code: 'VMExtensionProvisioningError', message } };
    }
  }

  #instead(vm: SimulatedVm, fault: Fault | undefined): ScriptResult | undefined {
    if (fault?.kind === 'builtInSample') return scriptResult(BUILT_IN_SAMPLE_STDOUT, '');
    if (fault?.kind === 'cachedOutput') return this.#lastOutput.get(vm.id) ?? scriptResult('', '');
    if (fault?.kind === 'output') return scriptResult(fault.stdout, fault.stderr ?? '');
    return undefined;
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#stopping.signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, this.#stopping.signal.aborted ? 0 : milliseconds);
      this.#stopping.signal.addEventListener('abort', done);
    });
  }
}

function scriptResult(stdout: string, stderr: string): ScriptResult {
  return { stdout: Buffer.from(stdout), stderr: Buffer.from(stderr), exitCode: 0 };
}

/** As in the real addresses: a page id, ticks, a certificate's worth of base64url, a signature and a hash. */
function makeToken(): OperationToken {
  return {
    p: randomUUID(),
    t: String(621355968000000000n + BigInt(Date.now()) * 10000n),
    c: randomBytes(1100).toString('base64url'),
    s: randomBytes(256).toString('base64url'),
    h: randomBytes(32).toString('base64url'),
  };
}

/** Whether a request's query carries the token it was given. */
export function carriesToken(query: URLSearchParams, token: OperationToken): boolean {
  return Object.entries(token).every(([name, value]) => query.get(name) === value);
}
