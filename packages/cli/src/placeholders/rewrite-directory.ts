import { basename, join } from 'node:path';
import { codeOf, type Met, type SkippedFile, textFilesOf } from './directory.ts';
import type { DatabricksScopes, Edit, FileFinding, FileReading } from './finding.ts';
import { isBack, Journal, locate } from './journal.ts';
import { NotReplaced, removeAbandoned, replaceFile } from './replace-file.ts';
import { readTextFile, withEdits } from './text-file.ts';

export interface FileOutcome<Part> {
  readonly file: string;
  readonly outcome: 'changed' | 'would-change' | 'unchanged' | 'failed';
  readonly findings: readonly Part[];
  /** Why a file failed. */
  readonly problem?: string;
}

/** What came of a directory. */
export interface DirectoryOutcome<Part> {
  /** Files in which there was something. */
  readonly items: readonly FileOutcome<Part>[];
  /** Files that were looked at. */
  readonly files: number;
  readonly skipped: readonly SkippedFile[];
}

/** What becomes of one piece that a migration put there. */
export interface UndoneEdit {
  readonly reference: string;
  readonly stays?: 'edited-since';
}

/**
 * Looks through a directory; with `isWritten` puts references where what reads the file knows them. The journal is written before
 * each file.
 * @throws UsageError for a directory or journal that can't be read
 */
export async function migrateDirectory(
  directory: string,
  scopes: DatabricksScopes,
  isWritten: boolean,
): Promise<DirectoryOutcome<FileFinding>> {
  const journal = isWritten ? await Journal.open(directory) : undefined;
  const items: FileOutcome<FileFinding>[] = [];
  const { met, skipped, partials } = notesOf();
  let files = 0;
  for await (const { file, text, isUtf8 } of textFilesOf(directory, met)) {
    files += 1;
    const read = await readTextFile(basename(file), text, scopes);
    const { findings, edits } = isUtf8 ? read : asReadOnly(read);
    if (findings.length === 0) continue;
    if (edits.length === 0 || journal === undefined) {
      items.push({ file, outcome: edits.length === 0 ? 'unchanged' : 'would-change', findings });
      continue;
    }
    // What an earlier migration did, as far as it is still there, and this one.
    const before = journal.editsIn(file, text) ?? [];
    const earlier = locate(text, before).flatMap(({ edit, at }) =>
      at === undefined ? [] : [{ ...edit, at: at + shiftBefore(edits, at) }],
    );
    const own = edits.map((edit) => ({ ...edit, at: edit.at + shiftBefore(edits, edit.at) }));
    const after = [...earlier, ...own].toSorted((one, other) => one.at - other.at);
    const done = await written(file, findings, async () => {
      await journal.begin(file, before, after);
      await replaceFile(join(directory, file), text, withEdits(text, edits));
    });
    journal.know(file, done.outcome === 'changed' ? after : before);
    items.push(done);
  }
  if (isWritten) for (const path of partials) await removeAbandoned(path);
  await journal?.end();
  return { items, files, skipped };
}

/** Of a file that would not be the same again when it is written. */
function asReadOnly({ findings }: FileReading): FileReading {
  return { findings: findings.map((each) => ({ ...each, stays: each.stays ?? 'encoding' })), edits: [] };
}

/** What a walk through a directory meets. */
function notesOf(): { readonly met: Met; readonly skipped: SkippedFile[]; readonly partials: string[] } {
  const skipped: SkippedFile[] = [];
  const partials: string[] = [];
  const met: Met = { skip: (each) => skipped.push(each), partial: (path) => partials.push(path) };
  return { met, skipped, partials };
}

/** How far what stands at a place is moved by the edits before it. */
function shiftBefore(edits: readonly Edit[], at: number): number {
  return edits.filter((edit) => edit.at < at).reduce((sum, { before, after }) => sum + after.length - before.length, 0);
}

async function written<Part>(
  file: string,
  findings: readonly Part[],
  write: () => Promise<void>,
): Promise<FileOutcome<Part>> {
  try {
    await write();
    return { file, outcome: 'changed', findings };
  } catch (error) {
    if (error instanceof NotReplaced) return { file, outcome: 'failed', findings, problem: error.message };
    const code = codeOf(error);
    if (code === '') throw error;
    return { file, outcome: 'failed', findings, problem: `it can't be written${code}` };
  }
}

/** Puts back what the directory's journal says, piece by piece, but for what was edited since. */
export async function undoDirectory(directory: string, isWritten: boolean): Promise<DirectoryOutcome<UndoneEdit>> {
  const journal = await Journal.open(directory);
  const items: FileOutcome<UndoneEdit>[] = [];
  const { met, skipped, partials } = notesOf();
  const seen = new Set<string>();
  for await (const { file, text, isUtf8 } of textFilesOf(directory, met)) {
    const edits = isUtf8 ? journal.editsIn(file, text) : undefined;
    if (edits === undefined) continue;
    seen.add(file);
    if (isBack(text, edits)) {
      journal.know(file, []);
      continue;
    }
    const found = locate(text, edits);
    const findings = found.map(({ edit, at }): UndoneEdit => {
      const reference = /secret:\/\/[^\s"']+/.exec(edit.after)?.[0] ?? '';
      return at === undefined ? { reference, stays: 'edited-since' } : { reference };
    });
    const back = found
      .flatMap(({ edit, at }) => (at === undefined ? [] : [{ at, before: edit.after, after: edit.before }]))
      .toSorted((one, other) => one.at - other.at);
    if (back.length === 0 || !isWritten) {
      items.push({ file, outcome: back.length === 0 ? 'unchanged' : 'would-change', findings });
      continue;
    }
    const left = found.flatMap(({ edit, at }) => (at === undefined ? [edit] : []));
    const done = await written(file, findings, async () => {
      await journal.begin(file, edits, left);
      await replaceFile(join(directory, file), text, withEdits(text, back));
    });
    journal.know(file, done.outcome === 'changed' ? left : edits);
    items.push(done);
  }
  if (isWritten) {
    for (const path of partials) await removeAbandoned(path);
    await journal.end();
  }
  for (const file of journal.files)
    if (!seen.has(file))
      items.push({ file, outcome: 'failed', findings: [], problem: 'it is not there, or can not be read' });
  return { items, files: seen.size, skipped };
}
