import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Logins that every server of the network knows; `authorized` says which of the client's keys each accepts. */
const USERS = {
  root: { uid: 0, shell: '' },
  inspector: { uid: 64_201, shell: '/bin/bash' },
  plain: { uid: 64_202, shell: '/bin/sh' },
  jump: { uid: 64_203, shell: '/bin/sh' },
  closed: { uid: 64_204, shell: '/usr/sbin/nologin' },
} as const;

export interface ServerOptions {
  readonly namespace: string;
  readonly port: number;
  /** User → name of the client's key that may log in. */
  readonly authorized: Readonly<Partial<Record<keyof typeof USERS, string>>>;
  /** More lines of sshd_config. */
  readonly config?: string;
  /** More shell text for the server's private root, at `$root`. */
  readonly prepare?: string;
}

/**
 * A real sshd in a network namespace, in a root of its own: an overlay over this machine's, whose upper layer holds all
 * that is ever written there. Users, keys and sudoers exist in that layer only.
 */
export interface Server {
  readonly pid: number;
  readonly port: number;
  /** `ssh-ed25519 AAAA…`, for known_hosts. */
  readonly hostKey: string;
  readonly log: () => string;
  /** Every file and directory of the upper layer with its size, mode, times and inode, `what was written there`. */
  written(): string[];
  /** Runs shell text with `$root` set to the server's root. */
  shell(text: string): string;
  stop(): Promise<void>;
}

/** Namespaces client, direct, bastion and target, wired `client – direct` and `client – bastion – target`. */
export class SshNetwork {
  readonly scratch: string = mkdtempSync(join(tmpdir(), 'nfi-ssh-'));
  readonly #prefix = `ssh${process.pid}`;
  readonly #servers: Server[] = [];
  readonly #namespaces: string[] = [];
  readonly home: string = join(this.scratch, 'home');
  /** For `runProbeOverSsh`: its `ssh` runs in the client's namespace and finds `home` in place of root's home. */
  readonly env: NodeJS.ProcessEnv;

  constructor() {
    const bin = join(this.scratch, 'bin');
    mkdirSync(bin);
    mkdirSync(join(this.home, '.ssh'), { recursive: true, mode: 0o700 });
    const rootHome = execFileSync('getent', ['passwd', '0'], { encoding: 'utf8' }).split(':')[5] ?? '/root';
    const inside = `mount --bind ${this.home} ${rootHome} && exec /usr/bin/ssh "$@"`;
    writeFileSync(
      join(bin, 'ssh'),
      `#!/bin/sh\nexec ip netns exec ${this.namespace('client')} sh -c '${inside}' ssh "$@"\n`,
    );
    chmodSync(join(bin, 'ssh'), 0o755);
    this.env = { ...process.env, PATH: `${bin}:${process.env['PATH']}:/usr/sbin:/sbin`, SSH_AUTH_SOCK: '' };
  }

  namespace(name: string): string {
    return `${this.#prefix}-${name}`;
  }

  /** The client's private key of this name, made on first use. */
  key(name: string): string {
    const path = join(this.home, '.ssh', name);
    if (spawnSync('test', ['-e', path]).status !== 0) {
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', path]);
    }
    return path;
  }

  wire(): void {
    for (const name of ['client', 'direct', 'bastion', 'target']) {
      execFileSync('ip', ['netns', 'add', this.namespace(name)]);
      this.#namespaces.push(this.namespace(name));
      this.run(name, 'ip link set lo up');
    }
    const links = [
      ['client', 'direct', '10.201.1'],
      ['client', 'bastion', '10.201.2'],
      ['bastion', 'target', '10.201.3'],
    ] as const;
    for (const [one, other, subnet] of links) {
      const [near, far] = [`to-${other}`, `to-${one}`];
      this.run(one, `ip link add ${near} type veth peer name ${far} netns ${this.namespace(other)}`);
      for (const [name, device, last] of [
        [one, near, 1],
        [other, far, 2],
      ] as const) {
        this.run(name, `ip addr add ${subnet}.${last}/24 dev ${device}`);
        const ipv6 = `fd${subnet.split('.').at(-1)}0::${last}/64`;
        this.run(name, `ip addr add ${ipv6} dev ${device} nodad`);
        this.run(name, `ip link set ${device} up`);
      }
    }
  }

  run(name: string, command: string): string {
    return execFileSync('ip', ['netns', 'exec', this.namespace(name), ...command.split(' ')], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Replaces the client's known_hosts. */
  knownHosts(entries: Readonly<Record<string, string>>): void {
    const lines = Object.entries(entries).map(([host, key]) => `${host} ${key}\n`);
    writeFileSync(join(this.home, '.ssh', 'known_hosts'), lines.join(''));
  }

  clientConfig(text: string): void {
    writeFileSync(join(this.home, '.ssh', 'config'), text, { mode: 0o600 });
  }

  async serve(options: ServerOptions): Promise<Server> {
    const name = `${options.namespace}-${options.port}`;
    const place = join(this.scratch, name);
    mkdirSync(place);
    const hostKey = join(place, 'host_key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', hostKey]);
    const hostPublic = readFileSync(`${hostKey}.pub`, 'utf8').trim();
    const script = this.#serverScript(options, place, readFileSync(hostKey, 'utf8'));
    const child = spawn(
      'ip',
      [
        'netns',
        'exec',
        this.namespace(options.namespace),
        'unshare',
        '--mount',
        '--propagation',
        'private',
        'sh',
        '-ec',
        script,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    while (!log.includes(`port ${options.port}.`)) {
      if (child.exitCode !== null) throw new Error(`sshd of ${name} did not start:\n${log}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const pid = child.pid ?? 0;
    const shell = (text: string): string =>
      execFileSync('nsenter', ['-t', `${pid}`, '-m', 'sh', '-ec', `root=${place}/over/root\n${text}`], {
        encoding: 'utf8',
      });
    const server: Server = {
      pid,
      port: options.port,
      hostKey: hostPublic,
      log: () => log,
      shell,
      written: () => shell(`cd ${place}/over/up; find . -printf '%p %y %m %s %i %T@ %C@\\n'`).trim().split('\n').sort(),
      stop: () => stop(child),
    };
    this.#servers.push(server);
    return server;
  }

  #serverScript(
    { port, authorized, config = '', prepare = '' }: ServerOptions,
    place: string,
    hostKey: string,
  ): string {
    const users = Object.entries(USERS).filter(([name]) => name !== 'root');
    return `
      over=${place}/over; mkdir $over; mount -t tmpfs -o mode=755 tmpfs $over
      mkdir $over/up $over/work $over/root; root=$over/root
      mount -t overlay overlay -o lowerdir=/,upperdir=$over/up,workdir=$over/work $root
      for each in dev proc sys; do mount --rbind /$each $root/$each; done
      rm -f $root/root/.[!.]*rc $root/root/.*profile
      mkdir -p $root/run/sshd $root/etc/ssh/authorized; chmod 755 $root/run/sshd
      ${users.map(([name, { uid, shell }]) => `mkdir -p $root/home/${name}; echo '${name}:x:${uid}:65534::/home/${name}:${shell}' >>$root/etc/passwd; echo '${name}:*:19000:0:99999:7:::' >>$root/etc/shadow`).join('\n')}
      if [ -d $root/etc/sudoers.d ]; then
        echo 'inspector ALL=(root) NOPASSWD: /bin/sh -s, /usr/bin/sh -s' >$root/etc/sudoers.d/inspector; chmod 440 $root/etc/sudoers.d/inspector
      fi
      ${Object.entries(authorized)
        .map(
          ([user, key]) =>
            `echo '${readFileSync(`${this.key(key ?? '')}.pub`, 'utf8').trim()}' >$root/etc/ssh/authorized/${user}`,
        )
        .join('\n')}
      cat >$root/etc/ssh/test_host_key <<'KEY'\n${hostKey}KEY
      chmod 600 $root/etc/ssh/test_host_key
      cat >$root/etc/ssh/test_config <<'CONFIG'
Port ${port}
HostKey /etc/ssh/test_host_key
AuthorizedKeysFile /etc/ssh/authorized/%u
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
PidFile none
Banner none
${config}
CONFIG
      ${prepare}
      exec chroot $root /usr/sbin/sshd -D -e -f /etc/ssh/test_config`;
  }

  async close(): Promise<void> {
    for (const server of this.#servers) await server.stop();
    for (const namespace of this.#namespaces) execFileSync('ip', ['netns', 'delete', namespace]);
    rmSync(this.scratch, { recursive: true });
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}
