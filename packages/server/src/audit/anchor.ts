import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { SigningKey } from '@strongroom/crypto';
import { type AnchorLine, type AnchorStatement, encodeAnchorLine, isSignedBy, parseAnchorLine } from './anchor-line.ts';
import { syncDirectory } from '../store/data-directory.ts';
import { type AnchorPosition, sha256Hex, signingKeyId } from './record.ts';

/** Where anchor lines go; at least one of the two. Plain data. */
export interface AnchorSinks {
  /** A file that is only ever appended to. */
  readonly path: string | null;
  readonly isOnStdout: boolean;
}

const maxFileBytes = 64 * 1024 * 1024;
const maxStdoutWaitMilliseconds = 2_000;

/**
 * Appends signed, linked lines. One process writes to a file.
 *
 * A line that a sink did not take stays pending and goes first the next time, so no sink ever misses a line of its series.
 */
export class AnchorWriter {
  /** The last line that was there before, signed by the same key; null when there was none. */
  readonly opening: AnchorPosition | null;
  readonly #sinks: AnchorSinks;
  readonly #key: { readonly id: string; readonly signing: SigningKey };
  readonly #series: string;
  #last: AnchorPosition | null;
  #file: AnchorFile | null;
  #pending: {
    readonly position: AnchorPosition;
    readonly bytes: Buffer;
    isInFile: boolean;
    isOnStdout: boolean;
  } | null = null;

  /** @throws the file system's error when the file cannot be opened for appending */
  constructor(sinks: AnchorSinks, signing: SigningKey, epoch: number) {
    if (sinks.path === null && !sinks.isOnStdout) throw new TypeError('An anchor needs a file or the standard output');
    this.#sinks = sinks;
    this.#key = { id: signingKeyId(signing.publicKey), signing };
    this.#file = sinks.path === null ? null : new AnchorFile(sinks.path);
    // A last line that this key did not sign is left for the verifier to find: linking to it would vouch for it.
    const tail = sinks.path === null ? null : readAnchorTail(sinks.path);
    const isOurs = tail !== null && tail.keyId === this.#key.id && isSignedBy(signing.publicKey, tail);
    this.opening = isOurs ? positionOf(tail) : null;
    // A restored anchor may end earlier than the one it replaces: a new epoch never reuses line numbers.
    this.#last = isOurs && tail.epoch === epoch ? this.opening : null;
    this.#series = this.#last?.series ?? randomBytes(16).toString('hex');
    this.#file?.flush();
  }

  /** Returns when every sink has the line. @throws the error of the sink that did not take it */
  append(statement: AnchorStatement): void {
    this.#flushPending();
    const line = (this.#last?.line ?? 0) + 1;
    const text = encodeAnchorLine(statement, { series: this.#series, line, previous: this.#last }, this.#key);
    this.#pending = {
      position: { series: this.#series, line, hash: sha256Hex(text) },
      bytes: Buffer.from(`${text}\n`),
      isInFile: this.#file === null,
      isOnStdout: !this.#sinks.isOnStdout,
    };
    this.#flushPending();
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
  }

  #flushPending(): void {
    const pending = this.#pending;
    if (pending === null) return;
    if (!pending.isInFile) {
      this.#file?.append(pending.bytes);
      pending.isInFile = true;
    }
    if (!pending.isOnStdout) {
      writeToStdout(pending.bytes);
      pending.isOnStdout = true;
    }
    this.#last = pending.position;
    this.#pending = null;
  }
}

function positionOf(line: AnchorLine): AnchorPosition {
  return { series: line.series, line: line.line, hash: line.lineHash };
}

class AnchorFile {
  readonly #path: string;
  #descriptor: number;
  #size: number;
  /** The file ends inside a line: after a crash or a full disk. */
  #isTorn: boolean;

  constructor(path: string) {
    this.#path = path;
    this.#descriptor = openForAppending(path);
    this.#size = fstatSync(this.#descriptor).size;
    this.#isTorn = this.#size > 0 && !endsWithNewline(path, this.#size);
  }

  append(line: Buffer): void {
    this.#reopenWhenGone();
    if (this.#size > maxFileBytes) this.#rotate();
    const bytes = this.#isTorn ? Buffer.concat([Buffer.from('\n'), line]) : line;
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(this.#descriptor, bytes, written);
    } finally {
      this.#size += written;
      if (written > 0) this.#isTorn = written < bytes.length;
    }
  }

  flush(): void {
    // A device has nothing to flush.
    if (!fstatSync(this.#descriptor).isFile()) return;
    fdatasyncSync(this.#descriptor);
    syncDirectory(dirname(this.#path));
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  // Lines written to a deleted file would be lost unnoticed.
  #reopenWhenGone(): void {
    if (fstatSync(this.#descriptor).nlink > 0) return;
    const descriptor = openForAppending(this.#path);
    closeSync(this.#descriptor);
    this.#descriptor = descriptor;
    this.#size = fstatSync(descriptor).size;
    this.#isTorn = this.#size > 0 && !endsWithNewline(this.#path, this.#size);
  }

  #rotate(): void {
    fdatasyncSync(this.#descriptor);
    renameSync(this.#path, `${this.#path}.${new Date().toISOString().replaceAll(/[-:.]/g, '')}`);
    const descriptor = openForAppending(this.#path);
    closeSync(this.#descriptor);
    this.#descriptor = descriptor;
    this.#size = 0;
    this.#isTorn = false;
    syncDirectory(dirname(this.#path));
  }
}

function openForAppending(path: string): number {
  return openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o640);
}

function endsWithNewline(path: string, size: number): boolean {
  const descriptor = openSync(path, 'r');
  try {
    const last = Buffer.alloc(1);
    readSync(descriptor, last, 0, 1, size - 1);
    return last[0] === 0x0a;
  } finally {
    closeSync(descriptor);
  }
}

/** The anchor's files, oldest first: those set aside when full, then the current one. Names only of files that exist. */
export function anchorFiles(path: string): readonly string[] {
  const current = basename(path);
  const names = readdirSync(dirname(path)).filter((name) => name === current || isSetAside(name, current));
  const setAside = names.filter((name) => name !== current).sort();
  return [...setAside, ...names.filter((name) => name === current)].map((name) => join(dirname(path), name));
}

function isSetAside(name: string, current: string): boolean {
  return name.startsWith(`${current}.`) && /^\d{8}T\d{9}Z$/.test(name.slice(current.length + 1));
}

/** The last whole line of the anchor, or null. Its signature is not looked at. */
export function readAnchorTail(path: string): AnchorLine | null {
  for (const file of anchorFiles(path).toReversed()) {
    const line = readFileTail(file);
    if (line !== null) return line;
  }
  return null;
}

function readFileTail(path: string): AnchorLine | null {
  const descriptor = openSync(path, 'r');
  try {
    const { size } = fstatSync(descriptor);
    // A line has some 500 bytes; what lies behind the last whole one is torn. One that lacks but its newline is whole.
    for (let length = Math.min(size, 64 * 1024); length > 0; length = Math.min(size, length * 16)) {
      const bytes = Buffer.alloc(length);
      const count = readSync(descriptor, bytes, 0, length, size - length);
      const lines = bytes.subarray(0, count).toString('utf8').split('\n');
      for (const text of lines.toReversed()) {
        const line = parseAnchorLine(text);
        if (line !== null) return line;
      }
      if (length === size) break;
    }
    return null;
  } finally {
    closeSync(descriptor);
  }
}

/** Makes what the anchor file holds durable. Call before a checkpoint names its last line. */
export function flushAnchor(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fdatasyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** The runtime makes pipes non-blocking, so a slow reader shows as EAGAIN; it gets two seconds. */
function writeToStdout(bytes: Buffer): void {
  const deadline = performance.now() + maxStdoutWaitMilliseconds;
  const sleep = new Int32Array(new SharedArrayBuffer(4));
  let written = 0;
  while (written < bytes.length) {
    try {
      written += writeSync(1, bytes, written);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || performance.now() > deadline) throw error;
      Atomics.wait(sleep, 0, 0, 2);
    }
  }
}
