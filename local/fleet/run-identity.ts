import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

/**
 * Names of what a fleet leaves on the machine while it runs: `nfi-fleet-{pid}-{start}-{random}`, and below it a VM's
 * name. The process's start time is in it because a pid alone may be somebody else's by now.
 */
export const FLEET_PREFIX = 'nfi-fleet-';

export function newRunName(): string {
  return `${FLEET_PREFIX}${process.pid}-${startTimeOf(process.pid) ?? '0'}-${randomBytes(3).toString('hex')}`;
}

/** Whether something of this name belongs to a process that is no more. False for names that are not a fleet's. */
export function isLeftOver(name: string): boolean {
  const match = /^nfi-fleet-(\d+)-(\d+)-[0-9a-f]{6}/.exec(name);
  if (match === null) return false;
  return startTimeOf(Number(match[1])) !== match[2];
}

/** A process's start in clock ticks since boot, as text; undefined where there is no such process. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses, and may hold spaces and parentheses of its own.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
