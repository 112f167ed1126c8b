export type LogLevel = 'trace' | 'debug' | 'information' | 'warning' | 'error' | 'critical' | 'none';

export interface LogEntry {
  level: LogLevel;
  /** `user`: the app's `context.log`; `system`: the SDK; `host`: this host. */
  category: 'user' | 'system' | 'host';
  message: string;
  functionName?: string;
  invocationId?: string;
}

export type Log = (entry: LogEntry) => void;

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
