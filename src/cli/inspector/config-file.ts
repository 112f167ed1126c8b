import { closeSync, openSync, readSync } from 'node:fs';
import { excerpt } from '../../core/diagnostics.ts';
import { OperationError } from '../../core/errors.ts';

/** The keys of a config file, as the Python reference has them. */
export const CONFIG_KEYS = [
  'PROVIDER',
  'VM_NAME',
  'RESOURCE_GROUP',
  'SUBSCRIPTION_ID',
  'TARGET_VM_IP',
  'TARGET_SSH_KEY_PATH',
  'BASTION_PUBLIC_IP',
  'BASTION_SSH_KEY_PATH',
  'BASTION_SSH_USER',
  'SSH_USER',
  'SSH_PORT',
  'AUDIT_DIR',
  'SESSION_ID',
  'IS_BASELINE',
  'COMPARE_BASELINE',
  'FAMILY',
] as const;
export type ConfigKey = (typeof CONFIG_KEYS)[number];

export interface ConfigFile {
  /** Without keys whose value is empty. */
  readonly values: ReadonlyMap<ConfigKey, string>;
  /** One line each, with the file's name and the line's number. */
  readonly warnings: readonly string[];
}

const FILE_BYTES_MAX = 64 * 1024;
/** What is longer is no key, and may be a line of a secret: it is not shown. */
const SHOWN_KEY_MAX = 32;

/** Errors: `CONFIG_FILE` when it cannot be read, is too large to be one, or is no text. */
export function readConfigFile(path: string, env: NodeJS.ProcessEnv): ConfigFile {
  let bytes: Buffer;
  try {
    bytes = readAtMost(path, FILE_BYTES_MAX + 1);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const isMissing = code === 'ENOENT';
    const what = isMissing ? 'it does not exist' : `it cannot be read: ${code ?? 'unknown reason'}`;
    throw new OperationError('CONFIG_FILE', excerpt(path), what, {
      nextStep: isMissing ? 'check the path given with --config' : 'give a file that you may read with --config',
      cause,
    });
  }
  if (bytes.length > FILE_BYTES_MAX) {
    throw new OperationError('CONFIG_FILE', excerpt(path), `more than ${FILE_BYTES_MAX} bytes`);
  }
  // UTF-16, as PowerShell writes it; and a private key, of which nothing may be shown.
  if (/^(?:\xff\xfe|\xfe\xff)/.test(bytes.toString('latin1', 0, 2)) || bytes.includes('-----BEGIN ')) {
    throw new OperationError('CONFIG_FILE', excerpt(path), 'no KEY=VALUE lines in UTF-8: a key, or another file', {
      nextStep: 'give the config file with --config',
    });
  }
  return parseConfigFile(bytes.toString('utf8'), excerpt(path), env);
}

/** No more than that of it: a device has no end, and a pipe no size. */
function readAtMost(path: string, bytesMax: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(bytesMax);
    let length = 0;
    for (;;) {
      const read = readSync(file, bytes, length, bytesMax - length, null);
      length += read;
      if (read === 0 || length === bytesMax) return bytes.subarray(0, length);
    }
  } finally {
    closeSync(file);
  }
}

/**
 * `KEY=VALUE` lines: values bare, in double or in single quotes; `#` starts a comment at a line's start and behind a
 * blank; `${NAME}` is taken from the environment outside of single quotes, and stays as it is where there is no such
 * variable. Nothing is executed. What is odd is a warning with its line's number and never its text, which may be a
 * secret; never an error.
 */
export function parseConfigFile(text: string, name: string, env: NodeJS.ProcessEnv): ConfigFile {
  const values = new Map<ConfigKey, string>();
  const warnings: string[] = [];
  for (const [index, raw] of text
    .replace(/^\ufeff/, '')
    .split(/\r\n|\n|\r/)
    .entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const warn = (what: string): void => void warnings.push(`${name} line ${index + 1}: ${what}`);
    const equals = line.indexOf('=');
    if (equals < 1) {
      warn(`no KEY=VALUE, left out${isConfigKey(line) ? `: ${line}` : ''}`);
      continue;
    }
    const key = line
      .slice(0, equals)
      .replace(/^export\s+/, '')
      .trim();
    if (!isConfigKey(key)) {
      warn(`unknown key${key.length > SHOWN_KEY_MAX ? '' : ` ${excerpt(key)}`}, left out`);
      continue;
    }
    const { value, remark, unset } = readValue(line.slice(equals + 1).trim(), env);
    if (remark !== '') warn(`${key}: ${remark}`);
    for (const name of unset) warn(`${key}: there is no ${name} in the environment; \${${name}} stays as it is`);
    if (values.has(key)) warn(`${key} again: this one counts`);
    if (value === '') values.delete(key);
    else values.set(key, value);
  }
  return { values, warnings };
}

function isConfigKey(key: string): key is ConfigKey {
  return (CONFIG_KEYS as readonly string[]).includes(key);
}

interface ReadValue {
  readonly value: string;
  readonly remark: string;
  /** Variables that the value names and the environment has not. */
  readonly unset: readonly string[];
}

function readValue(text: string, env: NodeJS.ProcessEnv): ReadValue {
  const quote = text[0];
  if (quote !== '"' && quote !== "'") {
    const comment = text.startsWith('#') ? 0 : text.search(/\s#/);
    return { ...expand((comment === -1 ? text : text.slice(0, comment)).trim(), env), remark: '' };
  }
  const end = text.indexOf(quote, 1);
  const inside = end === -1 ? text.slice(1) : text.slice(1, end);
  const behind = end === -1 ? '' : text.slice(end + 1).trim();
  const remark =
    end === -1 ? 'no closing quote' : behind === '' || behind.startsWith('#') ? '' : 'text behind the closing quote';
  return { ...(quote === "'" ? { value: inside, unset: [] } : expand(inside, env)), remark };
}

function expand(text: string, env: NodeJS.ProcessEnv): { value: string; unset: string[] } {
  const unset: string[] = [];
  const value = text.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (whole, name: string) => {
    if (env[name] === undefined) unset.push(name);
    return env[name] ?? whole;
  });
  return { value, unset };
}
