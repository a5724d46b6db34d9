import { readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecord, UsageError } from '../errors.ts';
import { codeOf, journalName } from './directory.ts';
import type { Edit } from './finding.ts';
import { NotReplaced, writeAtomically } from './replace-file.ts';

type Edits = readonly Edit[];

/**
 * What was put into the files of a directory, and what was there; neither is ever a secret. It is written before each file: of
 * one that was about to be written when everything stopped it says what is in it before and after, and the file tells which.
 */
export class Journal {
  readonly #path: string;
  readonly #files: Map<string, Edits>;
  /** Of files that are being written: what was in them before. */
  readonly #unsure: Map<string, Edits>;
  /** What the record says on the disk, as far as this run knows; `undefined`: it is not there. */
  #text: string | undefined;
  #isWritten = true;

  private constructor(
    path: string,
    text?: string,
    { files, unsure }: Content = { files: new Map(), unsure: new Map() },
  ) {
    this.#path = path;
    this.#text = text;
    this.#files = files;
    this.#unsure = unsure;
  }

  /** @throws UsageError for a journal that is not one of ours */
  static async open(directory: string): Promise<Journal> {
    const path = join(directory, journalName);
    const text = await readIfThere(path);
    if (text === undefined) return new Journal(path);
    const content = parse(text);
    if (content === undefined) throw new UsageError(`${path} is no record of what was done here`);
    return new Journal(path, text, content);
  }

  /** Files that something was put into, as far as is known. */
  get files(): string[] {
    return [...this.#files].flatMap(([file, edits]) => (edits.length > 0 || this.#unsure.has(file) ? [file] : []));
  }

  /** What is in a file, whose text decides where it was being written; `undefined`: nothing ever was. */
  editsIn(file: string, text: string): Edits | undefined {
    const [edits, before] = [this.#files.get(file), this.#unsure.get(file)];
    if (edits === undefined || before === undefined) return edits;
    const [longer, shorter] = edits.length > before.length ? [edits, before] : [before, edits];
    // A place of the longer one that is not there yet, or no more, is found by nothing.
    return countIn(text, longer) > countIn(text, shorter) ? longer : shorter;
  }

  /** Before a file is written: both what is in it and what will be. @throws NotReplaced when another run is at work here */
  async begin(file: string, before: Edits, after: Edits): Promise<void> {
    this.#files.set(file, after);
    this.#unsure.set(file, before);
    await this.#write();
  }

  /** What is in a file for certain; written with what is next, or at the {@link end}. */
  know(file: string, edits: Edits): void {
    this.#files.set(file, edits);
    this.#unsure.delete(file);
    this.#isWritten = false;
  }

  /** Writes what is known by now; the record of another run stays as that has it. */
  async end(): Promise<void> {
    if (!this.#isWritten && (await readIfThere(this.#path)) === this.#text) await this.#write();
  }

  /** Away with it when nothing is left in it. */
  async #write(): Promise<void> {
    if ((await readIfThere(this.#path)) !== this.#text)
      throw new NotReplaced('another run is at work in this directory, or was meanwhile');
    this.#isWritten = true;
    const files = this.files.map((file) => [file, this.#files.get(file)] as const);
    if (files.length > 0) {
      const unsure = this.#unsure.size === 0 ? {} : { unsure: Object.fromEntries(this.#unsure) };
      const content = { version: 1, files: Object.fromEntries(files), ...unsure };
      const text = `${JSON.stringify(content, undefined, 2)}\n`;
      await writeAtomically(this.#path, text);
      this.#text = text;
      return;
    }
    this.#text = undefined;
    await unlink(this.#path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
}

interface Content {
  readonly files: Map<string, Edits>;
  readonly unsure: Map<string, Edits>;
}

/** @throws UsageError for what is there and can't be read */
async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === ' (ENOENT)') return undefined;
    throw new UsageError(`${path} can't be read${codeOf(error)}`);
  }
}

function countIn(text: string, edits: Edits): number {
  return locate(text, edits).filter(({ at }) => at !== undefined).length;
}

function parse(text: string): Content | undefined {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (!isRecord(content)) return undefined;
  const [files, unsure] = [readEdits(content['files']), readEdits(content['unsure'] ?? {})];
  return files === undefined || unsure === undefined ? undefined : { files, unsure };
}

function readEdits(part: unknown): Map<string, Edits> | undefined {
  if (!isRecord(part)) return undefined;
  const files = Object.entries(part);
  return files.every((entry): entry is [string, Edit[]] => Array.isArray(entry[1]) && entry[1].every(isEdit))
    ? new Map(files)
    : undefined;
}

function isEdit(edit: unknown): edit is Edit {
  if (!isRecord(edit)) return false;
  const { at, before, after } = edit;
  return typeof at === 'number' && typeof before === 'string' && typeof after === 'string' && after !== '';
}

/**
 * Where the edits of a journal are in a text by now. One is found at its old place, or where its text occurs exactly as often as it
 * was put there; else somebody has edited it since.
 */
export function locate(
  text: string,
  edits: readonly Edit[],
): { readonly edit: Edit; readonly at: number | undefined }[] {
  const seen = new Map<string, number>();
  return edits.map((edit) => {
    const { after } = edit;
    const nth = seen.get(after) ?? 0;
    seen.set(after, nth + 1);
    const places = occurrences(text, after);
    const wanted = edits.filter((other) => other.after === after).length;
    if (places.length === wanted) return { edit, at: places[nth] };
    return { edit, at: text.startsWith(after, edit.at) ? edit.at : undefined };
  });
}

/** Whether none of it is in the text, and what was there before is: a migration or an undo that was cut short. */
export function isBack(text: string, edits: readonly Edit[]): boolean {
  let shift = 0;
  return edits.every(({ at, before, after }) => {
    const was = at - shift;
    shift += after.length - before.length;
    return text.startsWith(before, was) && !text.startsWith(after, at);
  });
}

function occurrences(text: string, part: string): number[] {
  const places: number[] = [];
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + part.length)) {
    // `…/db` also begins `…/db-password`.
    const next = text.charAt(at + part.length);
    if (!/[A-Za-z0-9._~%/#-]/.test(next)) places.push(at);
  }
  return places;
}
