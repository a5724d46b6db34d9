import { type SigningKey, verifySignature } from '@strongroom/crypto';
import { sha256Hex, signingKeyId } from './record.ts';

const type = 'strongroom.audit.segment';

/** Records `first` to `last` of one chain. */
export interface SegmentChain {
  readonly chain: string;
  readonly first: number;
  readonly last: number;
  /** Of the record `last`, as a signed checkpoint names it; lower-case hex. */
  readonly hash: string;
  /** What the chain's first record says, when it is in this segment: the verifier needs it without the archive, too. */
  readonly genesis?: {
    readonly epoch: number;
    /** RFC 3339. */
    readonly at: string;
    readonly macTerm: string;
  };
}

/** A checkpoint that went to the archive; `at` in milliseconds since 1970. */
export interface ArchivedCheckpoint {
  readonly id: string;
  readonly at: number;
  readonly digest: string;
}

/** What the mark of a segment says; signed as the exact bytes of its JSON. Times are milliseconds since 1970. */
export interface SegmentDocument {
  readonly installation: string;
  /** In which it was sealed. */
  readonly epoch: number;
  /** From 1, one more than that of the segment before. */
  readonly number: number;
  readonly at: number;
  /** Digest of the mark before; null for the first. */
  readonly previous: string | null;
  readonly file: {
    readonly bytes: number;
    /** Of the file as it is, lower-case hex. */
    readonly sha256: string;
    /** Of what it decompresses to. */
    readonly contentBytes: number;
  };
  readonly records: number;
  /** Times of the oldest and the newest record. */
  readonly from: number;
  readonly to: number;
  /** How many checkpoints are in it, and the last of them. */
  readonly checkpoints: number;
  readonly lastCheckpoint: ArchivedCheckpoint;
  /** By chain id. */
  readonly chains: readonly SegmentChain[];
}

/** A mark as it is stored, exported and kept beside its file. */
export interface SignedSegment {
  readonly number: number;
  readonly document: Uint8Array;
  /** Ed25519 over `document`. */
  readonly signature: Uint8Array;
  readonly keyId: string;
}

export function signSegment(segment: SegmentDocument, signing: SigningKey): SignedSegment {
  const keyId = signingKeyId(signing.publicKey);
  const { lastCheckpoint } = segment;
  const time = (at: number): string => new Date(at).toISOString();
  const document = Buffer.from(
    JSON.stringify({
      type,
      v: 1,
      installation: segment.installation,
      epoch: segment.epoch,
      number: segment.number,
      at: time(segment.at),
      previous: segment.previous,
      file: segment.file,
      records: segment.records,
      from: time(segment.from),
      to: time(segment.to),
      checkpoints: segment.checkpoints,
      lastCheckpoint: { ...lastCheckpoint, at: time(lastCheckpoint.at) },
      chains: segment.chains,
      key: keyId,
    }),
  );
  return { number: segment.number, document, signature: signing.sign(document), keyId };
}

/** Names a segment in the mark that follows it, and in the record that tells of it. */
export function segmentDigest({ document }: Pick<SignedSegment, 'document'>): string {
  return sha256Hex(document);
}

/** Of both its files, without their endings. */
export function segmentName({ epoch, number }: Pick<SegmentDocument, 'epoch' | 'number'>): string {
  return `audit-${epoch}-${String(number).padStart(6, '0')}`;
}

/** The document of a mark that one of the keys signed; else what is wrong with it. */
export function openSegment(
  stored: SignedSegment,
  publicKeys: ReadonlyMap<string, Uint8Array>,
): SegmentDocument | { readonly why: string } {
  const publicKey = publicKeys.get(stored.keyId);
  if (publicKey === undefined) return { why: `it is signed with the key ${stored.keyId}, which was not given` };
  if (!verifySignature(publicKey, stored.document, stored.signature)) return { why: 'its signature is not valid' };
  return readSegment(stored.document) ?? { why: 'it is no mark of a segment' };
}

interface RawDocument extends Omit<SegmentDocument, 'at' | 'from' | 'to' | 'lastCheckpoint'> {
  readonly type: string;
  readonly at: string;
  readonly from: string;
  readonly to: string;
  readonly lastCheckpoint: Omit<ArchivedCheckpoint, 'at'> & { readonly at: string };
}

function readSegment(bytes: Uint8Array): SegmentDocument | null {
  const raw = parseDocument(bytes);
  // The key signs other things, too. What has this type has the form that signSegment gave it.
  if (raw?.type !== type) return null;
  const { lastCheckpoint } = raw;
  return {
    ...raw,
    at: Date.parse(raw.at),
    from: Date.parse(raw.from),
    to: Date.parse(raw.to),
    lastCheckpoint: { ...lastCheckpoint, at: Date.parse(lastCheckpoint.at) },
  };
}

function parseDocument(bytes: Uint8Array): RawDocument | null {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as RawDocument;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
