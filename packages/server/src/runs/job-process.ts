import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { StrongroomError } from '@strongroom/contract';
import { findExecutable, requireDirectory } from './executable.ts';
import { endProcessesOf, runVariable, sendSignal, startTimeOf } from './process-identity.ts';
import type { ProcessSpec } from './process-spec.ts';
import type { JobUser, RunFolder } from './run-folder.ts';
import type { RunOutput, WorkloadExit } from './runner.ts';

/** Milliseconds between SIGTERM and SIGKILL. */
const graceMilliseconds = 10_000;
/** Milliseconds that what the command left behind may keep its output open. */
const drainMilliseconds = 2_000;
/** Longest wait of one timer: they count in 31 bits. */
const maxTimerMilliseconds = 3_600_000;

export interface JobSurroundings {
  readonly folder: RunFolder;
  readonly user: JobUser | null;
  /** PATH and LANG of jobs that set none. */
  readonly path: string;
  readonly language: string;
  /** `prlimit` of util-linux, to start jobs without core dumps; `null`: not on this machine. */
  readonly prlimit: string | null;
}

/** A started command. */
export interface JobProcess {
  readonly pid: number;
  readonly startTime: string | null;
  /** When the command and everything it started has ended and its output is read. */
  readonly exited: Promise<WorkloadExit>;
  /** SIGTERM to the group, SIGKILL ten seconds later. */
  stop(reason: 'stop' | 'timeout'): void;
}

type JobOutput = Pick<RunOutput, 'stdout' | 'stderr'>;

/**
 * Starts a command: clean environment, own process group, no standard input, no core dump, the job's own user.
 * @throws StrongroomError `launch_failed`; never with a word of the environment (Node's own errors quote it)
 */
export async function startJob(
  runId: string,
  spec: ProcessSpec,
  surroundings: JobSurroundings,
  output: JobOutput,
): Promise<JobProcess> {
  const { folder, user, prlimit } = surroundings;
  const cwd = spec.workingDirectory ?? folder.work;
  await requireDirectory(cwd);
  const environment = environmentOf(runId, spec, surroundings);
  const [name = '', ...rest] = spec.command;
  const file = await findExecutable(name, environment['PATH'] ?? surroundings.path, cwd, user);
  const [program, ...args] = prlimit === null ? [file, ...rest] : [prlimit, '--core=0:0', '--', file, ...rest];
  const child = await spawned(program ?? file, args, cwd, environment, user);
  return watch(runId, child, spec.timeoutSeconds, output);
}

function environmentOf(
  runId: string,
  spec: ProcessSpec,
  { folder, path, language }: JobSurroundings,
): Record<string, string> {
  return {
    PATH: path,
    LANG: language,
    HOME: folder.work,
    TMPDIR: folder.tmp,
    ...Object.fromEntries(spec.environment),
    [runVariable]: runId,
  };
}

async function spawned(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string>,
  user: JobUser | null,
): Promise<ChildProcess> {
  const { promise, resolve, reject } = Promise.withResolvers<ChildProcess>();
  try {
    // libuv drops the supplementary groups when it changes the user (setgroups(0) before setgid and setuid).
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...user });
    child.once('spawn', () => resolve(child));
    child.once('error', (error) => reject(spawnFailure(error)));
  } catch (error) {
    reject(spawnFailure(error));
  }
  return promise;
}

const spawnFailures: Readonly<Record<string, string>> = {
  ENOENT: 'The command or its working folder is not there.',
  EACCES: 'The job’s user may not execute the command or enter its working folder.',
  EPERM: 'The server may not start processes as the job’s user.',
  EINVAL: 'The job’s user does not exist on this system.',
  E2BIG: 'Arguments and environment together are too large for this system.',
  EAGAIN: 'The system has no room for another process.',
  ENOMEM: 'The system has no memory for another process.',
};

/** Replaces Node's error: it holds arguments and, for a bad value, the value. */
function spawnFailure(error: unknown): StrongroomError {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return new StrongroomError('launch_failed', {
    detail: spawnFailures[code] ?? 'The system refused to start the command.',
  });
}

async function watch(
  runId: string,
  child: ChildProcess,
  timeoutSeconds: number | undefined,
  output: JobOutput,
): Promise<JobProcess> {
  const pid = child.pid ?? 0;
  let endedFor: WorkloadExit['endedFor'] = null;
  let killTimer: NodeJS.Timeout | undefined;
  const hasExited = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const stop = (reason: 'stop' | 'timeout'): void => {
    if (hasExited() || endedFor !== null) return;
    endedFor = reason;
    sendSignal(-pid, 'SIGTERM');
    killTimer = setTimeout(() => {
      if (!hasExited()) sendSignal(-pid, 'SIGKILL');
    }, graceMilliseconds);
  };
  const streams = [read(child.stdout, output.stdout), read(child.stderr, output.stderr)];
  const clearDeadline =
    timeoutSeconds === undefined ? undefined : startDeadline(timeoutSeconds * 1000, () => stop('timeout'));
  const exited = new Promise<void>((resolve) => {
    if (hasExited()) resolve();
    else child.once('exit', () => resolve());
  }).then(async (): Promise<WorkloadExit> => {
    clearTimeout(killTimer);
    clearDeadline?.();
    await drain(runId, pid, child, streams);
    return { exitCode: child.exitCode, signal: child.signalCode, endedFor };
  });
  return { pid, startTime: await startTimeOf(pid), exited, stop };
}

/** Reads always, so that a job never waits for us. */
async function read(stream: Readable | null, take: (bytes: Uint8Array) => void): Promise<void> {
  if (stream === null) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.on('data', take);
  // A broken pipe is an end as well.
  stream.once('error', () => resolve());
  stream.once('close', () => resolve());
  await promise;
}

/** The command has ended; what it left behind may finish writing for a moment and is ended then. */
async function drain(
  runId: string,
  pid: number,
  child: ChildProcess,
  streams: readonly Promise<void>[],
): Promise<void> {
  const closed = Promise.all(streams);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, drainMilliseconds)));
  await Promise.race([closed, late]);
  clearTimeout(timer);
  // By its mark where there is a /proc. The group's number alone could already be somebody else's.
  const ended = await endProcessesOf(runId);
  if (ended === 0 && process.platform !== 'linux') sendSignal(-pid, 'SIGKILL');
  for (const stream of [child.stdout, child.stderr]) setTimeout(() => stream?.destroy(), 500).unref();
  await closed;
}

/** Timers count in 31 bits and a job may run for weeks. */
function startDeadline(milliseconds: number, act: () => void): () => void {
  const end = performance.now() + milliseconds;
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    const left = end - performance.now();
    if (left <= 0) act();
    else timer = setTimeout(wait, Math.min(left, maxTimerMilliseconds));
  };
  wait();
  return () => clearTimeout(timer);
}
