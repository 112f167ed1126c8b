import { accessSync, constants, statSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { excerpt } from '../core/diagnostics.ts';
import { OperationError } from '../core/errors.ts';

/** A machine to log in to. What is left out is what ~/.ssh/config says, else ssh's own default. */
export interface SshHop {
  /** A name (of DNS, or an alias in ~/.ssh/config), an IPv4 address, or an IPv6 address with or without brackets. */
  readonly host: string;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  /** Path of a private key; `~/` and relative paths are resolved. */
  readonly identityFile?: string | undefined;
}

export interface SshTarget extends SshHop {
  /** The machine to go through, with a key, user and port of its own. */
  readonly bastion?: SshHop | undefined;
}

/** A hop whose every part was checked: none can be taken for an option, a command or an expansion of ssh's. */
export interface CheckedHop {
  /** Without brackets. */
  readonly host: string;
  readonly port: number | null;
  readonly user: string | null;
  /** Absolute. */
  readonly identityFile: string | null;
}

export interface CheckedTarget extends CheckedHop {
  readonly bastion: CheckedHop | null;
}

const NAME =
  /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$/;
const NAME_CHARACTERS_MAX = 253;
const ZONE = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,14}$/;
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}$/;
// ssh expands `%x` and `${X}` in the path of a key.
const EXPANDED = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]|%|\$\{/;
const PATH_CHARACTERS_MAX = 1024;

/** Errors: `SSH_TARGET_INVALID`, `SSH_KEY_FILE` (for its name; whether it is there is `checkKeyFiles`'s question). */
export function checkTarget(target: SshTarget): CheckedTarget {
  return {
    ...checkHop(target, 'target'),
    bastion: target.bastion === undefined ? null : checkHop(target.bastion, 'bastion'),
  };
}

function checkHop(hop: SshHop, role: 'target' | 'bastion'): CheckedHop {
  const { host, port, user, identityFile } = hop;
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65_535)) {
    throw invalid(role, `port ${excerpt(String(port))} is no whole number from 1 to 65535`);
  }
  if (user !== undefined && (typeof user !== 'string' || !USER.test(user))) {
    throw invalid(role, `user "${excerpt(String(user))}" is no login name of letters, digits and . _ - + @`);
  }
  return {
    host: checkHost(host, role),
    port: port ?? null,
    user: user ?? null,
    identityFile: identityFile === undefined ? null : checkKeyPath(identityFile),
  };
}

function checkHost(host: string, role: string): string {
  const text = String(host);
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  const [address = '', zone, more] = bare.split('%');
  if (isIPv6(address) && (zone === undefined || ZONE.test(zone)) && more === undefined) return bare;
  if (bare === text && text.length <= NAME_CHARACTERS_MAX && NAME.test(text)) return text;
  throw invalid(role, `"${excerpt(text)}" is no host name, IPv4 or IPv6 address`);
}

function checkKeyPath(path: string): string {
  const text = String(path);
  const home = text === '~' || text.startsWith('~/') ? `${homedir()}${text.slice(1)}` : text;
  if (text === '' || text.length > PATH_CHARACTERS_MAX || EXPANDED.test(home)) {
    throw new OperationError('SSH_KEY_FILE', excerpt(text), 'is no path that ssh takes as it stands', {
      nextStep: `use a path without control characters, "%" and "$\{", of at most ${PATH_CHARACTERS_MAX} characters`,
    });
  }
  return resolve(home);
}

function invalid(role: string, what: string): OperationError {
  return new OperationError('SSH_TARGET_INVALID', role, what, {
    nextStep: 'give a host name or an address; everything else belongs in its own option, or in ~/.ssh/config',
  });
}

/** Asks the disk once, for a better answer than ssh's warning. Errors: `SSH_KEY_FILE`. */
export function checkKeyFiles(target: CheckedTarget): void {
  for (const hop of [target.bastion, target]) {
    const path = hop?.identityFile ?? null;
    if (path === null) continue;
    const what = unusable(path);
    if (what !== null) {
      throw new OperationError('SSH_KEY_FILE', excerpt(path), what, {
        nextStep: 'give the path of the private key, readable for you alone',
      });
    }
  }
}

function unusable(path: string): string | null {
  try {
    if (!statSync(path).isFile()) return 'is no file';
    accessSync(path, constants.R_OK);
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? 'does not exist' : `cannot be read: ${code}`;
  }
}

/** For messages: `user@host`, with the port where one was given. */
export function hopName({ host, port, user }: CheckedHop): string {
  const address = host.includes(':') ? `[${host}]` : host;
  return `${user === null ? '' : `${user}@`}${address}${port === null ? '' : `:${port}`}`;
}
