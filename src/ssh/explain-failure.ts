import { excerpt } from '../core/diagnostics.ts';
import { OperationError } from '../core/errors.ts';
import { commandByHand } from './arguments.ts';
import { type CheckedHop, type CheckedTarget, hopName } from './target.ts';

type HopCode =
  | 'SSH_HOST_KEY_UNKNOWN'
  | 'SSH_HOST_KEY_CHANGED'
  | 'SSH_KEY_FILE'
  | 'SSH_KEY_REFUSED'
  | 'SSH_NO_ROUTE'
  | 'SSH_TIMED_OUT'
  | 'SSH_DISCONNECTED'
  | 'SSH_FAILED';

interface Sign {
  readonly code: HopCode;
  readonly line: RegExp;
  /** What happened; `$1` is the first group of `line`. */
  readonly what: string;
  /** Where it is another one than the code's. */
  readonly nextStep?: string;
}

/**
 * What OpenSSH says, most telling first: a failure often ends in a line that is true of many. Its messages are not
 * translated; the words of system errors are, and LC_ALL=C keeps them as they stand here.
 */
const SIGNS: readonly Sign[] = [
  {
    // The line behind it, ssh's last, says only how many there are.
    code: 'SSH_FAILED',
    line: /^(.+: line \d+: Bad configuration option: .+)$/m,
    what: 'ssh does not take its own configuration: $1',
  },
  {
    code: 'SSH_HOST_KEY_CHANGED',
    line: /^@ +WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!/m,
    what: 'its host key is another one than known_hosts has',
  },
  {
    code: 'SSH_HOST_KEY_CHANGED',
    line: /^@ +WARNING: REVOKED HOST KEY DETECTED!/m,
    what: 'its host key is marked as revoked in known_hosts',
  },
  {
    code: 'SSH_HOST_KEY_UNKNOWN',
    line: /^No (\S+) host key is known for /m,
    what: 'no $1 key of it is in known_hosts',
  },
  {
    code: 'SSH_HOST_KEY_UNKNOWN',
    line: /^Host key verification failed\./m,
    what: 'its host key could not be verified',
  },
  {
    code: 'SSH_KEY_FILE',
    line: /^Permissions (\d+) for '.*' are too open\./m,
    what: 'the private key can be read by others (mode $1), and ssh does not use it',
  },
  { code: 'SSH_KEY_FILE', line: /^Load key ".*": (.+)$/m, what: 'the private key cannot be read: $1' },
  {
    code: 'SSH_KEY_FILE',
    line: /^Warning: Identity file .* not accessible: (.+)$/m,
    what: 'the private key cannot be read: $1',
  },
  {
    code: 'SSH_KEY_REFUSED',
    line: /^\S+: Permission denied \((.*)\)\.$/m,
    what: 'it accepts no key of this user; it offers $1',
  },
  { code: 'SSH_KEY_REFUSED', line: /Too many authentication failures/m, what: 'too many keys were tried' },
  { code: 'SSH_NO_ROUTE', line: /^ssh: Could not resolve hostname \S+: (.+)$/m, what: 'its name has no address: $1' },
  {
    code: 'SSH_TIMED_OUT',
    line: /^ssh: connect to host .* port \d+: (?:Connection|Operation) timed out/m,
    what: 'nothing answered at its address and port in time',
  },
  { code: 'SSH_NO_ROUTE', line: /^ssh: connect to host .* port \d+: (.+)$/m, what: 'it cannot be reached: $1' },
  { code: 'SSH_TIMED_OUT', line: /^Timeout, server .* not responding/m, what: 'it stopped answering' },
  {
    code: 'SSH_TIMED_OUT',
    line: /^Connection timed out during banner exchange/m,
    what: 'it said nothing in time',
  },
  { code: 'SSH_TIMED_OUT', line: /^Connection to .* timed out/m, what: 'it did not answer in time' },
  {
    code: 'SSH_FAILED',
    line: /^Unable to negotiate with .+?: (no matching .+)$/m,
    what: 'it and the ssh here have no algorithm in common: $1',
    nextStep:
      "update its sshd; until then, allow what it offers in your ssh configuration, in a Host block of this machine's own",
  },
  {
    code: 'SSH_DISCONNECTED',
    line: /^(?:kex_exchange_identification|banner exchange|ssh_dispatch_run_fatal|client_loop): (.+)$/m,
    what: 'the connection ended: $1',
  },
  {
    code: 'SSH_DISCONNECTED',
    line: /^(?:Received disconnect|Disconnected|Connection (?:to \S+ )?(?:closed|reset)) .+/m,
    what: 'the connection ended',
  },
];

/** What the bastion's ssh says when the bastion is well, and the way on from it is not. */
const FORWARDING: readonly { readonly line: RegExp; readonly code: 'SSH_TIMED_OUT' | 'SSH_NO_ROUTE' | 'bastion' }[] = [
  { line: /^channel \d+: open failed: administratively prohibited: (.*)$/m, code: 'bastion' },
  { line: /^channel \d+: open failed: connect failed: (?:Connection|Operation) timed out/m, code: 'SSH_TIMED_OUT' },
  { line: /^channel \d+: open failed: connect failed: (.*)$/m, code: 'SSH_NO_ROUTE' },
  { line: /^channel \d+: open failed: (.*)$/m, code: 'bastion' },
];

/** Standard error by who wrote it. */
export interface StandardError {
  /** The target's ssh, and what the target wrote once it was logged in to. */
  readonly target: string;
  readonly bastion: string;
}

export function separate(stderr: string, bastionTag: string): StandardError {
  const lines = stderr.split(/\r?\n/);
  const mark = `${bastionTag} `;
  return {
    target: lines.filter((line) => !line.startsWith(mark)).join('\n'),
    bastion: lines.flatMap((line) => (line.startsWith(mark) ? [line.slice(mark.length)] : [])).join('\n'),
  };
}

/** Why ssh itself failed (exit status 255, or a signal): at the bastion, on the way on from it, or at the target. */
export function explainConnection(target: CheckedTarget, stderr: StandardError, status: number | null): OperationError {
  const { bastion } = target;
  if (bastion !== null) {
    for (const { line, code } of FORWARDING) {
      const found = line.exec(stderr.bastion);
      if (found === null) continue;
      const why = excerpt(found[1] ?? 'it did not answer in time');
      if (code === 'bastion') return bastionError(target, bastion, `it does not forward to ${hopName(target)}: ${why}`);
      return hopError(code, target, bastion, `the bastion ${hopName(bastion)} cannot reach it: ${why}`);
    }
    const sign = read(stderr.bastion);
    if (sign !== null) {
      const cause = hopError(sign.code, bastion, null, sign.what, sign.nextStep);
      return bastionError(target, bastion, `${cause.code}: ${sign.what}`, cause);
    }
  }
  const sign = read(stderr.target);
  const bastionLast = lastLine(stderr.bastion);
  if (bastion !== null && bastionLast !== '' && (sign === null || sign.code === 'SSH_DISCONNECTED')) {
    const cause = hopError('SSH_FAILED', bastion, null, excerpt(bastionLast));
    return bastionError(target, bastion, `the way through it ended: ${excerpt(bastionLast)}`, cause);
  }
  if (sign !== null) return hopError(sign.code, target, bastion, sign.what, sign.nextStep);
  const last = lastLine(stderr.target);
  const how = status === null ? 'ssh was ended by a signal' : `ssh ended with status ${status}`;
  return hopError('SSH_FAILED', target, bastion, last === '' ? `${how} and said nothing` : `${how}: ${excerpt(last)}`);
}

const SUDO_REFUSED = /^(?:sudo(?:-rs)?: .*|Sorry, user .*)$/m;
const SUDO_MISSING = /\bsudo: (?:command )?not found/;

/**
 * Why the remote command failed after a good login.
 *
 * @param stdout what it printed, none of it the probe's
 */
export function explainRemote(
  target: CheckedTarget,
  { stderr, stdout, status }: { stderr: StandardError; stdout: string; status: number },
): OperationError {
  const { bastion } = target;
  const user = target.user === null ? 'the user' : `user ${target.user}`;
  if (SUDO_MISSING.test(stderr.target)) {
    return new OperationError('SSH_NO_SUDO', hopName(target), `${user} is not root, and there is no sudo`, {
      nextStep: 'log in as root, or install sudo there',
    });
  }
  const refused = SUDO_REFUSED.exec(stderr.target);
  if (refused !== null) {
    return new OperationError('SSH_NO_SUDO', hopName(target), `${user} may not become root: ${excerpt(refused[0])}`, {
      nextStep: `let sudo run "sh -s" without a password for this login, or log in as root; try: ${commandByHand(target, bastion)} sudo -n sh -s </dev/null`,
    });
  }
  const last = lastLine(stderr.target) || lastLine(stdout.slice(-1_000));
  return new OperationError(
    'SSH_REMOTE_FAILED',
    hopName(target),
    `the login was good, and what it ran ended with status ${status}${last === '' ? '' : `: ${excerpt(last)}`}`,
    { nextStep: `can this user run commands there? Try: ${commandByHand(target, bastion)} id` },
  );
}

/** After a failure without a word, a second connection stood. */
export function endedOnce(target: CheckedTarget): OperationError {
  return hopError(
    'SSH_DISCONNECTED',
    target,
    target.bastion,
    'the connection ended without a word; a second one stood',
  );
}

export function timedOut(target: CheckedTarget, what: string): OperationError {
  return hopError('SSH_TIMED_OUT', target, target.bastion, what);
}

function read(stderr: string): Pick<Sign, 'code' | 'what' | 'nextStep'> | null {
  for (const { line, ...sign } of SIGNS) {
    const found = line.exec(stderr);
    if (found !== null) return { ...sign, what: sign.what.replace('$1', () => excerpt(found[1] ?? '')) };
  }
  return null;
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1)?.trim() ?? '';
}

const RETRYABLE: ReadonlySet<HopCode> = new Set(['SSH_TIMED_OUT', 'SSH_DISCONNECTED', 'SSH_NO_ROUTE']);

function hopError(
  code: HopCode,
  hop: CheckedHop,
  through: CheckedHop | null,
  what: string,
  next = nextStep(code, hop, through),
): OperationError {
  return new OperationError(code, hopName(hop), what, {
    nextStep: next,
    retryable: RETRYABLE.has(code),
  });
}

function bastionError(
  target: CheckedTarget,
  bastion: CheckedHop,
  what: string,
  cause?: OperationError,
): OperationError {
  return new OperationError('SSH_BASTION_REFUSED', `bastion ${hopName(bastion)}`, what, {
    nextStep: cause?.nextStep ?? `allow TCP forwarding to ${target.host} in the bastion's sshd_config`,
    retryable: cause?.retryable ?? false,
    cause,
  });
}

function nextStep(code: HopCode, hop: CheckedHop, through: CheckedHop | null): string {
  const byHand = commandByHand(hop, through);
  const knownAs = hop.port === null || hop.port === 22 ? hop.host : `[${hop.host}]:${hop.port}`;
  switch (code) {
    case 'SSH_HOST_KEY_UNKNOWN':
      return `log in once by hand, compare the fingerprint it shows with the machine's own, and say yes: ${byHand}`;
    case 'SSH_HOST_KEY_CHANGED':
      return `find out whether the machine was made anew, or another one answers; if all is well: ssh-keygen -R '${knownAs}', then log in once by hand: ${byHand}`;
    case 'SSH_KEY_FILE':
      return 'give the path of the private key, as a file that only you can read: chmod 600 FILE';
    case 'SSH_KEY_REFUSED':
      return `is the public key in this user's authorized_keys? A key with a passphrase must be in the agent (ssh-add). Try: ${byHand}`;
    case 'SSH_NO_ROUTE':
      return `is the machine running, does sshd listen there, and do routes lead to it? Try: ${byHand}`;
    case 'SSH_TIMED_OUT':
      return `does a firewall or a network security group drop the way to port ${hop.port ?? 22}? Try: ${byHand}`;
    case 'SSH_DISCONNECTED':
      return `try again; if it stays so, look at sshd's log on the machine, or try: ${byHand}`;
    case 'SSH_FAILED':
      return `try: ${byHand}`;
  }
}
