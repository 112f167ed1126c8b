// npm run bench [-- iptables|nftables …]: every figure of a table is taken in one run, side by side with what it is compared with.

import { cpus, release } from 'node:os';
import { arch, argv, platform, version } from 'node:process';
import { benchIptables } from './iptables.ts';
import { benchNftables } from './nftables.ts';

const write = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const benches: Readonly<Record<string, (write: (line: string) => void) => unknown>> = {
  iptables: benchIptables,
  nftables: benchNftables,
};

const named = argv.slice(2);
const unknown = named.filter((name) => !(name in benches));
if (unknown.length > 0) {
  process.stderr.write(
    `bench: no bench is called ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}\n`,
  );
  process.exitCode = 1;
} else {
  write(`Node ${version}, ${platform} ${release()} ${arch}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`);
  for (const [name, bench] of Object.entries(benches)) {
    if (named.length > 0 && !named.includes(name)) continue;
    write(`\n## ${name}\n`);
    await bench(write);
  }
}
