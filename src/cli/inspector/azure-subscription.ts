import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { OperationError } from '../../core/errors.ts';

/**
 * The subscription that `az account set` made active, from the Azure CLI's own profile file.
 *
 * Errors: `CONFIG_TARGET` when there is none.
 */
export function activeSubscription(env: NodeJS.ProcessEnv): string {
  const directory = env['AZURE_CONFIG_DIR'] ?? join(homedir(), '.azure');
  try {
    const text = readFileSync(join(directory, 'azureProfile.json'), 'utf8').replace(/^\ufeff/, '');
    const { subscriptions } = JSON.parse(text) as { subscriptions?: { id?: unknown; isDefault?: unknown }[] };
    const id = subscriptions?.find(({ isDefault }) => isDefault === true)?.id;
    if (typeof id === 'string' && /^[0-9a-fA-F-]{1,64}$/.test(id)) return id;
  } catch {
    // No profile, or none that can be read: the message below says what to do in either case.
  }
  throw new OperationError('CONFIG_TARGET', 'provider azure', 'no subscription is given, and az has none active', {
    nextStep: 'give --subscription-id (SUBSCRIPTION_ID), or run az login',
  });
}
