import { excerpt } from '../../core/diagnostics.ts';
import { OperationError } from '../../core/errors.ts';
import { parseRunSettings } from '../../core/settings.ts';
import { RESOURCE_GROUP, SUBSCRIPTION_ID } from '../../core/vm-id.ts';
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

/** The ARM id of a target. Errors: `CONFIG_TARGET` without a subscription, `CONFIG_VALUE` for what is no id or name. */
export function vmIdOf(target: Extract<Target, { provider: 'azure' }>, env: NodeJS.ProcessEnv): string {
  const subscription = target.subscriptionId ?? activeSubscription(env);
  if (!SUBSCRIPTION_ID.test(subscription)) {
    throw new OperationError('CONFIG_VALUE', 'subscription-id', `"${excerpt(subscription)}" is no subscription id`, {
      nextStep: 'give its id, not its name: az account show --query id',
    });
  }
  if (!RESOURCE_GROUP.test(target.resourceGroup)) {
    const what = `"${excerpt(target.resourceGroup)}" is no name of a resource group`;
    throw new OperationError('CONFIG_VALUE', 'resource-group', what, {
      nextStep: 'give the name as the portal shows it',
    });
  }
  return `/subscriptions/${subscription}/resourceGroups/${target.resourceGroup}/providers/Microsoft.Compute/virtualMachines/${target.vmName}`;
}
