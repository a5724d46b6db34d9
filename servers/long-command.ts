import { spawn } from 'node:child_process';
import { getPriority, setPriority } from 'node:os';
import { bindServer, releaseServer } from './lifetime.ts';
import type { Progress } from './live-server.ts';

const reportEveryMs = 30_000;

export interface LongCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** What it does, for the reports: `building vault 1.21.4`. */
  readonly doing: string;
  /** After which it is killed. */
  readonly limitMinutes: number;
  /** The nice value it has at least: a build leaves the machine to others. */
  readonly niceness: number;
}

export interface Ended {
  /** `null` when the program doesn't exist or was killed. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command that takes minutes; says when it begins, how long it is at it, and when it has ended. It ends with this process. */
export async function runLong(command: LongCommand, progress: Progress): Promise<Ended> {
  const started = performance.now();
  progress(`${command.doing} …`);
  const timer = setInterval(() => progress(`${command.doing} … ${elapsed(started)}`), reportEveryMs);
  try {
    const ended = await run(command);
    progress(`${command.doing}: ${ended.code === 0 ? 'done' : 'failed'} after ${elapsed(started)}`);
    return ended;
  } finally {
    clearInterval(timer);
  }
}

function run(command: LongCommand): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(command.program, command.args, {
      cwd: command.cwd,
      env: { ...process.env, ...command.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: command.limitMinutes * 60_000,
      killSignal: 'SIGKILL',
    });
    const { pid } = child;
    if (pid !== undefined) {
      if (command.niceness > getPriority()) setPriority(pid, command.niceness);
      bindServer(pid);
      child.once('exit', () => releaseServer(pid));
    }
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
    child.once('error', (error) => resolve({ code: null, stdout, stderr: error.message }));
    child.once('exit', (_, signal) => {
      if (signal !== null) stderr += `\nended by ${signal}; ${command.limitMinutes} min is the limit\n`;
    });
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

export function elapsed(since: number): string {
  const seconds = Math.round((performance.now() - since) / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
