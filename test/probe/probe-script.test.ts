import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { buildProbeScript } from '../../src/core/capture/probe-script.ts';
import { probeText } from './probe-runs.ts';
import { readShell } from './shell-commands.ts';

const BUILTINS: ReadonlySet<string> = new Set([
  '[',
  'echo',
  'exit',
  'export',
  'printf',
  'return',
  'set',
  'shift',
  'unset',
]);

/** Every program the probe may run, with the arguments it may run it with, as the script writes them. */
const PROGRAMS: ReadonlySet<string> = new Set([
  // Read the host and the kernel.
  'cat',
  'cat "$names"',
  'cat "$root/proc/sys/kernel/random/boot_id"',
  'date -u +%Y-%m-%dT%H:%M:%SZ',
  'grep -E \'^(ID|VERSION_ID|PRETTY_NAME)=\' "$root/etc/os-release"',
  'grep -q "^$1 " "$root/proc/modules"',
  'grep -q "/$1\\.ko" "$root/lib/modules/$release/modules.builtin"',
  'grep -q " $2\\$" "$root/proc/kallsyms"',
  'id -u',
  'readlink -f "$(command -v "$1")"',
  'readlink -f "$(command -v iptables)"',
  'uname -r',
  'uname -snrm',
  'update-alternatives --query iptables',
  // Read the firewall. "$1" and "$2" are names of save tools; the calls of the functions below say which.
  '"$1-save" --version',
  '"$1" --version',
  '"$2" $counters',
  'nft --version',
  'nft --json $stateless list ruleset',
  'ipset --version',
  'ipset save',
  // Run with a time limit; "$@" is what `section` was given.
  '"$@"',
  'timeout -s KILL "$command_seconds_max" "$@"',
  'timeout -s KILL 5 true',
  // Encode.
  'base64',
  'busybox "$1" --help',
  'busybox base64',
  'busybox gzip -n -9',
  'busybox sha256sum',
  'command -v "$1"',
  'command -v iptables',
  'cut -b "$((last - slice_data_bytes + 1))-$last"',
  'cut -b 1-64',
  'gzip -n -9',
  'head -c "$stderr_bytes_max"',
  'od -An -v -tx1',
  'openssl base64',
  'openssl dgst -sha256 -r',
  'sha256sum',
  'shasum -a 256',
  "tr -d ' \\n'",
  'wc -c',
]);

/** Calls that decide what "$1" and "$2" above are; a call of these functions must be one of them. */
const CALLS: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['save_family', new Set(['iptables', 'ip6tables'])],
  ['save_version', new Set(['"$1"'])],
  ['nft_save', new Set(['"$1-save" "$1-save"', '"$1-nft-save" "$1-nft-save"'])],
  ['legacy_save', new Set(['"$1-save" "$1-save"', '"$1-legacy-save" "$1-legacy-save"'])],
  ['legacy_tables', new Set(['ip_tables_names', 'ip6_tables_names'])],
  ['busybox_has', new Set(['sha256sum', 'gzip', 'base64'])],
  ['limited', new Set(['"$@"'])],
  ['backend_of_program', new Set(['"$1-save"'])],
]);

const REDIRECTIONS: ReadonlySet<string> = new Set([
  '</dev/null',
  '>/dev/null',
  '2>/dev/null',
  '2>&1',
  '2>&5',
  '3>&1',
  '3>&-',
  '5>&1',
  '5>&-',
  '>&3',
  '>&5',
]);

const SED = /^sed(?: -e '[^']*')+$/;
/** Of sed's scripts only `s` with no flag or `g`, and `d` behind an address: `w` and `e` would write and run. */
const SED_SCRIPT = /^(?:(?:\/\^:\/)?s\/(?:[^/\\]|\\.)*\/(?:[^/\\]|\\.)*\/g?|\/\^# [A-Z][a-z]+ [a-z]+ \/d)$/;

/** What a script does that the probe must not: an empty list is the promise kept. */
function offences(script: string): string[] {
  const { commands, redirections, functions, refused } = readShell(script);
  const found = [...refused];
  for (const redirection of redirections) {
    if (!REDIRECTIONS.has(redirection)) found.push(`redirection ${redirection}`);
  }
  const known = new Set(functions);
  const programText = new Set(PROGRAMS);
  for (const name of functions) if (BUILTINS.has(name)) found.push(`function ${name} hides a builtin`);
  for (const [name = '', ...args] of commands) {
    const command = [name, ...args].join(' ');
    if (name === 'section') {
      const program = args.slice(2).join(' ');
      if (!programText.has(program)) found.push(`section runs ${program}`);
    } else if (known.has(name)) {
      const calls = CALLS.get(name);
      if (calls !== undefined && !calls.has(args.join(' '))) found.push(`call ${command}`);
    } else if (name === 'sed') {
      const scripts = [...command.matchAll(/'([^']*)'/g)].map(([, text]) => text ?? '');
      if (!SED.test(command) || !scripts.every((text) => SED_SCRIPT.test(text))) found.push(`command ${command}`);
    } else if (!BUILTINS.has(name) && !programText.has(command)) found.push(`command ${command}`);
  }
  return found;
}

test('the probe runs only allow-listed commands and opens only /dev/null', () => {
  assert.deepEqual(offences(probeText), []);
});

test('every allowed command and redirection is one the probe uses', () => {
  const { commands, redirections } = readShell(probeText);
  const used = new Set(
    commands.flatMap(([name = '', ...args]) => [[name, ...args].join(' '), args.slice(2).join(' ')]),
  );
  assert.deepEqual(
    [...PROGRAMS].filter((program) => !used.has(program)),
    [],
  );
  assert.deepEqual(
    [...REDIRECTIONS].filter((redirection) => !redirections.includes(redirection)),
    [],
  );
});

const BAD = [
  'iptables -F',
  '/usr/sbin/iptables -F',
  'nft flush ruleset',
  'section x nft nft flush ruleset',
  'section x nft nft -f /etc/nftables.conf',
  'section x text "$2" --flush',
  'save_family "iptables -F #"',
  'legacy_save x iptables-restore',
  'ipset destroy',
  'ipset save -file /root/sets',
  'modprobe ip_tables',
  'if modprobe nf_tables; then echo yes; fi',
  'x=$(nft add table ip x)',
  'echo "$(nft add table ip x)"',
  'echo "a $(cat $(mktemp)) b"',
  'echo $(( $(nft list ruleset) + 1 ))',
  'echo x > /tmp/x',
  'echo x >>"$root/etc/x"',
  'echo x >| /dev/kmsg',
  'cat </etc/shadow',
  'cat <<END\ntext\nEND',
  'cat <> /dev/null',
  'exec 3>/tmp/x',
  'eval "$nonce"',
  '"$nonce"',
  '$nonce',
  '. /etc/profile',
  'trap "rm x" EXIT',
  'sed -i s/a/b/ /etc/x',
  "sed -e 'w /tmp/x'",
  "sed -e 's/a/b/w /tmp/x'",
  "sed -e 's/a/b/e'",
  'cat | tee /tmp/x',
  'printf x | tee /tmp/x | cat',
  'cat && rm -r /',
  'cat || rm -r /',
  '( cd /tmp; touch x )',
  '{ mkdir /tmp/x; }',
  'case $mode in auto) rm x ;; esac',
  'case $mode in a|b) cat;; c) cat\nkill 1\n;; esac',
  'case $mode in a) case $x in b) rm y;; esac;; esac',
  'while true; do sync; done',
  'for x in a b; do rm "$x"; done',
  'x=1 nft flush ruleset',
  'timeout 5 nft flush ruleset',
  'timeout "$command_seconds_max" nft flush ruleset',
  'command nft flush ruleset',
  'busybox rm x',
  'openssl rand -out /tmp/x 1',
  'gzip -9 /etc/x',
  'date -s 2020-01-01',
  'cat "$names" & ',
  'echo `nft flush ruleset`',
  'echo "`nft flush ruleset`"',
  ['echo $', '{x:-$(nft flush ruleset)}'].join(''),
  'printf() { nft flush ruleset; }',
  'sneak() { nft flush ruleset; }\nsneak',
  '! nft flush ruleset',
];

test('each kind of forbidden line is found, alone and inside the probe', () => {
  for (const line of BAD) {
    assert.notDeepEqual(offences(`${line}\n`), [], line);
    assert.notDeepEqual(offences(probeText.replace('\nmain\n', `\n${line}\nmain\n`)), [], line);
    assert.notDeepEqual(offences(probeText.replace('  choose_tools\n', `  ${line}\n  choose_tools\n`)), [], line);
  }
});

test('a script cut off at any line on its way to the shell prints nothing', () => {
  const lines = buildProbeScript(probeText, { nonce: '00112233445566778899aabbccddeeff', slice: 1, mode: 'auto' });
  for (let count = 1; count < lines.length; count += 1) {
    const { stdout } = spawnSync('sh', ['-s'], { input: lines.slice(0, count).join('\n'), encoding: 'utf8' });
    assert.equal(stdout, '', `cut after line ${count}`);
  }
});
