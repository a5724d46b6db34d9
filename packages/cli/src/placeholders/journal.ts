import { readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecord, UsageError } from '../errors.ts';
import { codeOf, journalName } from './directory.ts';
import type { Edit } from './finding.ts';
import { writeAtomically } from './replace-file.ts';

/** What was put into the files of a directory, and what was there; by file. Neither is ever a secret. */
export type Journal = ReadonlyMap<string, readonly Edit[]>;

/** @throws UsageError for a journal that is not one of ours */
export async function readJournal(directory: string): Promise<Journal> {
  const path = join(directory, journalName);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === ' (ENOENT)') return new Map();
    throw new UsageError(`${path} can't be read${codeOf(error)}`);
  }
  const content = parse(text);
  if (content === undefined) throw new UsageError(`${path} is no record of what was done here`);
  return content;
}

function parse(text: string): Journal | undefined {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (!isRecord(content) || !isRecord(content['files'])) return undefined;
  const files = Object.entries(content['files']);
  return files.every((entry): entry is [string, Edit[]] => Array.isArray(entry[1]) && entry[1].every(isEdit))
    ? new Map(files)
    : undefined;
}

function isEdit(edit: unknown): edit is Edit {
  if (!isRecord(edit)) return false;
  const { at, before, after } = edit;
  return typeof at === 'number' && typeof before === 'string' && typeof after === 'string' && after !== '';
}

/** Away with it when nothing is left in it. */
export async function writeJournal(directory: string, journal: Journal): Promise<void> {
  const path = join(directory, journalName);
  const files = [...journal].filter(([, edits]) => edits.length > 0);
  if (files.length > 0) {
    await writeAtomically(path, `${JSON.stringify({ version: 1, files: Object.fromEntries(files) }, undefined, 2)}\n`);
    return;
  }
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
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
