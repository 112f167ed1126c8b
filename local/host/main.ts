// Runs the embedded host as a process of its own. Prints {"url":…} on stdout when it is ready, log lines on stderr.
import { parseArgs } from 'node:util';
import { startFunctionsHost } from './index.ts';
import { errorText, type LogEntry } from './log.ts';

const { values } = parseArgs({
  options: {
    app: { type: 'string', default: '.' },
    port: { type: 'string', default: '0' },
    state: { type: 'string' },
    'time-scale': { type: 'string', default: '1' },
    'max-messages': { type: 'string', default: '32' },
    'function-key': { type: 'string' },
    'master-key': { type: 'string' },
    'system-key': { type: 'string' },
    'no-timers': { type: 'boolean', default: false },
    'no-strict': { type: 'boolean', default: false },
    setting: { type: 'string', multiple: true, default: [] },
    quiet: { type: 'boolean', default: false },
    /** End as if killed when stdin ends: the process that started this one is gone. */
    'with-parent': { type: 'boolean', default: false },
  },
});

if (values['with-parent']) process.stdin.on('end', () => process.exit(1)).resume();

try {
  const host = await startFunctionsHost({
    appDirectory: values.app,
    port: wholeNumber('port', values.port),
    timeScale: positive('time-scale', values['time-scale']),
    maxMessagesPerEpisode: Math.max(1, wholeNumber('max-messages', values['max-messages'])),
    timersEnabled: !values['no-timers'],
    strict: !values['no-strict'],
    settings: Object.fromEntries(values.setting.map(setting)),
    keys: {
      ...(values['function-key'] ? { function: values['function-key'] } : {}),
      ...(values['master-key'] ? { master: values['master-key'] } : {}),
      ...(values['system-key'] ? { system: values['system-key'] } : {}),
    },
    ...(values.state ? { stateDirectory: values.state } : {}),
    log: values.quiet ? () => {} : writeLog,
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void host.stop().finally(() => process.exit(0));
    });
  }
  process.stdout.write(
    `${JSON.stringify({ url: host.url, port: host.port, keys: host.keys, functions: host.functions.length })}\n`,
  );
} catch (error) {
  process.stderr.write(`functions host: ${errorText(error)}\n`);
  process.exit(1);
}

function writeLog({ level, category, functionName, message }: LogEntry): void {
  if (level === 'trace' || level === 'debug') return;
  process.stderr.write(`${level} ${category}${functionName ? ` ${functionName}` : ''}: ${message}\n`);
}

function setting(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new Error(`--setting needs NAME=VALUE, not "${text}"`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`--${name} needs a whole number, not "${text}"`);
  return Number(text);
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} needs a number above 0, not "${text}"`);
  return value;
}
