import type { CheckedHop, CheckedTarget } from './target.ts';

/**
 * What the login shell of the target is asked to run. Constant text in single quotes, so that it means the same to every
 * shell that a user may have there; the script comes through standard input, and no file is made.
 */
export const REMOTE_COMMAND = 'exec sh -c \'if [ "$(id -u)" = 0 ]; then exec sh -s; else exec sudo -n sh -s; fi\'';

export interface ConnectionLimits {
  /** Whole seconds until a connection must stand, its key exchange included. */
  readonly connectSeconds: number;
  /** Put before every line that the bastion's ssh writes to standard error: letters and digits, new for every run. */
  readonly bastionTag: string;
}

/**
 * The arguments of `ssh`, beginning with the first after the program's name.
 *
 * What is given here comes before the user's own ~/.ssh/config and wins; what is not (aliases, host keys, certificates,
 * the agent, ControlMaster, a ProxyJump of the user's own) is honoured.
 */
export function buildSshArguments(target: CheckedTarget, limits: ConnectionLimits): string[] {
  // Without the server's banner, so that what stands in standard error is ssh's word.
  return connectionArguments(target, limits, 'ERROR', REMOTE_COMMAND);
}

/**
 * The same connection, to hear why it fails: some reasons ssh only says at INFO, among the server's banner. Nothing runs
 * there if it stands.
 */
export function buildSecondLookArguments(target: CheckedTarget, limits: ConnectionLimits): string[] {
  return connectionArguments(target, limits, 'INFO', 'exit 0');
}

function connectionArguments(
  target: CheckedTarget,
  limits: ConnectionLimits,
  logLevel: 'ERROR' | 'INFO',
  command: string,
): string[] {
  const { bastion } = target;
  // Through a bastion the target's clock also runs while the bastion's connection is made.
  const connectSeconds = limits.connectSeconds * (bastion === null ? 1 : 2);
  return [
    ...commonOptions(connectSeconds),
    ...['-o', `LogLevel=${logLevel}`],
    ...['-o', 'RemoteCommand=none'],
    ...(bastion === null ? [] : ['-o', `ProxyCommand=${proxyCommand(bastion, limits)}`]),
    ...hopOptions(target),
    ...['--', target.host, command],
  ];
}

function commonOptions(connectSeconds: number): string[] {
  return [
    ...['-o', 'BatchMode=yes'],
    ...['-o', 'StrictHostKeyChecking=yes'],
    ...['-o', 'UpdateHostKeys=no'],
    ...['-o', `ConnectTimeout=${connectSeconds}`],
    ...['-o', 'ConnectionAttempts=1'],
    ...['-o', 'ServerAliveInterval=15'],
    ...['-o', 'ServerAliveCountMax=3'],
    ...['-o', 'ForwardAgent=no'],
    ...['-o', 'ForwardX11=no'],
    ...['-o', 'ClearAllForwardings=yes'],
    ...['-o', 'Tunnel=no'],
    ...['-o', 'PermitLocalCommand=no'],
    ...['-o', 'RequestTTY=no'],
    ...['-o', 'EscapeChar=none'],
  ];
}

function hopOptions({ port, user, identityFile }: CheckedHop): string[] {
  return [
    ...(port === null ? [] : ['-p', `${port}`]),
    ...(user === null ? [] : ['-l', user]),
    // Other keys would be tried first, and a server may close the door before it comes to this one.
    ...(identityFile === null ? [] : ['-o', 'IdentitiesOnly=yes', '-i', identityFile]),
  ];
}

/** Runs its arguments with every line of their standard error marked: which of two ssh's said what is otherwise lost. */
const MARK_STANDARD_ERROR =
  'tag=$1; shift; ' +
  '{ "$@" 2>&1 1>&3 3>&- | ' +
  'while IFS= read -r line || [ -n "$line" ]; do printf "%s %s\\n" "$tag" "$line"; done 1>&2 3>&-; } 3>&1';

/**
 * The ssh that makes the way through the bastion, as text for /bin/sh. Every part is one quoted word, and `%` is doubled
 * for ssh, but in `%h` and `%p`: the target's address and port, which ssh puts in after its configuration was read.
 */
export function proxyCommand(bastion: CheckedHop, { connectSeconds, bastionTag }: ConnectionLimits): string {
  const words = [
    ...['sh', '-c', MARK_STANDARD_ERROR, 'bastion', bastionTag],
    ...['ssh', ...commonOptions(connectSeconds)],
    // At ERROR ssh does not say why a bastion could not reach its target.
    ...['-o', 'LogLevel=INFO'],
    ...hopOptions(bastion),
  ];
  const quoted = (word: string): string => shellWord(word).replaceAll('%', '%%');
  return [...words.map(quoted), '-W', "'[%h]:%p'", '--', quoted(bastion.host)].join(' ');
}

const SPECIAL: Readonly<Record<string, string>> = { "'": `'"'"'`, '\\': `'"\\\\"'` };

/**
 * One word for a POSIX shell, whatever it holds. Quotes and backslashes are written as pairs, because ssh (from 8.7)
 * looks for unbalanced quotes in the text of an option by rules of its own before a shell sees it.
 */
export function shellWord(text: string): string {
  if (/^[A-Za-z0-9_@:,./=+-]+$/.test(text)) return text;
  return `'${text.replace(/['\\]/g, (character) => SPECIAL[character] ?? character)}'`;
}

/** The same way for a person to try by hand, without the options that keep a program from being asked. */
export function commandByHand(hop: CheckedHop, bastion: CheckedHop | null): string {
  const words = (each: CheckedHop): string[] => [
    ...(each.port === null ? [] : ['-p', `${each.port}`]),
    ...(each.identityFile === null ? [] : ['-i', shellWord(each.identityFile)]),
    ...(each.user === null ? [] : ['-l', each.user]),
  ];
  const way = hop.host.includes(':') ? "'[%h]:%p'" : '%h:%p';
  const proxy =
    bastion === null
      ? []
      : ['-o', shellWord(`ProxyCommand=${['ssh', ...words(bastion), '-W', way, bastion.host].join(' ')}`)];
  return ['ssh', ...proxy, ...words(hop), hop.host].join(' ');
}
