import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { UsageError } from './errors.ts';
import type { Io } from './io.ts';

/** Reads a file, or stdin for `-`, up to a limit. @throws UsageError naming the file, never what is in it */
export async function readInput(io: Io, path: string, maxBytes: number): Promise<Buffer> {
  return path === '-' ? readStdin(io, maxBytes) : readFileWhole(io, path, maxBytes);
}

export async function readStdin(io: Io, maxBytes: number): Promise<Buffer> {
  return readUpTo(io.stdin, 'stdin', maxBytes);
}

async function readUpTo(from: AsyncIterable<Uint8Array | string>, what: string, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of from) {
    const piece = Buffer.from(chunk as string);
    chunks.push(piece);
    bytes += piece.length;
    if (bytes > maxBytes) throw tooLong(what, maxBytes);
  }
  return Buffer.concat(chunks);
}

async function readFileWhole(io: Io, path: string, maxBytes: number): Promise<Buffer> {
  try {
    await using file = await open(resolve(io.cwd, path), 'r');
    // Its size says nothing of a pipe or a device.
    return await readUpTo(file.createReadStream({ autoClose: false }), path, maxBytes);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(unreadableText(path, error));
  }
}

const unreadable: Readonly<Record<string, (path: string) => string>> = {
  ENOENT: (path) => `there is no file ${path}`,
  EISDIR: (path) => `${path} is a folder`,
  EACCES: (path) => `the file ${path} may not be read`,
};

function unreadableText(path: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const known = Object.hasOwn(unreadable, code) ? unreadable[code] : undefined;
  return known === undefined ? `the file ${path} can't be read${code === '' ? '' : ` (${code})`}` : known(path);
}

function tooLong(what: string, maxBytes: number): UsageError {
  return new UsageError(`${what} is longer than ${maxBytes} bytes`);
}

/** The text of UTF-8 bytes, nothing altered; `undefined` when they are not UTF-8. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
