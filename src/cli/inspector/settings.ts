import { homedir } from 'node:os';
import { join } from 'node:path';
import { checkSessionId } from '../../core/baseline/session-id.ts';
import { excerpt } from '../../core/diagnostics.ts';
import { OperationError } from '../../core/errors.ts';
import { usageError } from '../framework/errors.ts';
import type { Invocation } from '../framework/options.ts';
import { type ConfigFile, type ConfigKey, readConfigFile } from './config-file.ts';
import { type InspectorOption, SESSION_OPTIONS, TARGET_OPTIONS } from './options.ts';

export type Family = 'ipv4' | 'ipv6' | 'both';

/** Which host, and how it is reached; checked, so that nothing of it can pass for an option of another program. */
export type Target =
  | {
      readonly provider: 'azure';
      readonly vmName: string;
      readonly resourceGroup: string;
      readonly subscriptionId: string | null;
    }
  | {
      readonly provider: 'ssh';
      readonly label: string | null;
      readonly host: string;
      readonly port: number | null;
      readonly user: string | null;
      readonly keyFile: string | null;
      readonly bastion: { readonly host: string; readonly user: string | null; readonly keyFile: string | null } | null;
    }
  | { readonly provider: 'local'; readonly label: string | null };

/** `look`: read and shown, nothing stored but the log. */
export type Mode =
  | { readonly kind: 'baseline' }
  | { readonly kind: 'compare'; readonly baseline: string }
  | { readonly kind: 'look' };

/** What flags and config file say together. */
export class Settings {
  readonly warnings: readonly string[];
  readonly #invocation: Invocation;
  readonly #file: ConfigFile;
  readonly #env: NodeJS.ProcessEnv;

  /** Errors: `CONFIG_FILE`. */
  constructor(invocation: Invocation, env: NodeJS.ProcessEnv) {
    const path = invocation.text('config');
    this.#invocation = invocation;
    this.#env = env;
    this.#file = path === undefined ? { values: new Map(), warnings: [] } : readConfigFile(path, env);
    this.warnings = this.#file.warnings;
  }

  get auditDir(): string {
    const directory = this.#value('audit-dir', 'AUDIT_DIR') ?? './audit';
    return checkText('audit-dir', directory);
  }

  /** Errors: `CONFIG_SESSION_ID`. */
  get sessionId(): string | null {
    const given = this.#value('session-id', 'SESSION_ID');
    return given === undefined ? null : checkSessionId(given);
  }

  get family(): Family {
    return this.#choice('family', 'FAMILY', 'both') as Family;
  }

  get provider(): Target['provider'] {
    return this.#choice('provider', 'PROVIDER', 'azure') as Target['provider'];
  }

  /** Flags are one choice and win as one over the file's. Errors: usage; `CONFIG_SESSION_ID`, `CONFIG_VALUE`. */
  get mode(): Mode {
    const flagged = this.#invocation.has('is-baseline') || this.#invocation.text('compare-baseline') !== undefined;
    const isBaseline = flagged ? this.#invocation.has('is-baseline') : this.#boolean('IS_BASELINE');
    const compared = flagged ? this.#invocation.text('compare-baseline') : this.#file.values.get('COMPARE_BASELINE');
    if (isBaseline && compared !== undefined) {
      throw usageError(
        '--is-baseline and --compare-baseline exclude each other',
        'record first, compare in a later run',
      );
    }
    if (compared !== undefined) return { kind: 'compare', baseline: checkSessionId(compared) };
    return isBaseline ? { kind: 'baseline' } : { kind: 'look' };
  }

  /** Errors: `CONFIG_TARGET` where something is missing, `CONFIG_VALUE` for a value that could be something else. */
  target(provider: Target['provider'] = this.provider, vmName?: string): Target {
    const label = vmName ?? this.#value('vm-name', 'VM_NAME') ?? null;
    if (label !== null) checkName('vm-name', label);
    if (provider === 'local') return { provider, label };
    if (provider === 'azure') {
      const subscription = this.#value('subscription-id', 'SUBSCRIPTION_ID') ?? this.#env['AZURE_SUBSCRIPTION_ID'];
      return {
        provider,
        vmName: label ?? missing('--vm-name', 'VM_NAME', provider),
        resourceGroup:
          this.#value('resource-group', 'RESOURCE_GROUP') ?? missing('--resource-group', 'RESOURCE_GROUP', provider),
        subscriptionId: subscription === undefined || subscription === '' ? null : subscription,
      };
    }
    const host = this.#value('target-vm-ip', 'TARGET_VM_IP') ?? missing('--target-vm-ip', 'TARGET_VM_IP', provider);
    const keyFile = this.#keyFile('target-ssh-key', 'TARGET_SSH_KEY_PATH') ?? nonEmpty(this.#env['INSPECTOR_VM_KEY']);
    const user = this.#user('ssh-user', 'SSH_USER');
    const bastion = this.#value('bastion-public-ip', 'BASTION_PUBLIC_IP');
    return {
      provider,
      label,
      host: checkHost('target-vm-ip', host),
      port: this.#port(),
      user,
      keyFile,
      bastion:
        bastion === undefined
          ? null
          : {
              host: checkHost('bastion-public-ip', bastion),
              user: this.#user('bastion-ssh-user', 'BASTION_SSH_USER') ?? user,
              keyFile: this.#keyFile('bastion-ssh-key', 'BASTION_SSH_KEY_PATH') ?? keyFile,
            },
    };
  }

  #value(option: string, key: ConfigKey): string | undefined {
    const flag = this.#invocation.text(option);
    if (flag === '') throw usageError(`--${option} is empty`);
    return flag ?? this.#file.values.get(key);
  }

  #choice(option: string, key: ConfigKey, otherwise: string): string {
    const value = this.#value(option, key) ?? otherwise;
    const choices = specOf(option).choices ?? [];
    if (choices.includes(value)) return value;
    throw badValue(key, `cannot be "${excerpt(value)}"`, `use one of: ${choices.join(', ')}`);
  }

  #boolean(key: ConfigKey): boolean {
    const value = (this.#file.values.get(key) ?? 'false').toLowerCase();
    if (['true', '1', 'yes'].includes(value)) return true;
    if (['false', '0', 'no'].includes(value)) return false;
    throw badValue(key, `cannot be "${excerpt(value)}"`, 'use true or false');
  }

  #port(): number | null {
    const value = this.#value('ssh-port', 'SSH_PORT');
    if (value === undefined) return null;
    if (/^[0-9]{1,5}$/.test(value) && Number(value) >= 1 && Number(value) <= 65_535) return Number(value);
    throw badValue('SSH_PORT', `cannot be "${excerpt(value)}"`, 'use a whole number from 1 to 65535');
  }

  #keyFile(option: string, key: ConfigKey): string | null {
    const value = this.#value(option, key);
    if (value === undefined) return null;
    const path = checkText(option, value);
    return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
  }

  #user(option: string, key: ConfigKey): string | null {
    const value = this.#value(option, key);
    if (value === undefined) return null;
    if (/^[A-Za-z0-9_][A-Za-z0-9._@+$-]{0,254}$/.test(value)) return value;
    throw badValue(option, `"${excerpt(value)}" is no login name`, 'give the name alone');
  }
}

function specOf(option: string): InspectorOption {
  const spec = [...TARGET_OPTIONS, ...SESSION_OPTIONS].find(({ name }) => name === option);
  if (spec === undefined) throw new Error(`no option ${option}`);
  return spec;
}

/** Names, IPv4, IPv6 with or without brackets and zone. What starts with a dash would be an option of ssh. */
const HOST =
  /^(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?|\[?[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,32})?\]?)$/;

function checkHost(option: string, host: string): string {
  if (!HOST.test(host))
    throw badValue(
      option,
      `"${excerpt(host)}" is no host name or address`,
      'give an address or a name, and the login with --ssh-user',
    );
  return host.replace(/^\[(.*)\]$/, '$1');
}

function checkName(option: string, name: string): void {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/.test(name))
    throw badValue(option, `"${excerpt(name)}" is no VM name`, 'use letters, digits, dots, _ and -');
}

/** Paths: anything that is printable and cannot be taken for an option. */
function checkText(option: string, value: string): string {
  if (/[\u0000-\u001f\u007f]/.test(value)) throw badValue(option, `"${excerpt(value)}" has control characters`);
  if (value.startsWith('-')) throw badValue(option, `"${excerpt(value)}" looks like an option`, 'write ./ before it');
  return value;
}

function nonEmpty(value: string | undefined): string | null {
  return value === undefined || value === '' ? null : checkText('INSPECTOR_VM_KEY', value);
}

function badValue(name: string, what: string, nextStep = ''): OperationError {
  return new OperationError('CONFIG_VALUE', name, what, { nextStep });
}

function missing(flag: string, key: string, provider: string): never {
  throw new OperationError('CONFIG_TARGET', `provider ${provider}`, `${flag} (${key} in the config file) is missing`, {
    nextStep: 'firewall-inspector --help lists what each provider needs',
  });
}
