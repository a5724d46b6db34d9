import { Writable } from 'node:stream';
import { createInterface } from 'node:readline/promises';
import { Cancelled, UsageError } from './errors.ts';
import { type Io, isInteractive } from './io.ts';

/**
 * Asks for one line on the terminal.
 * @throws Cancelled on Ctrl-C or Ctrl-D; UsageError when nobody is there to be asked
 */
export async function ask(io: Io, question: string): Promise<string> {
  return askLine(io, question, false);
}

/** The same without showing what is typed. */
export async function askHidden(io: Io, question: string): Promise<string> {
  return askLine(io, question, true);
}

/** Asks twice for something that can't be seen while it is typed. */
export async function askNew(io: Io, what: string): Promise<string> {
  const first = await askHidden(io, `${what}: `);
  const second = await askHidden(io, `${what}, again: `);
  if (first !== second) throw new UsageError(`the two entries of the ${what} differ`, 'Try again; nothing was sent.');
  return first;
}

/** @throws Cancelled unless the answer is yes; UsageError where nobody can be asked: what asks so takes `--yes` */
export async function confirm(io: Io, question: string): Promise<void> {
  requireTerminal(io, 'Add --yes.');
  const answer = await ask(io, `${question} [y/N] `);
  if (!/^y(?:es)?$/i.test(answer.trim())) throw new Cancelled('declined');
}

/** @throws Cancelled unless exactly `expected` is typed; UsageError where nobody can be asked: what asks so takes `--yes` */
export async function confirmByTyping(io: Io, question: string, expected: string): Promise<void> {
  requireTerminal(io, 'Add --yes.');
  const answer = await ask(io, `${question}; type ${expected} to go on: `);
  if (answer !== expected) throw new Cancelled('declined');
}

async function askLine(io: Io, question: string, isHidden: boolean): Promise<string> {
  requireTerminal(io, 'Give it as an option or on stdin; --help names them.');
  // readline edits and echoes on its output; a hidden line is edited in the dark.
  let isMuted = false;
  const output = new Writable({
    write: (chunk: Uint8Array, _encoding, done) => {
      if (!isMuted) io.stderr.write(chunk);
      done();
    },
  });
  const lines = createInterface({ input: io.stdin, output, terminal: true, historySize: 0 });
  const closed = Promise.withResolvers<never>();
  lines.once('SIGINT', () => closed.reject(new Cancelled('interrupted')));
  lines.once('close', () => closed.reject(new Cancelled('interrupted')));
  try {
    const answer = lines.question(question);
    isMuted = isHidden;
    return await Promise.race([answer, closed.promise]);
  } finally {
    closed.promise.catch(() => undefined);
    lines.close();
    if (isHidden) io.stderr.write('\n');
  }
}

function requireTerminal(io: Io, hint: string): void {
  if (!isInteractive(io)) throw new UsageError('there is no terminal to ask on', hint);
}
