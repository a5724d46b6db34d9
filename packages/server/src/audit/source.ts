import type { SignedCheckpoint } from './checkpoint-document.ts';
import type { ChainHead } from './record.ts';
import type { SignedSegment } from './segment-document.ts';

/** A record as it was stored or exported. */
export interface StoredRecord {
  readonly chain: string;
  readonly sequence: number;
  readonly record: Uint8Array;
  readonly hash: Uint8Array;
  readonly mac: Uint8Array;
  /** The columns for filtering; absent in exports, which have none. */
  readonly columns?: RecordColumns;
}

interface RecordColumns {
  readonly at: number;
  readonly scopeId: string | null;
  readonly principalId: string | null;
  readonly action: string;
  readonly outcome: string;
}

/** One consistent snapshot of a log. Each iterable may be taken more than once. */
export interface AuditSource {
  /** The heads as the log itself states them, by chain id. */
  chains(): AsyncIterable<ChainHead>;
  /** Marks of archived segments, by number. */
  segments(): AsyncIterable<SignedSegment>;
  /** By time. */
  checkpoints(): AsyncIterable<SignedCheckpoint>;
  /** The first record there is of each chain. */
  firstRecords(): AsyncIterable<StoredRecord>;
  /** By chain, then sequence, as far as the log keeps that order. */
  records(): AsyncIterable<StoredRecord>;
  /** What of it could not be read at all, for people; complete after `records` was. */
  damage(): readonly string[];
  close(): Promise<void>;
}

/** Lines of an anchor: a file, or a service that collected a standard output. */
export interface AnchorInput {
  /** As people know it; a file's path. */
  readonly name: string;
  /** It lies where the database lies, so that who can write one can write the other. */
  readonly isBesideDatabase: boolean;
  /** Lines without newline, from the first; taken twice. Lines that are no anchor lines are passed over. */
  lines(): AsyncIterable<string>;
}
