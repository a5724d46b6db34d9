import { existsSync } from 'node:fs';
import { StrongroomError } from '@strongroom/contract';
import type { SigningKey } from '@strongroom/crypto';
import type { HeldLease } from '../store/leases.ts';
import type { Store } from '../store/store.ts';
import { type CheckpointDocument, checkpointDigest, openCheckpoint } from './checkpoint-document.ts';
import type { SignedCheckpoint } from './checkpoint-document.ts';
import type { ExportedRow } from './queries.ts';
import { type ChainHead, signingKeyId } from './record.ts';
import {
  type ArchivedCheckpoint,
  openSegment,
  segmentDigest,
  type SegmentChain,
  type SegmentDocument,
  segmentName,
  type SignedSegment,
  signSegment,
} from './segment-document.ts';
import {
  publishSegment,
  readMarkFile,
  readSegmentFile,
  SegmentDamage,
  type SegmentFacts,
  segmentFiles,
  writeSegmentFile,
} from './segment-file.ts';
import { latestCheckpoint } from './statements.ts';

export const archiveJobName = 'archive-audit';
/** Who archives holds this lease, the job's as well as an operator, so that one does at a time. */
export const archiveLease = `job.${archiveJobName}`;

/** A removal of so many records holds up the write lane for a fraction of a second. */
const recordsPerSegment = 5_000;
const rowsPerChunk = 500;
const checkpointsPerChunk = 200;
const removalDeadlineMilliseconds = 60_000;

export interface ArchiveParts {
  readonly store: Pick<Store, 'query' | 'execute' | 'db'>;
  readonly signing: SigningKey;
  readonly installationId: string;
}

export interface ArchiveOptions {
  /** Must be there. */
  readonly directory: string;
  /** Records that a checkpoint before this time covers go; milliseconds since 1970. */
  readonly before: number;
  readonly lease: HeldLease;
  /** In the records that tell of it. */
  readonly principalName: string;
  /** How many records close a segment; default 5,000. */
  readonly recordsPerSegment?: number;
}

/** A segment that is archived and whose rows are gone. */
export interface ArchivedSegment {
  readonly segment: string;
  readonly digest: string;
  readonly records: number;
  /** RFC 3339. */
  readonly from: string;
  readonly to: string;
}

/** Where the archive ends. */
interface ArchiveEnd {
  readonly number: number;
  readonly digest: string | null;
  readonly lastCheckpoint: ArchivedCheckpoint | null;
  readonly joints: ReadonlyMap<string, ChainHead>;
}

/** Up to which checkpoint the next segment goes. */
interface SegmentPlan {
  readonly chains: readonly SegmentChain[];
  readonly checkpoints: number;
  readonly lastCheckpoint: ArchivedCheckpoint;
}

/**
 * Moves the oldest records to segments in a directory, one after the other. A segment that an earlier run left there without
 * its commit is completed first, whatever `before` says. Stops between segments when the lease is lost; run again, it goes
 * on. Memory doesn't grow with the records.
 *
 * @throws StrongroomError `state_conflict` when the directory is not there, or holds another segment of the next number, or the
 * log does not verify: nothing of that segment is removed; `storage_full`, `storage_unavailable` for the directory;
 * `version_conflict` when somebody else archives, too; as `Store.execute`
 */
export async function archiveRecords(
  parts: ArchiveParts,
  options: ArchiveOptions,
): Promise<readonly ArchivedSegment[]> {
  if (!existsSync(options.directory))
    throw new StrongroomError('state_conflict', {
      detail: `The directory of the archive is not there: ${options.directory}.`,
      hint: 'Make it, or mount it; the server does not, so that records never go to a place nobody meant.',
    });
  const { epoch } = await parts.store.db.selectFrom('installation').select('epoch').executeTakeFirstOrThrow();
  const archived: ArchivedSegment[] = [];
  for (let end = await readEnd(parts); !options.lease.signal.aborted;) {
    const segment = (await findUncommitted(parts, options, epoch, end)) ?? (await seal(parts, options, epoch, end));
    if (segment === null) break;
    end = await remove(parts, options, segment, end);
    archived.push(segmentView(segment.document, end.digest ?? ''));
  }
  return archived;
}

/** How a segment is told of, beside its mark. */
function segmentView(document: SegmentDocument, digest: string): ArchivedSegment {
  const { records, from, to } = document;
  const time = (at: number): string => new Date(at).toISOString();
  return { segment: segmentName(document), digest, records, from: time(from), to: time(to) };
}

interface SealedSegment {
  readonly signed: SignedSegment;
  readonly document: SegmentDocument;
}

async function remove(
  { store }: ArchiveParts,
  { lease, principalName }: ArchiveOptions,
  { signed, document }: SealedSegment,
  end: ArchiveEnd,
): Promise<ArchiveEnd> {
  const { name, epoch } = lease;
  await store.execute(
    'audit.removeSegment',
    { segment: signed, document, lease: { name, epoch }, principalName },
    { deadlineMilliseconds: removalDeadlineMilliseconds },
  );
  return nextEnd(end, document, segmentDigest(signed));
}

function nextEnd({ joints }: ArchiveEnd, document: SegmentDocument, digest: string): ArchiveEnd {
  const { number, lastCheckpoint, chains } = document;
  const next = new Map(joints);
  for (const { chain, last, hash } of chains) next.set(chain, { chain, sequence: last, hash });
  return { number, digest, lastCheckpoint, joints: next };
}

/** From the marks, which only the key makes: nothing that somebody wrote into the database decides where a segment begins. */
async function readEnd({ store, signing }: ArchiveParts): Promise<ArchiveEnd> {
  let end: ArchiveEnd = { number: 0, digest: null, lastCheckpoint: null, joints: new Map() };
  for (;;) {
    const marks = await store.query('audit.segments', { after: end.number, limit: checkpointsPerChunk });
    for (const mark of marks) {
      const document = openSegment(mark, keysOf(signing));
      const why = 'why' in document ? document.why : linkProblem(mark, document, end);
      if ('why' in document || why !== null) throw notVerified(`the mark of segment ${mark.number}: ${String(why)}`);
      end = nextEnd(end, document, segmentDigest(mark));
    }
    if (marks.length < checkpointsPerChunk) return end;
  }
}

function linkProblem(mark: SignedSegment, document: SegmentDocument, end: ArchiveEnd): string | null {
  const isNext = mark.number === end.number + 1 && document.number === mark.number && document.previous === end.digest;
  return isNext ? null : 'it does not follow the mark before';
}

function keysOf(signing: SigningKey): ReadonlyMap<string, Uint8Array> {
  return new Map([[signingKeyId(signing.publicKey), signing.publicKey]]);
}

/** What an earlier run wrote, and was stopped before its rows were removed. */
async function findUncommitted(
  { signing, installationId }: ArchiveParts,
  { directory }: ArchiveOptions,
  epoch: number,
  end: ArchiveEnd,
): Promise<SealedSegment | null> {
  const name = segmentName({ epoch, number: end.number + 1 });
  const files = segmentFiles(directory, name);
  const signed = await inArchive(() => readMarkFile(files.mark));
  if (signed === null) return null;
  const refuse = (why: string): StrongroomError =>
    new StrongroomError('state_conflict', {
      detail: `The archive already has a segment ${name}, and ${why}.`,
      hint: 'Archive into another directory, and keep this one: it may hold records that are nowhere else.',
    });
  if (signed === undefined) throw refuse('its mark is not readable');
  const document = openSegment(signed, keysOf(signing));
  if ('why' in document) throw refuse(`of its mark: ${document.why}`);
  const isNext =
    document.installation === installationId && document.epoch === epoch && linkProblem(signed, document, end) === null;
  if (!isNext) throw refuse('it does not follow the last one of this database');
  const facts = await inArchive(() => readSegmentFile(files.data, document.chains, end.joints)).catch(
    (error: unknown) => {
      if (error instanceof SegmentDamage) throw refuse(`its file is damaged: ${error.message}`);
      throw error;
    },
  );
  const { bytes, sha256 } = document.file;
  if (facts.file.bytes !== bytes || facts.file.sha256 !== sha256)
    throw refuse('its file is not the one its mark names');
  return { signed, document };
}

/** Writes, checks, signs and publishes the next segment; null when nothing is due. */
async function seal(
  parts: ArchiveParts,
  options: ArchiveOptions,
  epoch: number,
  end: ArchiveEnd,
): Promise<SealedSegment | null> {
  const plan = await planSegment(parts, options, end);
  if (plan === null) return null;
  const { directory } = options;
  const number = end.number + 1;
  const name = segmentName({ epoch, number });
  const partial = `${segmentFiles(directory, name).data}.partial`;
  const place = { installation: parts.installationId, epoch, number };
  const facts = await inArchive(() =>
    writeSegmentFile(partial, { ...place, chains: plan.chains }, contentOf(parts.store, plan, end), end.joints),
  ).catch((error: unknown) => {
    if (!(error instanceof SegmentDamage)) throw error;
    const { chain, sequence, message } = error;
    throw notVerified(`chain ${String(chain)}, sequence ${String(sequence)}: ${message}`);
  });
  if (facts.checkpoints !== plan.checkpoints) throw notVerified('checkpoints changed while they were read');
  const document = documentOf(place, end, plan, facts);
  const signed = signSegment(document, parts.signing);
  await inArchive(() => publishSegment(directory, name, partial, signed));
  return { signed, document };
}

function documentOf(
  place: Pick<SegmentDocument, 'installation' | 'epoch' | 'number'>,
  end: ArchiveEnd,
  { chains, checkpoints, lastCheckpoint }: SegmentPlan,
  { file, records, times, geneses }: SegmentFacts,
): SegmentDocument {
  return {
    ...place,
    at: Date.now(),
    previous: end.digest,
    file,
    records,
    from: times?.from ?? lastCheckpoint.at,
    to: times?.to ?? lastCheckpoint.at,
    checkpoints,
    lastCheckpoint,
    chains: chains.map((chain) => {
      const genesis = geneses.get(chain.chain);
      return { ...chain, ...(genesis !== undefined && { genesis }) };
    }),
  };
}

/** All that the next checkpoints cover: as many as make a segment full, none from `before` on, never the newest. */
async function planSegment(
  { store, signing }: ArchiveParts,
  options: Pick<ArchiveOptions, 'before' | 'recordsPerSegment'>,
  end: ArchiveEnd,
): Promise<SegmentPlan | null> {
  const newest = await latestCheckpoint(store.db);
  const limit = options.recordsPerSegment ?? recordsPerSegment;
  const keys = keysOf(signing);
  const heads = new Map<string, SegmentChain>();
  let lastCheckpoint: ArchivedCheckpoint | null = null;
  let checkpoints = 0;
  let records = 0;
  for await (const stored of checkpointsAfter(store, end.lastCheckpoint)) {
    if (stored.at >= options.before || stored.id === newest?.id || records >= limit) break;
    const document = openCheckpoint(stored, keys);
    if ('why' in document) throw notVerified(`checkpoint ${stored.id}: ${document.why}`);
    records += addHeads(heads, document, end);
    lastCheckpoint = { id: stored.id, at: stored.at, digest: checkpointDigest(stored.document) };
    checkpoints += 1;
  }
  if (lastCheckpoint === null) return null;
  const chains = [...heads.values()].sort((a, b) => (a.chain < b.chain ? -1 : 1));
  return { chains, checkpoints, lastCheckpoint };
}

/** @returns by how many records the segment grows */
function addHeads(heads: Map<string, SegmentChain>, document: CheckpointDocument, end: ArchiveEnd): number {
  let added = 0;
  for (const { chain, sequence, hash } of document.heads) {
    const before = heads.get(chain)?.last ?? end.joints.get(chain)?.sequence ?? 0;
    if (sequence <= before) continue;
    added += sequence - before;
    heads.set(chain, { chain, first: (end.joints.get(chain)?.sequence ?? 0) + 1, last: sequence, hash });
  }
  return added;
}

function contentOf(
  store: Pick<Store, 'query'>,
  plan: SegmentPlan,
  end: ArchiveEnd,
): Parameters<typeof writeSegmentFile>[2] {
  return {
    checkpoints: checkpointsAfter(store, end.lastCheckpoint, plan.lastCheckpoint.id),
    async *records({ chain, first, last: to }): AsyncGenerator<readonly ExportedRow[]> {
      for (let after = first - 1; after < to;) {
        const rows = await store.query('audit.exportRecords', { chain, after, to, limit: rowsPerChunk });
        const last = rows.at(-1);
        if (last === undefined) return;
        yield rows;
        after = last.sequence;
      }
    },
  };
}

async function* checkpointsAfter(
  store: Pick<Store, 'query'>,
  start: { readonly at: number; readonly id: string } | null,
  lastId?: string,
): AsyncGenerator<SignedCheckpoint> {
  for (let after = start; ;) {
    const place = after === null ? null : { at: after.at, id: after.id };
    const checkpoints: SignedCheckpoint[] = await store.query('audit.exportCheckpoints', {
      after: place,
      limit: checkpointsPerChunk,
    });
    for (const checkpoint of checkpoints) {
      yield checkpoint;
      if (checkpoint.id === lastId) return;
      after = checkpoint;
    }
    if (checkpoints.length < checkpointsPerChunk) return;
  }
}

function notVerified(where: string): StrongroomError {
  return new StrongroomError('state_conflict', {
    detail: `The log is not archived, for it does not verify: ${where}.`,
    hint: 'Nothing was removed. Run strongroom audit verify, and keep the data as it is.',
  });
}

/** Failures of the archive's file system in the words of the store. */
async function inArchive<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StrongroomError || !(error instanceof Error) || !('code' in error)) throw error;
    const isFull = error.code === 'ENOSPC' || error.code === 'EDQUOT';
    throw new StrongroomError(isFull ? 'storage_full' : 'storage_unavailable', {
      detail: `A file of the audit archive could not be read or written (${String(error.code)}).`,
      hint: 'No record was removed. Look at the directory of the archive, then run it again.',
      cause: error,
    });
  }
}
