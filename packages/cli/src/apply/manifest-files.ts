import { readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { UsageError } from '../errors.ts';
import { readInput, utf8Text } from '../input.ts';
import type { Io } from '../io.ts';

export interface ManifestFile {
  /** As it is said in errors. */
  readonly path: string;
  /** What paths in it are relative to. */
  readonly folder: string;
  /** Files that it includes are in here: the folder that was named, or its own. */
  readonly root: string;
  readonly text: string;
}

/** Of one file. */
const maxFileBytes = 4 * 1024 * 1024;
const maxFiles = 2000;
const maxTotalBytes = 64 * 1024 * 1024;
const endings = /\.(?:ya?ml|json)$/i;

/**
 * The text of manifest files: of a file, of stdin for `-`, or of every `.yaml`, `.yml` and `.json` in a folder and in those
 * below it, by path. What begins with a dot is left out, so a mounted ConfigMap's own folders are; a link to a file is
 * followed, one to a folder isn't.
 *
 * @throws UsageError naming the file, never what is in it
 */
export async function readManifestFiles(io: Io, path: string): Promise<readonly ManifestFile[]> {
  const files = await filesAt(io, path);
  if (files.length > maxFiles) throw new UsageError(`${path} has more than ${maxFiles} manifests`);
  const read: ManifestFile[] = [];
  let bytes = 0;
  for (const file of files) {
    const content = await readInput(io, file, maxFileBytes);
    bytes += content.length;
    if (bytes > maxTotalBytes) throw new UsageError(`${path} holds more than ${maxTotalBytes} bytes of manifests`);
    const text = utf8Text(content);
    if (text === undefined) throw new UsageError(`${file} is not UTF-8 text`);
    const folder = file === '-' ? io.cwd : dirname(resolve(io.cwd, file));
    read.push({ path: file, text, folder, root: file === path ? folder : resolve(io.cwd, path) });
  }
  return read;
}

async function filesAt(io: Io, path: string): Promise<readonly string[]> {
  if (path === '-') return [path];
  const isFolder = await stat(resolve(io.cwd, path)).then(
    (found) => found.isDirectory(),
    // Reading it says what is wrong.
    () => false,
  );
  return isFolder ? filesBelow(io, path) : [path];
}

async function filesBelow(io: Io, folder: string): Promise<string[]> {
  const entries = await readdir(resolve(io.cwd, folder), { withFileTypes: true }).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    throw new UsageError(`the folder ${folder} can't be read${code}`);
  });
  const files: string[] = [];
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory()) files.push(...(await filesBelow(io, path)));
    else if (endings.test(entry.name) && (entry.isFile() || (await isFileBehind(io, path, entry.isSymbolicLink()))))
      files.push(path);
    if (files.length > maxFiles) break;
  }
  return files;
}

async function isFileBehind(io: Io, path: string, isLink: boolean): Promise<boolean> {
  if (!isLink) return false;
  const found = await stat(resolve(io.cwd, path)).catch(() => undefined);
  if (found === undefined) throw new UsageError(`the link ${path} leads nowhere`);
  return found.isFile();
}
