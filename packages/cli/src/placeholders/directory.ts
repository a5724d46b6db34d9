import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '../errors.ts';
import { utf8Text } from '../input.ts';

/** A file of a directory, as it was read. */
export interface TextFile {
  /** Relative to the directory, with `/`. */
  readonly file: string;
  readonly text: string;
  /** The text is all of the file, byte for byte; one in another encoding is read, and never written. */
  readonly isUtf8: boolean;
}

/** A file that is left out, and why. */
export interface SkippedFile {
  readonly file: string;
  readonly reason: 'too-large' | 'binary' | 'link' | 'not-a-file' | 'unreadable';
}

const maxFileBytes = 4 * 1024 * 1024;
/** What programs keep for themselves. */
const skippedFolders: ReadonlySet<string> = new Set(['.git', '.hg', '.svn', 'node_modules']);
/** What was done to the directory's files; beside them, for undo. */
export const journalName = '.strongroom-placeholders.json';
/** Begins the name of a file that is being written. */
export const partialPrefix = '.strongroom-partial-';

/** What is met beside text files. */
export interface Met {
  readonly skip: (skipped: SkippedFile) => void;
  /** What was being written, by its path. */
  readonly partial: (path: string) => void;
}

/**
 * The text files of a directory and its folders, by name. Links are not followed.
 * @throws UsageError when the directory can't be read
 */
export async function* textFilesOf(directory: string, met: Met, folder = ''): AsyncGenerator<TextFile> {
  const { skip, partial } = met;
  for (const entry of await entriesOf(directory, folder, skip)) {
    const file = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (!skippedFolders.has(entry.name)) yield* textFilesOf(directory, met, file);
      continue;
    }
    if (entry.name === journalName) continue;
    if (entry.name.startsWith(partialPrefix)) {
      partial(join(directory, file));
      continue;
    }
    if (!entry.isFile()) {
      skip({ file, reason: entry.isSymbolicLink() ? 'link' : 'not-a-file' });
      continue;
    }
    const read = await readTextOf(join(directory, file));
    if ('text' in read) yield { file, ...read };
    else skip({ file, reason: read.reason });
  }
}

async function entriesOf(directory: string, folder: string, skip: (skipped: SkippedFile) => void) {
  try {
    const entries = await readdir(join(directory, folder), { withFileTypes: true });
    return entries.toSorted((one, other) => (one.name < other.name ? -1 : 1));
  } catch (error) {
    if (folder === '') throw new UsageError(`the directory ${directory} can't be read${codeOf(error)}`);
    skip({ file: folder, reason: 'unreadable' });
    return [];
  }
}

async function readTextOf(path: string): Promise<Omit<TextFile, 'file'> | { readonly reason: SkippedFile['reason'] }> {
  let bytes: Buffer;
  try {
    await using handle = await open(path, 'r');
    if ((await handle.stat()).size > maxFileBytes) return { reason: 'too-large' };
    bytes = await handle.readFile();
  } catch (error) {
    if (codeOf(error) === '') throw error;
    return { reason: 'unreadable' };
  }
  const text = bytes.includes(0) ? undefined : utf8Text(bytes);
  if (text !== undefined) return { text, isUtf8: true };
  const other = otherText(bytes);
  return other === undefined ? { reason: 'binary' } : { text: other, isUtf8: false };
}

/** UTF-16 as Windows writes it, or an encoding of one byte for each character, as properties of Java have it. */
function otherText(bytes: Buffer): string | undefined {
  const mark = bytes.subarray(0, 2).toString('latin1');
  if (mark === '\u00ff\u00fe') return new TextDecoder('utf-16le').decode(bytes);
  if (mark === '\u00fe\u00ff') return new TextDecoder('utf-16be').decode(bytes);
  return bytes.includes(0) ? undefined : bytes.toString('latin1');
}

/** ` (EACCES)`; empty for what is no error of the system. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
}
