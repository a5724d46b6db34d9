import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import {
  createLogFile,
  cutNote,
  defaultLogShape,
  layoutOf,
  type LogLayout,
  type LogShape,
  placesFor,
  readLayout,
  readLayoutAtOnce,
  readState,
  writeFully,
  writeState,
} from './log-file.ts';

/** Bytes waiting for the disk; beyond it output is lost rather than held up. */
const maxQueuedBytes = 8 * 1024 * 1024;
/** Bytes waiting for one follower; beyond it the follower misses some, and is told so. */
const maxFollowerBytes = 1024 * 1024;
/** Bytes of one write to the file. */
const maxBatchBytes = 1024 * 1024;

export interface LogEnd {
  readonly bytes: number;
  readonly isCut: boolean;
}

export interface RunLogOptions {
  readonly shape?: LogShape;
  /** Asked before each write: `false` when the disk is low. */
  readonly hasSpace?: () => boolean;
}

/**
 * Takes a run's redacted output and never makes it wait: `append` only queues. A slow disk, a full disk or a slow follower
 * loses log.
 */
export class RunLog {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #shape: LogShape;
  readonly #hasSpace: () => boolean;
  readonly #followers = new Set<Follower>();
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  /** The batch on its way to the disk. */
  #batch: Uint8Array = new Uint8Array(0);
  #written = 0;
  #lostBytes = 0;
  #isCut = false;
  #isBroken = false;
  #isWriting = false;
  #writing: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(path: string, file: FileHandle, options: RunLogOptions) {
    this.#path = path;
    this.#file = file;
    this.#shape = options.shape ?? defaultLogShape;
    this.#hasSpace = options.hasSpace ?? (() => true);
  }

  /** @throws the file system's error when the file can't be made */
  static async create(path: string, options: RunLogOptions = {}): Promise<RunLog> {
    return new RunLog(path, await createLogFile(path), options);
  }

  /** Takes a copy. */
  append(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#isClosed) return;
    const copy = Uint8Array.from(bytes);
    for (const follower of this.#followers) follower.offer(copy);
    if (this.#isBroken || this.#queuedBytes + copy.length > maxQueuedBytes) {
      this.#lostBytes += copy.length;
      this.#isCut = true;
      return;
    }
    if (this.#lostBytes > 0) this.#enqueue(Buffer.from(cutNote(this.#lostBytes)));
    this.#lostBytes = 0;
    this.#enqueue(copy);
    if (!this.#isWriting) this.#writing = this.#writeQueued();
  }

  #enqueue(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
  }

  async #writeQueued(): Promise<void> {
    this.#isWriting = true;
    try {
      while (this.#queue.length > 0) {
        this.#takeBatch();
        if (!this.#hasSpace()) throw new Error('The disk is low');
        await this.#write(this.#batch);
      }
    } catch {
      // The disk is full or gone: the log ends here, the run goes on. What is missing is counted as cut.
      this.#isBroken = true;
      this.#isCut = true;
      this.#queue = [];
      this.#queuedBytes = 0;
      this.#batch = new Uint8Array(0);
    } finally {
      this.#isWriting = false;
    }
  }

  #takeBatch(): void {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && (count === 0 || bytes + (this.#queue[count]?.length ?? 0) <= maxBatchBytes)) {
      bytes += this.#queue[count]?.length ?? 0;
      count += 1;
    }
    this.#batch = Buffer.concat(this.#queue.splice(0, count));
    this.#queuedBytes -= bytes;
  }

  async #write(batch: Uint8Array): Promise<void> {
    const { headBytes, ringBytes } = this.#shape;
    const overwrites = this.#written + batch.length > headBytes + ringBytes;
    if (overwrites) {
      this.#isCut = true;
      await writeState(this.#file, { written: this.#written, reserved: this.#written + batch.length });
    }
    let done = 0;
    for (const { position, length } of placesFor(this.#shape, this.#written, batch.length)) {
      await writeFully(this.#file, batch.subarray(done, done + length), position);
      done += length;
    }
    const written = this.#written + batch.length;
    await writeState(this.#file, { written, reserved: written });
    // Together: a follower that comes in between would get the batch twice.
    this.#written = written;
    this.#batch = new Uint8Array(0);
  }

  /** Everything so far and everything to come, until the run ends. */
  follow(): Readable {
    const layout = layoutOf(this.#shape, { written: this.#written, reserved: this.#written + this.#batch.length });
    const waiting = Buffer.concat([this.#batch, ...this.#queue]);
    // The ring is overwritten as we speak: what is there is taken before anything else happens. The head stays as it is.
    const before =
      layout.tail.length > 0
        ? oneByOne([readLayoutAtOnce(this.#file.fd, layout), waiting])
        : readThen(this.#path, layout, waiting);
    const follower = new Follower(before, (gone) => this.#followers.delete(gone));
    if (this.#isClosed) follower.finish();
    else this.#followers.add(follower);
    return follower;
  }

  /** Writes what is queued and closes the file; followers end. */
  async close(): Promise<LogEnd> {
    this.#isClosed = true;
    while (this.#isWriting) await this.#writing;
    for (const follower of this.#followers) follower.finish();
    await this.#file.close();
    return { bytes: Math.min(this.#written, this.#shape.headBytes + this.#shape.ringBytes), isCut: this.#isCut };
  }
}

/** The text of a log that is no longer written, `null` when there is none. */
export async function readRunLog(path: string, shape: LogShape = defaultLogShape): Promise<Readable | null> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  return Readable.from(readAndClose(file, shape), { objectMode: false });
}

async function* readAndClose(file: FileHandle, shape: LogShape): AsyncGenerator<Uint8Array> {
  try {
    yield* readLayout(file, layoutOf(shape, await readState(file)));
  } finally {
    await file.close();
  }
}

async function* readThen(path: string, layout: LogLayout, last: Uint8Array): AsyncGenerator<Uint8Array> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    yield* readLayout(file, layout);
  } finally {
    await file.close();
  }
  yield last;
}

async function* oneByOne(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

/** One reader of a log in progress. It may be slow: it then misses some. */
class Follower extends Readable {
  readonly #leave: (follower: Follower) => void;
  #before: AsyncGenerator<Uint8Array> | undefined;
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #skippedBytes = 0;
  #isFinished = false;
  #isWanted = false;

  constructor(before: AsyncGenerator<Uint8Array>, leave: (follower: Follower) => void) {
    super({ highWaterMark: 64 * 1024 });
    this.#before = before;
    this.#leave = leave;
  }

  offer(bytes: Uint8Array): void {
    if (this.#queuedBytes + bytes.length > maxFollowerBytes) {
      this.#skippedBytes += bytes.length;
      return;
    }
    this.#noteSkipped();
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    if (this.#isWanted) this.#give();
  }

  finish(): void {
    this.#noteSkipped();
    this.#isFinished = true;
    if (this.#isWanted) this.#give();
  }

  override _read(): void {
    if (this.#before === undefined) this.#give();
    else void this.#giveBefore(this.#before);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#leave(this);
    this.#isWanted = false;
    const before = this.#before;
    this.#before = undefined;
    // A generator that is reading ends, and closes its file, when its reading has ended.
    void before?.return(undefined);
    done(error);
  }

  /** One piece of what was there before; the stream asks again. */
  async #giveBefore(before: AsyncGenerator<Uint8Array>): Promise<void> {
    try {
      for (;;) {
        const next = await before.next();
        if (this.destroyed) return;
        if (next.done === true) break;
        if (next.value.length === 0) continue;
        this.push(next.value);
        return;
      }
      this.#before = undefined;
      this.#give();
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error('The log can not be read'));
    }
  }

  #give(): void {
    this.#isWanted = false;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      this.#queuedBytes -= next.length;
      if (!this.push(next)) return;
    }
    if (this.#isFinished) this.push(null);
    else this.#isWanted = true;
  }

  #noteSkipped(): void {
    if (this.#skippedBytes > 0) this.#queue.push(Buffer.from(cutNote(this.#skippedBytes)));
    this.#skippedBytes = 0;
  }
}
