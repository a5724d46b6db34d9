import { styleText } from 'node:util';
import type { Io } from '../io.ts';
import { type Column, layTable } from './table.ts';
import { visible } from './text.ts';

/** A part of a line in a colour of ours, where there is colour. */
interface Painted {
  readonly text: string;
  readonly format: 'bold' | 'green' | 'red';
}

export function good(text: string): Painted {
  return { text, format: 'green' };
}

export function bad(text: string): Painted {
  return { text, format: 'red' };
}

/**
 * What a command says, and where. The rules are:
 *
 * - stdout is what was asked for. With `--json` it is exactly one JSON document, or one a line for a stream, as the API
 *   answered; otherwise tables and lines for people.
 * - stderr is everything else: notes that begin with `note:`, errors that begin with `strongroom:`. Lower case, no dot.
 * - What needs an answer is asked on a terminal, on stderr, or not at all.
 * - Colour says nothing that the words don't. There is none off a terminal, with NO_COLOR, or on a dumb one.
 * - Text of others is made visible first; only a run's log is passed on as it is.
 */
export class Output {
  readonly isJson: boolean;
  readonly isVerbose: boolean;
  readonly #io: Io;

  constructor(io: Io, options: { readonly json?: boolean; readonly verbose?: boolean }) {
    this.#io = io;
    this.isJson = options.json === true;
    this.isVerbose = options.verbose === true;
  }

  /** The answer: `document` with --json, otherwise what `human` prints. */
  answer(document: unknown, human: () => void): void {
    if (this.isJson) this.#io.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
    else human();
  }

  /** One item of a stream: a line of JSON, or what `human` prints. */
  item(document: unknown, human: () => void): void {
    if (this.isJson) this.#io.stdout.write(`${JSON.stringify(document)}\n`);
    else human();
  }

  /** A line for people on stdout, made visible, whoever the text is of. */
  line(...parts: readonly (string | Painted)[]): void {
    const text = parts.map((part) =>
      typeof part === 'string' ? visible(part) : this.#styled(part.format, visible(part.text)),
    );
    this.#io.stdout.write(`${text.join('')}\n`);
  }

  /** A text of several lines, each as `line` prints it. */
  lines(text: string): void {
    for (const line of text.split('\n')) this.line(line);
  }

  /** Bytes as they are, on stdout; waits for a slow reader. */
  async bytes(chunk: Uint8Array): Promise<void> {
    if (this.#io.stdout.write(chunk)) return;
    await new Promise<void>((resolve) => this.#io.stdout.once('drain', resolve));
  }

  table(columns: readonly Column[], rows: readonly (readonly string[])[]): void {
    const { stdout } = this.#io;
    const { head, body } = layTable(columns, rows, stdout.isTTY === true ? (stdout.columns ?? 80) : undefined);
    for (const line of head) this.line({ text: line, format: 'bold' });
    for (const line of body) this.line(line);
  }

  /** What a list has, as a table; a note where it has nothing. @param none `no groups` */
  list(none: string, columns: readonly Column[], rows: readonly (readonly string[])[]): void {
    if (rows.length === 0) this.note(none);
    else this.table(columns, rows);
  }

  /** `name  value` lines; what is undefined is left out. */
  facts(facts: Readonly<Record<string, string | undefined>>): void {
    const present = Object.entries(facts).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, value]],
    );
    const width = Math.max(0, ...present.map(([name]) => name.length));
    for (const [name, value] of present) this.line(`${name.padEnd(width)}  ${value}`.trimEnd());
  }

  /** On stderr, on one line: something worth knowing that isn't the answer. Made visible, whoever the text is of. */
  note(text: string): void {
    this.#io.stderr.write(`note: ${visible(text)}\n`);
  }

  /** On stderr, as it is. */
  error(line: string): void {
    this.#io.stderr.write(`${line}\n`);
  }

  #styled(format: Painted['format'], text: string): string {
    const { env, stdout } = this.#io;
    const isPlain = stdout.isTTY !== true || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
    return isPlain ? text : styleText(format, text, { validateStream: false });
  }
}
