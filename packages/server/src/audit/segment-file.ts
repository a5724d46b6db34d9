import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { digestFile } from '../store/backup-manifest.ts';
import { syncDirectory } from '../store/data-directory.ts';
import type { SignedCheckpoint } from './checkpoint-document.ts';
import {
  encodeCheckpointLine,
  encodeRecordLine,
  encodeSegmentLine,
  type ExportLine,
  maxExportLineBytes,
  parseExportLine,
} from './export-lines.ts';
import { splitLines } from './lines.ts';
import type { ExportedRow } from './queries.ts';
import { type ChainHead, createRecordHash, noPreviousHash } from './record.ts';
import { parseRecord } from './record-content.ts';
import { type SegmentChain, type SegmentDocument, segmentName, type SignedSegment } from './segment-document.ts';

/** A mark is some 200 bytes a chain. */
const maxMarkBytes = 64 * 1024 * 1024;

export const markEnding = '.mark.json';

export function segmentFiles(directory: string, name: string): { readonly data: string; readonly mark: string } {
  return { data: join(directory, `${name}.jsonl.gz`), mark: join(directory, `${name}${markEnding}`) };
}

/** What a segment is to hold. */
export interface SegmentContent {
  readonly checkpoints: AsyncIterable<SignedCheckpoint>;
  /** Records of one chain, `first` to `last`, in chunks. */
  readonly records: (chain: SegmentChain) => AsyncIterable<readonly ExportedRow[]>;
}

/** What is in a segment's file, as it was read back. */
export type SegmentFacts = Pick<SegmentDocument, 'file' | 'records' | 'checkpoints'> & {
  /** Times of the oldest and the newest record, milliseconds since 1970; null without records. */
  readonly times: { readonly from: number; readonly to: number } | null;
  readonly geneses: ReadonlyMap<string, NonNullable<SegmentChain['genesis']>>;
};

/** The content of a segment is not what something signed says of it. */
export class SegmentDamage extends Error {
  readonly chain: string | null;
  readonly sequence: number | null;

  constructor(chain: string | null, sequence: number | null, why: string) {
    super(why);
    this.chain = chain;
    this.sequence = sequence;
  }
}

/**
 * Writes the file of a segment under a temporary name, flushes it, and reads it back.
 *
 * @param joints where the chains stood before, by chain
 * @throws SegmentDamage when the records do not lead from the joints to the heads; errors of the file system
 */
export async function writeSegmentFile(
  path: string,
  segment: Pick<SegmentDocument, 'installation' | 'epoch' | 'number' | 'chains'>,
  content: SegmentContent,
  joints: ReadonlyMap<string, ChainHead>,
): Promise<SegmentFacts> {
  const target = createWriteStream(path, { flags: 'w', mode: 0o600, flush: true });
  await pipeline(Readable.from(segmentLines(segment, content), { objectMode: false }), createGzip(), target);
  return readSegmentFile(path, segment.chains, joints);
}

async function* segmentLines(
  { installation, epoch, number, chains }: Parameters<typeof writeSegmentFile>[1],
  content: SegmentContent,
): AsyncGenerator<Buffer> {
  const header = { type: 'strongroom.audit.export', v: 1, installation, segment: segmentName({ epoch, number }) };
  yield Buffer.from(`${JSON.stringify(header)}\n`);
  for await (const checkpoint of content.checkpoints) yield Buffer.from(encodeCheckpointLine(checkpoint));
  for (const chain of chains) {
    for await (const rows of content.records(chain))
      yield Buffer.concat(rows.map((row) => encodeRecordLine(chain.chain, row)));
  }
}

/**
 * Reads a whole segment: digests its file and follows the records of each chain from where it stood to its head.
 *
 * @throws SegmentDamage naming the first record that is not as it must be; errors of the file system and of decompression
 */
export async function readSegmentFile(
  path: string,
  chains: readonly SegmentChain[],
  joints: ReadonlyMap<string, ChainHead>,
): Promise<SegmentFacts> {
  const digest = await digestFile(path);
  const walk = new SegmentWalk(chains, joints);
  const size = { bytes: 0 };
  for await (const line of segmentFileLines(path, Number.MAX_SAFE_INTEGER, size)) walk.read(line);
  walk.end();
  return {
    file: { ...digest, contentBytes: size.bytes },
    records: walk.records,
    checkpoints: walk.checkpoints,
    times: walk.records === 0 ? null : { from: walk.from, to: walk.to },
    geneses: walk.geneses,
  };
}

/** Follows the lines of a segment. */
class SegmentWalk {
  readonly #chains: readonly SegmentChain[];
  readonly #joints: ReadonlyMap<string, ChainHead>;
  readonly geneses = new Map<string, NonNullable<SegmentChain['genesis']>>();
  records = 0;
  checkpoints = 0;
  from = Number.POSITIVE_INFINITY;
  to = Number.NEGATIVE_INFINITY;
  #index = 0;
  #sequence = 0;
  #hash: Buffer = Buffer.from(noPreviousHash);
  #hashRecord: ReturnType<typeof createRecordHash> | null = null;

  constructor(chains: readonly SegmentChain[], joints: ReadonlyMap<string, ChainHead>) {
    this.#chains = chains;
    this.#joints = joints;
    this.#begin();
  }

  read(line: ExportLine | null): void {
    if (line?.type === 'header') return;
    if (line?.type === 'checkpoint') {
      this.checkpoints += 1;
      return;
    }
    const chain = this.#chains[this.#index];
    if (chain === undefined || this.#hashRecord === null)
      throw new SegmentDamage(null, null, 'it holds more than it should');
    const expected = this.#sequence + 1;
    const damage = (why: string): SegmentDamage => new SegmentDamage(chain.chain, expected, why);
    if (line?.type !== 'record') throw damage('it is not readable');
    const { record } = line;
    if (record.chain !== chain.chain || record.sequence !== expected) throw damage('it is missing');
    this.#hash = this.#hashRecord(expected, this.#hash, record.record);
    if (!this.#hash.equals(record.hash)) throw damage('the record, its place or its hash was changed');
    const at = timeOf(record.record);
    if (Number.isNaN(at)) throw damage('it is not readable as a record');
    this.from = Math.min(this.from, at);
    this.to = Math.max(this.to, at);
    this.records += 1;
    if (expected === 1) this.#readGenesis(chain.chain, record.record);
    this.#sequence = expected;
    if (expected === chain.last) this.#endChain(chain);
  }

  end(): void {
    const chain = this.#chains[this.#index];
    if (chain !== undefined) throw new SegmentDamage(chain.chain, this.#sequence + 1, 'it is missing');
  }

  #readGenesis(chain: string, bytes: Uint8Array): void {
    const content = parseRecord(bytes);
    if (content?.genesis === undefined) throw new SegmentDamage(chain, 1, 'it does not say what the chain links to');
    const { epoch, macTerm } = content.genesis;
    this.geneses.set(chain, { epoch, at: content.at, macTerm });
  }

  #endChain(chain: SegmentChain): void {
    if (this.#hash.toString('hex') !== chain.hash)
      throw new SegmentDamage(chain.chain, chain.last, 'its hash is not the one that the checkpoint names');
    this.#index += 1;
    this.#begin();
  }

  #begin(): void {
    const chain = this.#chains[this.#index];
    if (chain === undefined) return;
    const joint = this.#joints.get(chain.chain);
    this.#sequence = joint?.sequence ?? 0;
    this.#hash = Buffer.from(joint === undefined ? noPreviousHash : Buffer.from(joint.hash, 'hex'));
    this.#hashRecord = createRecordHash(chain.chain);
    if (chain.first !== this.#sequence + 1)
      throw new SegmentDamage(chain.chain, this.#sequence + 1, `its segment begins at ${chain.first}`);
  }
}

/** Of a record as the chain writes it: the time comes second. Milliseconds since 1970, or NaN. */
function timeOf(record: Uint8Array): number {
  const start = Buffer.from(record.buffer, record.byteOffset, Math.min(record.byteLength, 64)).toString('latin1');
  return Date.parse(/^\{"v":1,"at":"([^"]*)"/.exec(start)?.[1] ?? '');
}

/**
 * The lines of a segment's file; null for a line that is none. Stops with an error when there is more than `maxBytes` of it,
 * so that no file that somebody made swells without end.
 *
 * @param size counts what was decompressed
 * @throws errors of the file system and of decompression
 */
export async function* segmentFileLines(
  path: string,
  maxBytes: number,
  size = { bytes: 0 },
): AsyncGenerator<ExportLine | null> {
  const file = createReadStream(path, { highWaterMark: 256 * 1024 });
  const unzipped = createGunzip({ chunkSize: 256 * 1024 });
  // Ends with the first error of either; the reader below gets it, too.
  const piped = pipeline(file, unzipped).catch(() => undefined);
  async function* limited(): AsyncGenerator<Buffer> {
    for await (const chunk of unzipped) {
      const bytes = chunk as Buffer;
      size.bytes += bytes.length;
      if (size.bytes > maxBytes) throw new SegmentDamage(null, null, 'it holds more than its mark says');
      yield bytes;
    }
  }
  try {
    for await (const line of splitLines(limited(), maxExportLineBytes)) yield parseExportLine(line);
  } finally {
    file.destroy();
    unzipped.destroy();
    await piped;
  }
}

/**
 * Gives the file its name, then the mark beside it: where there is a mark, its file is whole. All of it is flushed.
 *
 * @throws errors of the file system
 */
export async function publishSegment(
  directory: string,
  name: string,
  partial: string,
  segment: SignedSegment,
): Promise<void> {
  const files = segmentFiles(directory, name);
  const partialMark = `${files.mark}.partial`;
  await writeFile(partialMark, encodeSegmentLine(segment), { mode: 0o600, flush: true });
  await rename(partial, files.data);
  await rename(partialMark, files.mark);
  syncDirectory(directory);
}

/** The mark in a file; null when there is no file, undefined when it holds no mark. @throws errors of the file system */
export async function readMarkFile(path: string): Promise<SignedSegment | null | undefined> {
  if (!existsSync(path)) return null;
  if ((await stat(path)).size > maxMarkBytes) return undefined;
  const line = parseExportLine(await readFile(path));
  return line?.type === 'segment' ? line.segment : undefined;
}
