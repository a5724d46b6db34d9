// Ends the servers and removes the folders of the process that started it, when that process has ended in whatever way.
// Standard input is the connection between the two: lines `server PID`, `folder PATH`, and with `-` before them what is over.
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInterface } from 'node:readline';

const servers = new Set<number>();
const folders = new Set<string>();

// A terminal sends them to all it runs; the servers have to be ended nevertheless.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

for await (const line of createInterface({ input: process.stdin })) {
  const [, over, kind, what = ''] = /^(-?)(server|folder) (.+)$/.exec(line) ?? [];
  if (kind === 'server') change(servers, Number(what), over === '-');
  if (kind === 'folder') change(folders, what, over === '-');
}
for (const pid of servers) kill(pid);
// What is killed may be writing for a moment still.
for (let attempt = 0; attempt < 100 && [...servers].some(isAlive); attempt += 1) await sleep(20);
for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });

function change<Value>(set: Set<Value>, value: Value, isOver: boolean): void {
  if (isOver) set.delete(value);
  else set.add(value);
}

function kill(pid: number): void {
  if (isAlive(pid)) process.kill(pid, 'SIGKILL');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
