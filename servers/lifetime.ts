import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('watchdog.ts', import.meta.url));
let watchdog: Socket | undefined;

/** A server of this process: it doesn't outlive it, not even when this process is killed. */
export function bindServer(pid: number): void {
  tell(`server ${pid}`);
}

/** A server that has ended by itself. */
export function releaseServer(pid: number): void {
  tell(`-server ${pid}`);
}

/** A folder that doesn't outlive this process: `NAME-` and something, in `parent`. */
export function temporaryFolder(name: string, parent = tmpdir()): string {
  const folder = mkdtempSync(join(parent, `${name}-`));
  tell(`folder ${folder}`);
  return folder;
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  tell(`-folder ${folder}`);
}

function tell(line: string): void {
  watchdog ??= startWatchdog();
  watchdog.write(`${line}\n`);
}

function startWatchdog(): Socket {
  // A group of its own: what kills this process together with its group leaves the watchdog to do its work.
  const child = spawn(process.execPath, [program], { detached: true, stdio: ['pipe', 'ignore', 'inherit'], env: {} });
  child.unref();
  const input = child.stdin as Socket;
  input.unref();
  return input;
}
