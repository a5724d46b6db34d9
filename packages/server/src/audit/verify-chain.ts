import { timingSafeEqual } from 'node:crypto';
import { type Claim, describeClaim } from './claims.ts';
import { createRecordHash, createRecordMac, type Genesis, noPreviousHash, type RecordMac } from './record.ts';
import { parseRecord } from './record-content.ts';
import type { SegmentChain } from './segment-document.ts';
import type { StoredRecord } from './source.ts';
import type { Findings } from './verify-report.ts';

/** Records that name something signed, which is looked for. */
const namingMarks = ['audit.checkpoint', 'audit.archive'].map((action) => Buffer.from(`"action":"${action}"`));

/** What every chain's check uses. */
export interface ChainContext {
  readonly findings: Findings;
  /** Whether a checkpoint of this id and digest is there, or may be in an archive that is not at hand. */
  readonly isCheckpoint: (id: string, digest: unknown) => boolean;
  /** Digests of the marks of archived segments. */
  readonly segments: ReadonlySet<string>;
  /** By term. */
  readonly macKeys: ReadonlyMap<string, Uint8Array>;
}

/** Follows one chain, record by record, beside what is claimed about it. */
export class ChainCheck {
  readonly chain: string;
  readonly #context: ChainContext;
  readonly #claims: readonly Claim[];
  readonly #hashRecord: ReturnType<typeof createRecordHash>;
  readonly #mac: RecordMac | undefined;
  #nextClaim = 0;
  #expected = 1;
  /** Null after a gap: the next record's hash cannot be judged. */
  #previous: Uint8Array | null = noPreviousHash;
  /** Up to here it is in the archive. */
  #archivedTo = 0;
  /** Records read. */
  records = 0;
  /** The last sequence that something signed confirms. */
  signedTo = 0;
  /** The last claim of a genesis that the chain confirms. */
  linked: Claim | null = null;

  constructor(
    chain: string,
    claims: readonly Claim[],
    genesis: Pick<Genesis, 'installation' | 'macTerm'> | undefined,
    context: ChainContext,
  ) {
    this.chain = chain;
    this.#claims = claims;
    this.#context = context;
    this.#hashRecord = createRecordHash(chain);
    const macKey = genesis === undefined ? undefined : context.macKeys.get(genesis.macTerm);
    if (genesis !== undefined && macKey !== undefined)
      this.#mac = createRecordMac(genesis.installation, genesis.macTerm, macKey);
  }

  get hasMacKey(): boolean {
    return this.#mac !== undefined;
  }

  /** The last sequence read. */
  get head(): number {
    return this.#expected - 1;
  }

  get headHash(): string {
    return this.#previous === null ? '' : Buffer.from(this.#previous).toString('hex');
  }

  /** Claims about sequences after the last. */
  get unmet(): readonly Claim[] {
    return this.#claims.filter((claim) => claim.sequence > this.head);
  }

  read(stored: StoredRecord): void {
    const { sequence } = stored;
    if (sequence < this.#expected) {
      const isArchived = sequence <= this.#archivedTo;
      this.#bad(
        sequence,
        isArchived ? 'it is in the archive, and here all the same' : 'it is out of order or there twice',
      );
      return;
    }
    this.#skipTo(sequence);
    this.#checkHash(stored);
    this.#checkContent(stored);
    this.#checkClaims(sequence, stored.hash);
    this.#previous = stored.hash;
    this.#expected = sequence + 1;
    this.records += 1;
  }

  /**
   * The end of an archived segment: what was read of it must lead to what its mark says; of one that is not at hand the mark
   * stands for its records.
   */
  endSegment({ first, last, hash }: SegmentChain, name: string): void {
    const isFirst = this.#expected <= first;
    if (isFirst) this.#skipTo(first);
    if (this.head < last) {
      if (!isFirst) this.#bad(this.#expected, `it is missing in segment ${name}`);
      this.#previous = Buffer.from(hash, 'hex');
      this.#expected = last + 1;
      this.#checkClaims(last, this.#previous);
    } else if (this.head > last || this.headHash !== hash) {
      this.#bad(last, `segment ${name} names another end of the chain`);
    }
    this.signedTo = Math.max(this.signedTo, last);
    this.#archivedTo = Math.max(this.#archivedTo, last);
  }

  #skipTo(sequence: number): void {
    if (sequence <= this.#expected) return;
    const last = sequence - 1;
    this.#bad(this.#expected, last === this.#expected ? 'it is missing' : `it is missing, as is all up to ${last}`);
    this.#previous = null;
    this.#expected = sequence;
  }

  #checkHash(stored: StoredRecord): void {
    const { sequence, hash } = stored;
    if (this.#previous !== null && !isEqual(this.#hashRecord(sequence, this.#previous, stored.record), hash)) {
      this.#bad(sequence, 'the record, its place or its hash was changed');
    }
    if (this.#mac !== undefined && !isEqual(this.#mac(hash), stored.mac)) {
      this.#bad(sequence, 'its MAC is not valid');
    }
  }

  #checkContent(stored: StoredRecord): void {
    const { columns, record, sequence } = stored;
    if (columns === undefined && sequence > 1) {
      const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
      if (!namingMarks.some((mark) => bytes.includes(mark))) return;
    }
    const content = parseRecord(record);
    if (content === null) {
      this.#bad(sequence, 'it is not readable as a record');
      return;
    }
    if (sequence === 1 && content.genesis === undefined) this.#bad(1, 'it does not say what the chain links to');
    if (
      columns !== undefined &&
      (columns.at !== Date.parse(content.at) ||
        columns.scopeId !== (content.scope?.id ?? null) ||
        columns.principalId !== content.principal.id ||
        columns.action !== content.action ||
        columns.outcome !== content.outcome)
    ) {
      this.#bad(sequence, 'the columns for filtering say something else than the record');
    }
    if (content.action === 'audit.checkpoint') {
      const { checkpoint, digest } = content.detail ?? {};
      if (!this.#context.isCheckpoint(String(checkpoint), digest))
        this.#bad(sequence, `it tells of checkpoint ${String(checkpoint)}, which is missing or another`);
    }
    if (content.action === 'audit.archive' && !this.#context.segments.has(String(content.detail?.['digest'])))
      this.#bad(sequence, `it tells of segment ${String(content.object?.name)}, whose mark is missing or another`);
  }

  #checkClaims(sequence: number, recordHash: Uint8Array): void {
    const next = this.#claims[this.#nextClaim];
    if (next === undefined || next.sequence > sequence) return;
    const hash = Buffer.from(recordHash).toString('hex');
    for (let claim = this.#claims[this.#nextClaim]; claim !== undefined && claim.sequence <= sequence;) {
      if (claim.sequence === sequence) {
        if (claim.hash !== hash) {
          const from = this.signedTo + 1;
          const span = from < claim.sequence ? ` (rewritten somewhere from ${from} on)` : '';
          this.#bad(claim.sequence, `its hash is not the one that ${describeClaim(claim)} names${span}`);
        } else if (claim.kind === 'genesis') {
          this.linked = claim;
        } else {
          this.signedTo = claim.sequence;
        }
      }
      this.#nextClaim += 1;
      claim = this.#claims[this.#nextClaim];
    }
  }

  #bad(sequence: number, why: string): void {
    this.#context.findings.add(this.chain, sequence, why);
  }
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
