import { parseRunSettings } from '../../core/settings.ts';
import { activeSubscription } from './azure-subscription.ts';
import type { Provider } from './provider.ts';
import type { Target } from './settings.ts';

/** The provider of a target. Azure's libraries are loaded for Azure alone: they take longer than all the rest. */
export async function makeProvider(target: Target, env: NodeJS.ProcessEnv): Promise<Provider> {
  switch (target.provider) {
    case 'local':
      return (await import('./local-provider.ts')).localProvider(target.label);
    case 'ssh':
      return (await import('./ssh-provider.ts')).sshProvider(target);
    case 'azure': {
      const { azureProvider } = await import('./azure-provider.ts');
      const { makeComputeAccess } = await import('../../azure/compute-access.ts');
      return azureProvider(vmIdOf(target, env), makeComputeAccess(env).runner, parseRunSettings(env));
    }
  }
}

/** The ARM id of a target. Errors: `CONFIG_TARGET` without a subscription, `CONFIG_VM_ID` for names ARM does not have. */
export function vmIdOf(target: Extract<Target, { provider: 'azure' }>, env: NodeJS.ProcessEnv): string {
  const subscription = target.subscriptionId ?? activeSubscription(env);
  return `/subscriptions/${subscription}/resourceGroups/${target.resourceGroup}/providers/Microsoft.Compute/virtualMachines/${target.vmName}`;
}
