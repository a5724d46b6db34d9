import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { markEnding, readMarkFile } from './segment-file.ts';
import type { SignedSegment } from './segment-document.ts';

/** A mark's file in a directory of the archive. */
export interface FoundMark {
  readonly directory: string;
  readonly path: string;
  /** Of the segment, as the file's name says it. */
  readonly name: string;
  /** Null when it holds no mark. */
  readonly mark: SignedSegment | null;
}

/** All marks of a directory, by name. Other files are passed over. @throws errors of the file system */
export async function* readMarks(directory: string): AsyncGenerator<FoundMark> {
  const names = await readdir(directory);
  for (const file of names.filter((name) => /^audit-\d+-\d{6,}\.mark\.json$/.test(name)).sort()) {
    const path = join(directory, file);
    yield { directory, path, name: file.slice(0, -markEnding.length), mark: (await readMarkFile(path)) ?? null };
  }
}
