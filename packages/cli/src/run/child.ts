import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { createRedactor, type Redactor } from '@strongroom/redactor';
import { StrongroomError } from '@strongroom/sdk';
import type { DeliveredValues } from '@strongroom/sdk/workload';
import { type Io, outliveReader } from '../io.ts';
import type { Output } from '../output/output.ts';

export interface ChildOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly values?: DeliveredValues;
  /** Whether values are masked in what it prints; only said with `values`. */
  readonly isRedacted?: boolean;
}

/** Linux: MAX_ARG_STRLEN, 32 pages, for one `NAME=value` with its NUL. */
const maxVariableBytes = 128 * 1024 - 1;

/**
 * Runs a command until it ends. Values are in its environment and nowhere else; what it prints passes the redactor.
 *
 * @returns its exit code, or 128 + n when signal n ended it (POSIX.1-2017 2.8.2)
 * @throws StrongroomError `launch_refused` when a value doesn't fit an environment, `launch_failed` when it can't be started
 */
export async function runChild(io: Io, output: Output, options: ChildOptions): Promise<number> {
  const environment = withValues(options);
  const redactor =
    options.values === undefined || options.isRedacted === false ? undefined : redactorOf(options.values);
  for (const { name, reason } of redactor?.unmasked ?? []) {
    output.note(`the value of ${name} is not masked in the output: ${reason.replaceAll('_', ' ')}`);
  }
  try {
    return await spawnChild(io, options, environment, redactor);
  } finally {
    redactor?.dispose();
  }
}

function redactorOf(values: DeliveredValues): Redactor {
  return createRedactor(values.names.map((name) => ({ name, value: values.bytes(name) })));
}

/** Checked before anything starts: Node's own errors quote what they refuse. */
function withValues({ environment, values }: ChildOptions): Record<string, string> {
  const all = new Map(Object.entries(environment));
  for (const name of values?.names ?? []) {
    const text = values?.text(name) ?? '';
    if (text.includes('\0')) throw misfit(name, 'holds a NUL, which no environment can');
    if (Buffer.byteLength(name) + 1 + Buffer.byteLength(text) > maxVariableBytes) {
      throw misfit(name, `is longer than an environment takes (${maxVariableBytes} bytes with its name)`);
    }
    all.set(name, text);
  }
  return Object.fromEntries(all);
}

function misfit(name: string, reason: string): StrongroomError {
  return new StrongroomError('launch_refused', {
    detail: 'A value does not fit an environment variable. Nothing was started.',
    hint: 'Give the program the value in another way, like a file of a job.',
    errors: [{ pointer: name, message: `the value ${reason}` }],
  });
}

async function spawnChild(
  io: Io,
  { program, args }: ChildOptions,
  environment: Record<string, string>,
  redactor: Redactor | undefined,
): Promise<number> {
  const output = redactor === undefined && io.sharesStdin ? 'inherit' : 'pipe';
  let child: ChildProcess;
  try {
    child = spawn(program, [...args], {
      cwd: io.cwd,
      env: environment,
      stdio: [io.sharesStdin ? 'inherit' : 'pipe', output, output],
    });
  } catch {
    // Node's error quotes the environment.
    throw notStarted(program, undefined);
  }
  const unlisten = io.onSignal((signal) => {
    // A terminal sends these two to the whole process group, the child included.
    const isFromTerminal = io.stdin.isTTY === true && (signal === 'SIGINT' || signal === 'SIGQUIT');
    if (!isFromTerminal) child.kill(signal);
  });
  try {
    const ended = endOf(child, program);
    if (child.stdin !== null) feed(io.stdin, child.stdin);
    // What the child wrote would have ended it without us; between Node and a child is a socket, which says something else.
    const unread = () => child.kill('SIGPIPE');
    await Promise.all([
      ended,
      pass(child.stdout, io.stdout, redactor, unread),
      pass(child.stderr, io.stderr, redactor, unread),
    ]);
    return await ended;
  } finally {
    unlisten();
  }
}

function endOf(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => reject(notStarted(program, error.code)));
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}

function notStarted(program: string, code: string | undefined): StrongroomError {
  const why =
    code === 'ENOENT' ? 'it was not found' : code === 'EACCES' ? 'it may not be executed' : (code ?? 'unknown');
  return new StrongroomError('launch_failed', {
    detail: `${program} could not be started: ${why}.`,
    hint: 'Check the name, the PATH and the permissions of the command.',
  });
}

/** A child that doesn't read its input ends without a word about it. */
function feed(from: Readable, to: Writable): void {
  to.on('error', () => from.unpipe(to));
  from.pipe(to);
}

/** Each stream has a redactor of its own: bytes of the two never join to a value. */
async function pass(
  from: Readable | null,
  to: Writable,
  redactor: Redactor | undefined,
  unread: () => unknown,
): Promise<void> {
  if (from === null) return;
  const stream = redactor?.stream();
  const gone = new AbortController();
  const stopListening = outliveReader(to, () => gone.abort());
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      await write(to, stream === undefined ? chunk : stream.push(chunk));
      if (!gone.signal.aborted) continue;
      unread();
      break;
    }
    if (stream !== undefined && !gone.signal.aborted) await write(to, stream.end());
  } finally {
    stopListening();
  }
}

/** Waits for a slow reader, and not for one that is gone. */
async function write(to: Writable, chunk: Uint8Array): Promise<void> {
  if (chunk.length === 0) return;
  await new Promise<void>((resolve) => {
    if (to.write(chunk, () => resolve())) resolve();
  });
}
