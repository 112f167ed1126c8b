import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { OperationError } from '../../core/errors.ts';

/** What one check of `doctor` found. */
export interface Finding {
  readonly name: string;
  readonly state: 'ok' | 'FAILED' | 'unknown';
  readonly what: string;
}

/** Asks, and makes a finding of what is refused. A bug is thrown on. */
export async function findingOf<T>(
  name: string,
  ask: () => T | Promise<T>,
): Promise<
  { readonly value: T; readonly finding?: undefined } | { readonly value?: undefined; readonly finding: Finding }
> {
  try {
    return { value: await ask() };
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    return { finding: { name, state: 'FAILED', what: error.message } };
  }
}

/** Whether artifacts can be written; nothing is written to find out. */
export function checkStorage(auditDir: string): Finding {
  const path = resolve(auditDir);
  let existing = path;
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  const failed = (what: string): Finding => ({ name: 'storage', state: 'FAILED', what: `${auditDir}: ${what}` });
  if (!statSync(existing).isDirectory()) return failed(`${existing} is no directory`);
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
  } catch {
    return failed(`${existing} cannot be written to; give another one with --audit-dir`);
  }
  const what = existing === path ? `${auditDir} can be written to` : `${auditDir} will be made by the first run`;
  return { name: 'storage', state: 'ok', what };
}
