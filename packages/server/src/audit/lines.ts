import { type FileHandle, open } from 'node:fs/promises';

const newline = 0x0a;
const chunkBytes = 256 * 1024;

/**
 * The lines of a file as bytes, without their newline. Only `\n` ends a line; what follows the last one is a line too. A
 * line over the limit is cut to it, so memory stays bounded whatever the file holds.
 *
 * @throws the file system's errors
 */
export async function* readLines(path: string, maxLineBytes: number): AsyncGenerator<Buffer> {
  const file = await open(path, 'r');
  try {
    yield* splitLines(chunksOf(file), maxLineBytes);
  } finally {
    await file.close();
  }
}

async function* chunksOf(file: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** {@link readLines} of bytes that come from elsewhere. */
export async function* splitLines(chunks: AsyncIterable<Buffer>, maxLineBytes: number): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const read of chunks) {
    const bytes = rest.length === 0 ? read : Buffer.concat([rest, read]);
    let start = 0;
    for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, start)) {
      yield bytes.subarray(start, Math.min(end, start + maxLineBytes));
      start = end + 1;
    }
    rest = bytes.subarray(start, start + maxLineBytes + 1);
  }
  if (rest.length > 0) yield rest.subarray(0, maxLineBytes);
}
