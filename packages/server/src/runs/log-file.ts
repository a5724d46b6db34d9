import { constants, type PathLike, readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/**
 * The file of one run's log: a header, the head of the output, and a ring with the newest of the rest. What lies between
 * is cut, and how much is known.
 *
 * | offset | bytes | content |
 * | --- | --- | --- |
 * | 0 | 8 | `SRLOG1\n\0` |
 * | 8 | 8 | bytes appended so far (unsigned, big-endian) |
 * | 16 | 8 | bytes whose place may be written already: more than the field before only while a write is under way |
 * | 24 | H | head |
 * | 24 + H | R | ring |
 */
export interface LogShape {
  readonly headBytes: number;
  readonly ringBytes: number;
}

/** 16 MiB a run. */
export const defaultLogShape: LogShape = { headBytes: 8 * 1024 * 1024, ringBytes: 8 * 1024 * 1024 };

const magic = Buffer.from('SRLOG1\n\0');
const headerBytes = 24;

export interface LogState {
  readonly written: number;
  readonly reserved: number;
}

/** One stretch of the file, in the order of the output. */
export interface Stretch {
  readonly position: number;
  readonly length: number;
}

/** What is in the file: the head, how much is cut, and the tail in one or two stretches. */
export interface LogLayout {
  readonly head: Stretch;
  readonly cutBytes: number;
  readonly tail: readonly Stretch[];
}

export function layoutOf({ headBytes, ringBytes }: LogShape, { written, reserved }: LogState): LogLayout {
  const head = { position: headerBytes, length: Math.min(written, headBytes) };
  if (written <= headBytes) return { head, cutBytes: 0, tail: [] };
  // What a write under way may have overwritten is gone.
  const oldest = Math.max(0, Math.max(written, reserved) - headBytes - ringBytes);
  const newest = written - headBytes;
  const tail: Stretch[] = [];
  for (let at = Math.min(oldest, newest); at < newest;) {
    const offset = at % ringBytes;
    const length = Math.min(ringBytes - offset, newest - at);
    tail.push({ position: headerBytes + headBytes + offset, length });
    at += length;
  }
  return { head, cutBytes: Math.min(oldest, newest), tail };
}

/** Where `length` bytes go that come after the first `written` ones. */
export function placesFor({ headBytes, ringBytes }: LogShape, written: number, length: number): Stretch[] {
  const places: Stretch[] = [];
  for (let at = written; at < written + length;) {
    const isHead = at < headBytes;
    const offset = isHead ? at : (at - headBytes) % ringBytes;
    const room = isHead ? headBytes - at : ringBytes - offset;
    const stretch = Math.min(room, written + length - at);
    places.push({ position: headerBytes + (isHead ? 0 : headBytes) + offset, length: stretch });
    at += stretch;
  }
  return places;
}

/** A new, empty log, mode 0600. @throws the file system's error, also when it exists */
export async function createLogFile(path: PathLike): Promise<FileHandle> {
  const file = await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR | constants.O_NOFOLLOW, 0o600);
  await writeState(file, { written: 0, reserved: 0 });
  return file;
}

export async function writeState(file: FileHandle, state: LogState): Promise<void> {
  const header = Buffer.alloc(headerBytes);
  magic.copy(header);
  header.writeBigUInt64BE(BigInt(state.written), 8);
  header.writeBigUInt64BE(BigInt(state.reserved), 16);
  await writeFully(file, header, 0);
}

export async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** @throws Error when the file is no log of a run */
export async function readState(file: FileHandle): Promise<LogState> {
  const header = Buffer.alloc(headerBytes);
  const { bytesRead } = await file.read(header, 0, headerBytes, 0);
  if (bytesRead !== headerBytes || !header.subarray(0, magic.length).equals(magic))
    throw new Error('The file is no log of a run');
  return { written: Number(header.readBigUInt64BE(8)), reserved: Number(header.readBigUInt64BE(16)) };
}

/** What people read where output was cut. */
export function cutNote(bytes: number): string {
  return `\n[strongroom: ${bytes} bytes of the log are cut here]\n`;
}

const pieceBytes = 256 * 1024;

/** The text of a log, piece by piece. */
export async function* readLayout(file: FileHandle, layout: LogLayout): AsyncGenerator<Uint8Array> {
  yield* readStretch(file, layout.head);
  if (layout.cutBytes > 0) yield Buffer.from(cutNote(layout.cutBytes));
  for (const stretch of layout.tail) yield* readStretch(file, stretch);
}

async function* readStretch(file: FileHandle, { position, length }: Stretch): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < length;) {
    const piece = Buffer.allocUnsafe(Math.min(pieceBytes, length - done));
    const { bytesRead } = await file.read(piece, 0, piece.length, position + done);
    if (bytesRead === 0) return;
    yield piece.subarray(0, bytesRead);
    done += bytesRead;
  }
}

/** The text of a log that is being overwritten, in one go: no write of this thread can come between. */
export function readLayoutAtOnce(fileDescriptor: number, layout: LogLayout): Buffer {
  const pieces: Buffer[] = [];
  const read = ({ position, length }: Stretch): void => {
    const piece = Buffer.allocUnsafe(length);
    const bytesRead = readSync(fileDescriptor, piece, 0, length, position);
    pieces.push(piece.subarray(0, bytesRead));
  };
  read(layout.head);
  if (layout.cutBytes > 0) pieces.push(Buffer.from(cutNote(layout.cutBytes)));
  for (const stretch of layout.tail) read(stretch);
  return Buffer.concat(pieces);
}
