// `npm run functions`: what the built app registers, as the real programming model reports it; one line per function.
import { parseArgs } from 'node:util';
import { loadApp, readHostSettings } from './host/app.ts';
import { describeFunction } from './host/function-summary.ts';
import { FunctionsCore } from './host/functions-core.ts';
import { errorText } from './host/log.ts';
import { compileRoute } from './host/routes.ts';

const { values } = parseArgs({ options: { app: { type: 'string', default: '.' } } });
try {
  const core = new FunctionsCore(({ level, message }) => {
    if (level === 'warning' || level === 'error' || level === 'critical') process.stderr.write(`${message}\n`);
  });
  core.install();
  await loadApp(values.app, core);
  const { routePrefix } = readHostSettings(values.app, { concurrentActivitiesMax: 1 });
  const functions = [...core.functions.values()];
  for (const { trigger } of functions) if (typeof trigger['route'] === 'string') compileRoute(trigger['route']);
  const rows = functions.map((fn) => describeFunction(fn, routePrefix)).sort((a, b) => (a.name < b.name ? -1 : 1));
  const nameWidth = Math.max(...rows.map(({ name }) => name.length));
  const typeWidth = Math.max(...rows.map(({ triggerType }) => triggerType.length));
  for (const { name, triggerType, listensTo, bindings } of rows) {
    const rest = [listensTo, bindings.length > 0 ? `[${bindings.join(', ')}]` : '']
      .filter((text) => text !== '')
      .join('  ');
    process.stdout.write(`${`${name.padEnd(nameWidth)}  ${triggerType.padEnd(typeWidth)}  ${rest}`.trimEnd()}\n`);
  }
  // The app may hold sockets or timers open.
  process.exit(0);
} catch (error) {
  process.stderr.write(`${errorText(error)}\n`);
  process.exit(1);
}
