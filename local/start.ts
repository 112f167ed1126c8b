// The demo's environment, kept up: for looking around with curl, and for working on the app.
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { startEnvironment } from './environment.ts';
import type { Fleet } from './fleet/fleet.ts';
import { fleetChanges } from './fleet/fleet-changes.ts';
import { Progress } from './progress.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '7071' },
    replay: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(`npm start -- [--port N] [--replay] [--verbose]

Starts storage, a fleet of VMs, an ARM simulator and the app, and stays until Ctrl-C.
  --port N    port of the app (default 7071; 0 takes a free one)
  --replay    recordings instead of kernel firewalls, also as root
  --verbose   show the Functions host's log
`);
} else {
  main().catch((error) => {
    const message = error instanceof Error ? error.message : String(error);
    const inUse = /EADDRINUSE/.test(message);
    process.stderr.write(
      inUse ? `\nstart: port ${values.port} is in use; try npm start -- --port 0\n` : `\nstart: failed — ${message}\n`,
    );
    process.exitCode = 1;
  });
}

async function main(): Promise<void> {
  const progress = new Progress();
  const environment = await startEnvironment({
    port: Number(values.port),
    fleetMode: values.replay ? 'replay' : 'auto',
    settings: { RUN_POLL_SECONDS: '1' },
    progress: (what) => progress.show(`starting ${what}`),
    log: (line) => {
      if (values.verbose) process.stderr.write(`${line}\n`);
    },
  });
  progress.clear();
  const { url, functionKey, subscriptionId, fleet, arm, storage } = environment;
  const header = `-H 'x-functions-key: ${functionKey}'`;
  process.stdout.write(`Netfilter Inspector runs here, with ${fleet.vms.length} VMs (${fleet.mode}: ${fleet.modeReason}).

app       ${url}/api/v1
ARM       ${arm.url}
storage   ${storage.blobEndpoint}
key       ${functionKey}

Baseline the fleet, then look for drift:

  curl -s ${header} ${url}/api/v1/runs \\
    -d '{"mode":"baseline","session_id":"before","selector":{"subscription_ids":["${subscriptionId}"]}}'
  curl -s ${header} ${url}/api/v1/operations/before
  curl -s ${header} ${url}/api/v1/runs/before

  curl -s ${header} ${url}/api/v1/runs \\
    -d '{"mode":"drift","session_id":"after","selector":{"subscription_ids":["${subscriptionId}"]}}'
  curl -s ${header} ${url}/api/v1/runs/after

Between the two, change a firewall: type one of these names and Enter.

${fleetChanges.map(({ name, vmName, summary }) => `  ${name.padEnd(10)}  ${vmName}: ${summary}`).join('\n')}

Ctrl-C ends it and removes everything it made.
`);
  createInterface({ input: process.stdin }).on('line', (line) => void change(environment.fleet, line.trim()));
  let stopping = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      void environment.stop().finally(() => process.exit(0));
    });
  }
}

async function change(fleet: Fleet, name: string): Promise<void> {
  const known = fleetChanges.find((each) => each.name === name);
  if (known === undefined) {
    process.stdout.write(
      `no change is called "${name}"; there are ${fleetChanges.map((each) => each.name).join(', ')}\n`,
    );
    return;
  }
  try {
    const { vmName, summary } = await fleet.change(known.name);
    process.stdout.write(`${vmName}: ${summary}\n`);
  } catch (error) {
    process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
  }
}
