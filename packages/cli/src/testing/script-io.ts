import { PassThrough, Writable } from 'node:stream';
import type { Io } from '../io.ts';

/** Collects what is written. */
class Sink extends Writable {
  readonly isTTY: boolean;
  text = '';

  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    this.text += Buffer.from(chunk).toString('utf8');
    done();
  }
}

export interface ScriptIo extends Io {
  readonly stdout: Sink;
  readonly stderr: Sink;
}

export interface ScriptIoOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Bytes on stdin, which then ends. */
  readonly stdin?: Uint8Array;
  /** Lines typed on a terminal, each when a question is asked. */
  readonly typed?: readonly string[];
}

export function scriptIo({ env, cwd, stdin, typed }: ScriptIoOptions): ScriptIo {
  const isTTY = typed !== undefined;
  const input = new PassThrough();
  const stderr = new Sink(isTTY);
  if (typed === undefined) input.end(stdin ?? '');
  else typeAtPrompts(stderr, input, typed);
  return {
    stdin: Object.assign(input, { isTTY }),
    stdout: new Sink(false),
    stderr,
    env,
    cwd,
    now: Date.now,
    onSignal: () => () => undefined,
    sharesStdin: false,
  };
}

/** A person reads the question first; what is typed ahead would be lost between two prompts. */
function typeAtPrompts(stderr: Sink, input: PassThrough, typed: readonly string[]): void {
  const lines = [...typed];
  const write = stderr._write.bind(stderr);
  stderr._write = (chunk: Uint8Array, encoding, done) => {
    write(chunk, encoding, done);
    const isQuestion = /(?:: |\] )(?:\u001b\[[0-9;]*[A-Za-z])*$/.test(stderr.text);
    const line = isQuestion ? lines.shift() : undefined;
    if (line !== undefined) setImmediate(() => input.write(`${line}\r`));
    else if (isQuestion) setImmediate(() => input.write('\u0003'));
  };
}
