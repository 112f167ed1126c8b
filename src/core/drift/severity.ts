/** How much a change matters. `noise` is churn that a tool makes by itself; it is folded, never dropped. */
export type Severity = 'critical' | 'high' | 'medium' | 'low' | 'noise';

/** Worst first. */
export const SEVERITIES: readonly Severity[] = ['critical', 'high', 'medium', 'low', 'noise'];

/** Negative when `a` is worse than `b`, as Array.prototype.sort wants it. */
export function compareSeverity(a: Severity, b: Severity): number {
  return SEVERITIES.indexOf(a) - SEVERITIES.indexOf(b);
}

export function worstSeverity(severities: Iterable<Severity>): Severity | null {
  let worst: Severity | null = null;
  for (const severity of severities) if (worst === null || compareSeverity(severity, worst) < 0) worst = severity;
  return worst;
}

/** What a change can do, judged: the sentence a reader sees, and how loud it is. */
export interface Assessment {
  readonly severity: Severity;
  /** One sentence, plain language, the rule's own words: "SSH (tcp/22) is now open to any source". */
  readonly reason: string;
}
