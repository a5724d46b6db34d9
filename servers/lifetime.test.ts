import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it, vi } from 'vitest';

const child = fileURLToPath(new URL('lifetime-child.ts', import.meta.url));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** A process with a server and a folder; both are there when this resolves. */
async function processWithServer(): Promise<{ pid: number; server: number; folder: string; over: Promise<unknown> }> {
  const owner = spawn(process.execPath, [child], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const over = new Promise((resolve) => owner.once('exit', resolve));
  const line = await new Promise<string>((resolve) => {
    owner.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString('utf8')));
  });
  const made = JSON.parse(line) as { server: number; folder: string };
  expect(isAlive(made.server)).toBe(true);
  expect(existsSync(made.folder)).toBe(true);
  return { ...made, pid: owner.pid ?? 0, over };
}

it.concurrent.each(['SIGKILL', 'SIGTERM'] as const)(
  'ends servers and removes folders of a process ended by %s',
  async (signal) => {
    const made = await processWithServer();
    process.kill(made.pid, signal);
    await made.over;
    await vi.waitFor(() => expect(isAlive(made.server)).toBe(false), 60_000);
    await vi.waitFor(() => expect(existsSync(made.folder)).toBe(false), 60_000);
  },
);

it.concurrent('ends a paused server when the whole group of its process is killed', async () => {
  const made = await processWithServer();
  process.kill(made.server, 'SIGSTOP');
  process.kill(-made.pid, 'SIGKILL');
  await made.over;
  await vi.waitFor(() => expect(isAlive(made.server)).toBe(false), 60_000);
  await vi.waitFor(() => expect(existsSync(made.folder)).toBe(false), 60_000);
});
