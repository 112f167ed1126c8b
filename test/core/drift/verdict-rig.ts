import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/**
 * Asks the real kernel who gets in under a firewall: a host in a network namespace of its own, which listens, and a
 * second namespace on the other end of its `eth0` that has several source addresses.
 */
export interface Verdicts {
  readonly iptables: string;
  readonly nft: string;
  readonly ipset: string;
  /** The connections that were made, as they were asked for: `198.51.100.7 22`. */
  readonly open: readonly string[];
}

const HOST = '192.0.2.1';
const SOURCES = ['198.51.100.7', '203.0.113.9', '10.0.0.9', '200.0.0.9'];
const PORTS = [22, 80, 2222, 8080];
/** A SYN that nothing answers is a drop: both ends are this machine. A busy one may be slower: see `isPatient`. */
const SILENCE_MS = 250;
const PATIENT_SILENCE_MS = 5000;

export class VerdictRig {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor() {
    const script = fileURLToPath(import.meta.url);
    const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` };
    this.#child = spawn('unshare', ['--net', process.execPath, script, 'host'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env,
    });
    this.#answers = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  /**
   * @param firewall  shell commands that set the firewall up; what was there before is gone
   * @param knocks  connections to try first
   * @param isPatient  wait long before silence is taken for a drop, when the first answer is in doubt
   */
  async ask(
    firewall: string,
    connections: readonly string[],
    knocks: readonly string[],
    isPatient = false,
  ): Promise<Verdicts> {
    this.#child.stdin?.write(
      `${JSON.stringify({ firewall, connections, knocks, silenceMs: isPatient ? PATIENT_SILENCE_MS : SILENCE_MS })}\n`,
    );
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error('the namespace went');
    const answer = JSON.parse(value) as Verdicts & { readonly error?: string };
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  close(): void {
    this.#child.stdin?.end();
  }
}

const CLEAN = `for table in filter nat mangle raw; do iptables -t $table -F; iptables -t $table -X; done
for chain in INPUT FORWARD OUTPUT; do iptables -P $chain ACCEPT; done
nft flush ruleset
ipset flush; ipset destroy`;

function sh(script: string): string {
  return execFileSync('sh', ['-e', '-c', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

async function host(): Promise<void> {
  const guest = spawn('unshare', ['--net', process.execPath, fileURLToPath(import.meta.url), 'guest'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: guest.stdout })[Symbol.asyncIterator]();
  await lines.next();
  sh(`ip link set lo up
ip link add eth0 type veth peer name far netns ${guest.pid}
ip addr add ${HOST}/24 dev eth0; ip link set eth0 up; ip route add default dev eth0
nsenter --net=/proc/${guest.pid}/ns/net sh -e -c '
  ${SOURCES.map((address) => `ip addr add ${address}/32 dev far`).join('\n')}
  ip addr add 192.0.2.2/24 dev far; ip link set far up'`);
  await Promise.all(
    PORTS.map((port) => {
      const server = createServer((socket) => socket.on('error', () => {}).resume());
      return new Promise<void>((resolve) => server.listen(port, HOST, resolve));
    }),
  );
  for await (const line of createInterface({ input: process.stdin })) {
    const { firewall, ...asked } = JSON.parse(line) as { firewall: string };
    try {
      sh(CLEAN);
      sh(firewall);
      const [iptables, nft, ipset] = ['iptables-save', 'nft -j list ruleset', 'ipset save'].map(sh);
      guest.stdin.write(`${JSON.stringify(asked)}\n`);
      const { value } = await lines.next();
      console.log(JSON.stringify({ iptables, nft, ipset, open: JSON.parse(value) }));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error) }));
    }
  }
  guest.stdin.end();
  process.exit(0);
}

async function guest(): Promise<void> {
  console.log('ready');
  for await (const line of createInterface({ input: process.stdin })) {
    const { connections, knocks, silenceMs } = JSON.parse(line) as {
      connections: string[];
      knocks: string[];
      silenceMs: number;
    };
    await Promise.all(knocks.map((knock) => isOpen(knock, SILENCE_MS)));
    const areOpen = await Promise.all(connections.map((connection) => isOpen(connection, silenceMs)));
    console.log(JSON.stringify(connections.filter((_, index) => areOpen[index])));
  }
}

function isOpen(connection: string, silenceMs: number): Promise<boolean> {
  const [localAddress = '', port = ''] = connection.split(' ');
  return new Promise((resolve) => {
    const socket = connect({ host: HOST, port: Number(port), localAddress });
    const end = (isAnswered: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(isAnswered);
    };
    const timer = setTimeout(end, silenceMs, false);
    socket.on('connect', () => end(true)).on('error', () => end(false));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await (process.argv[2] === 'host' ? host() : guest());
}
