import { SEVERITIES } from '../../core/drift/severity.ts';
import type { OptionSpec } from '../framework/options.ts';
import type { ConfigKey } from './config-file.ts';

/** An option, and the key of the config file that says the same. */
export interface InspectorOption extends OptionSpec {
  readonly configKey?: ConfigKey;
}

export const CONFIG_OPTION: InspectorOption = {
  name: 'config',
  value: 'FILE',
  description: 'KEY=VALUE file; flags win over it',
};

export const AUDIT_DIR_OPTION: InspectorOption = {
  name: 'audit-dir',
  value: 'DIR',
  default: './audit',
  description: 'where artifacts are kept, each written once, mode 0600',
  configKey: 'AUDIT_DIR',
};

/** Which host is looked at, and how it is reached. */
export const TARGET_OPTIONS: readonly InspectorOption[] = [
  {
    name: 'provider',
    value: 'azure|ssh|local',
    choices: ['azure', 'ssh', 'local'],
    default: 'azure',
    description: 'Azure Run Command, the system’s OpenSSH, or this host (as root)',
    configKey: 'PROVIDER',
  },
  { name: 'vm-name', value: 'NAME', description: 'azure: the VM; else a label for the host', configKey: 'VM_NAME' },
  { name: 'resource-group', value: 'NAME', description: 'azure: its resource group', configKey: 'RESOURCE_GROUP' },
  {
    name: 'subscription-id',
    value: 'ID',
    description: 'azure: its subscription; else AZURE_SUBSCRIPTION_ID, else the one that az has active',
    configKey: 'SUBSCRIPTION_ID',
  },
  {
    name: 'target-vm-ip',
    value: 'HOST',
    description: 'ssh: address or name; the private one behind a bastion',
    configKey: 'TARGET_VM_IP',
  },
  {
    name: 'target-ssh-key',
    value: 'FILE',
    description: 'ssh: private key; else INSPECTOR_VM_KEY, else what your ssh configuration or agent offers',
    configKey: 'TARGET_SSH_KEY_PATH',
  },
  { name: 'ssh-user', value: 'NAME', description: 'ssh: login; else your ssh configuration’s', configKey: 'SSH_USER' },
  { name: 'ssh-port', value: 'PORT', range: [1, 65_535], description: 'ssh: port', configKey: 'SSH_PORT' },
  {
    name: 'bastion-public-ip',
    value: 'HOST',
    description: 'ssh: go through this host',
    configKey: 'BASTION_PUBLIC_IP',
  },
  {
    name: 'bastion-ssh-key',
    value: 'FILE',
    description: 'ssh: the bastion’s private key; else the target’s',
    configKey: 'BASTION_SSH_KEY_PATH',
  },
  {
    name: 'bastion-ssh-user',
    value: 'NAME',
    description: 'ssh: login on the bastion; else --ssh-user',
    configKey: 'BASTION_SSH_USER',
  },
  {
    name: 'family',
    value: 'ipv4|ipv6|both',
    choices: ['ipv4', 'ipv6', 'both'],
    default: 'both',
    description: 'address families to look at; inet tables of nftables belong to either',
    configKey: 'FAMILY',
  },
];

export const SESSION_OPTIONS: readonly InspectorOption[] = [
  {
    name: 'session-id',
    value: 'ID',
    default: 'fw_YYYYMMDD_HHMMSS, UTC',
    description: 'this run’s id, [a-zA-Z0-9_-]{1,64}; one that has artifacts is refused',
    configKey: 'SESSION_ID',
  },
  { name: 'is-baseline', description: 'store the snapshot as a baseline', configKey: 'IS_BASELINE' },
  {
    name: 'compare-baseline',
    value: 'ID',
    description: 'store the snapshot, and what changed since this session',
    configKey: 'COMPARE_BASELINE',
  },
];

export const OUTPUT_OPTION: InspectorOption = {
  name: 'output',
  short: 'o',
  value: 'text|json|markdown',
  choices: ['text', 'json', 'markdown'],
  default: 'text',
  description: 'how the result is written to standard output',
};

export const COLOR_OPTION: InspectorOption = {
  name: 'color',
  value: 'auto|always|never',
  choices: ['auto', 'always', 'never'],
  default: 'auto',
  description: 'colour of the text; auto: on a terminal, FORCE_COLOR and NO_COLOR honoured in this order',
};

export const SHOW_ALL_OPTION: InspectorOption = {
  name: 'show-all',
  description: 'show folded churn one by one, and long lists in full',
};

export const REPORT_OPTIONS: readonly InspectorOption[] = [
  OUTPUT_OPTION,
  COLOR_OPTION,
  SHOW_ALL_OPTION,
  {
    name: 'fail-on',
    value: 'SEVERITY',
    choices: SEVERITIES,
    description: `exit 3 when a change is this severe or worse: ${SEVERITIES.join(', ')}`,
  },
  { name: 'strict', description: 'exit 4 when a part of the firewall could not be read or compared' },
  { name: 'quiet', short: 'q', description: 'no progress, notes and warnings on standard error; errors stay' },
];
