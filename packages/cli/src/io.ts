import type { Readable, Writable } from 'node:stream';

/** The world of one command: main.ts hands in the process, tests hand in their own. */
export interface Io {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly cwd: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Ctrl-C and its like while a command waits; the returned function stops listening. */
  readonly onSignal: (listener: (signal: NodeJS.Signals) => void) => () => void;
  /** Whether a child can read this process's own stdin directly. */
  readonly sharesStdin: boolean;
}

/** Whether somebody is there to be asked. */
export function isInteractive(io: Io): boolean {
  return io.stdin.isTTY === true && io.stderr.isTTY === true;
}

/**
 * Lets a command go on when nobody reads its output any more, which ends a program otherwise; until the returned function is
 * called.
 */
export function outliveReader(output: Writable, listener: () => void = () => undefined): () => void {
  output.on('error', listener);
  return () => {
    output.off('error', listener);
  };
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

export function processIo(): Io {
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    now: Date.now,
    onSignal: (listener) => {
      for (const signal of signals) process.on(signal, listener);
      return () => {
        for (const signal of signals) process.off(signal, listener);
      };
    },
    sharesStdin: true,
  };
}
