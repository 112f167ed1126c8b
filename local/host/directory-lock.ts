import { createHash } from 'node:crypto';
import { mkdirSync, realpathSync } from 'node:fs';
import { createServer, type Server } from 'node:net';

/**
 * Makes sure that one host at a time uses a state directory. The lock is a socket name without a file, which the
 * system takes back however the process ends; where there is no such thing (neither Linux nor Windows) nothing is
 * locked.
 *
 * @returns  releases the lock
 * Error: another host has it.
 */
export async function lockDirectory(directory: string): Promise<() => void> {
  mkdirSync(directory, { recursive: true });
  const digest = createHash('sha256').update(realpathSync(directory)).digest('hex').slice(0, 32);
  const prefix = { linux: '\0', win32: '\\\\.\\pipe\\' }[process.platform as string];
  if (prefix === undefined) return () => {};
  const server = createServer((socket) => socket.destroy());
  await listen(server, `${prefix}functions-host-${digest}`, directory);
  server.unref();
  return () => server.close();
}

function listen(server: Server, path: string, directory: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE';
      reject(isTaken ? new Error(`another functions host uses the state directory ${directory}`) : error);
    });
    server.listen(path, resolve);
  });
}
