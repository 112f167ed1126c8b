import { DefaultAzureCredential } from '@azure/identity';
import { OperationError } from '../core/errors.ts';
import type { RunCommandRunner } from '../core/ports.ts';
import { armScope, ComputeClients } from './compute-clients.ts';
import { AzureRunCommandRunner } from './run-command-runner.ts';

const ARM = 'https://management.azure.com';

/** ARM without storage, for the command line: whoever is signed in, and nothing else. */
export interface ComputeAccess {
  readonly runner: RunCommandRunner;
  /** Errors: `ARM_LOGIN` when no credential gives a token. */
  checkLogin(): Promise<void>;
  /** Of the needed actions those that the caller may not do on the VM; null when ARM does not tell. */
  missingActions(vmId: string, actions: readonly string[]): Promise<readonly string[] | null>;
}

export function makeComputeAccess(env: Readonly<Record<string, string | undefined>>): ComputeAccess {
  const endpoint = env['ARM_ENDPOINT'] ?? ARM;
  const credential = new DefaultAzureCredential();
  const runner = new AzureRunCommandRunner(new ComputeClients({ credential, endpoint }));
  const token = async (): Promise<string> => {
    try {
      return (await credential.getToken(armScope(endpoint))).token;
    } catch (cause) {
      throw loginError(cause);
    }
  };
  // Before the first request: without a token a person wants to hear of the login, and not that the VM denies.
  let signedIn = false;
  const login = async (): Promise<void> => {
    if (!signedIn) await token();
    signedIn = true;
  };
  return {
    runner: {
      readiness: async (vmId) => {
        await login();
        return runner.readiness(vmId);
      },
      start: async (vmId, script) => {
        await login();
        return runner.start(vmId, script);
      },
      poll: async (vmId, state) => {
        await login();
        return runner.poll(vmId, state);
      },
    },
    checkLogin: async () => {
      await token();
    },
    missingActions: async (vmId, actions) => {
      const url = `${endpoint}${vmId}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01`;
      const response = await fetch(url, {
        headers: { authorization: `Bearer ${await token()}` },
        signal: AbortSignal.timeout(30_000),
      });
      if (!response.ok) return null;
      const { value } = (await response.json()) as { value?: Permission[] };
      if (!Array.isArray(value)) return null;
      return actions.filter((action) => !isPermitted(value, action));
    },
  };
}

/** An element of what ARM's permissions list answers. */
export interface Permission {
  readonly actions?: readonly string[];
  readonly notActions?: readonly string[];
}

/** As ARM decides: one permission has to give the action and not take it away. `*` stands for any text. */
export function isPermitted(permissions: readonly Permission[], action: string): boolean {
  const matches = (patterns: readonly string[] = []): boolean =>
    patterns.some((pattern) => {
      const parts = pattern.toLowerCase().split('*');
      const expression = parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*');
      return new RegExp(`^${expression}$`).test(action.toLowerCase());
    });
  return permissions.some(({ actions, notActions }) => matches(actions) && !matches(notActions));
}

function loginError(cause: unknown): OperationError {
  return new OperationError('ARM_LOGIN', 'Azure', 'no credential gave a token', {
    nextStep: 'run az login, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET',
    cause,
  });
}
