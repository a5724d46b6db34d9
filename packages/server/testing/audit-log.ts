import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { SigningKey } from '@strongroom/crypto';
import { readAnchorTail } from '../src/audit/anchor.ts';
import { type AuditChain, type AuditRow, createAuditChain } from '../src/audit/chain.ts';
import {
  type CheckpointDocument,
  checkpointDigest,
  signCheckpoint,
  type SignedCheckpoint,
} from '../src/audit/checkpoint-document.ts';
import type { AuditEvent } from '../src/audit/event.ts';
import type { ChainHead } from '../src/audit/record.ts';
import {
  type SegmentChain,
  segmentDigest,
  segmentName,
  type SignedSegment,
  signSegment,
} from '../src/audit/segment-document.ts';
import { publishSegment, segmentFiles, writeSegmentFile } from '../src/audit/segment-file.ts';
import type { AnchorInput, AuditSource, StoredRecord } from '../src/audit/source.ts';
import { verifyAudit, type VerifyOptions } from '../src/audit/verify.ts';
import type { VerifyReport } from '../src/audit/verify-report.ts';
import { newId } from '../src/store/ids.ts';

const testMacKey = new Uint8Array(32).fill(0x6d);
const testSigningKey = new SigningKey(new Uint8Array(32).fill(0x73));
const epochStart = Date.UTC(2025, 0, 1);

/** A log as somebody who can write the database sees it: plain arrays to tamper with. */
export interface LogSnapshot {
  readonly records: StoredRecord[];
  readonly heads: ChainHead[];
  readonly checkpoints: SignedCheckpoint[];
  readonly segments: SignedSegment[];
  readonly anchor: string[];
}

/** Writes a log with the real chain, anchor and checkpoints, and arrays in place of tables. */
export class TestLog {
  readonly #directory = mkdtempSync(join(tmpdir(), 'strongroom-audit-'));
  readonly anchorPath = join(this.#directory, 'audit.anchor');
  /** Directory of the archive; there from the first segment on. */
  readonly archivePath = join(this.#directory, 'archive');
  readonly #joints = new Map<string, ChainHead>();
  readonly #rows: AuditRow[] = [];
  readonly #heads = new Map<string, ChainHead & { checkpointed: number }>();
  readonly #checkpoints: SignedCheckpoint[] = [];
  readonly #segments: SignedSegment[] = [];
  #chain: AuditChain;
  #epoch: number;
  #now = epochStart;

  constructor(epoch = 1) {
    this.#epoch = epoch;
    this.#chain = this.#open();
  }

  get chainId(): string {
    return this.#chain.chainId;
  }

  /** A restart: a new chain. */
  restart(epoch = this.#epoch): void {
    this.#epoch = epoch;
    this.#chain = this.#open();
  }

  /** One batch: appended, "stored", anchored unless the process dies right after the commit. */
  commit(events: number, options: { readonly isKilled?: boolean; readonly event?: Partial<AuditEvent> } = {}): void {
    for (let index = 0; index < events; index += 1) {
      this.#now += 7;
      this.#store(
        this.#chain.append(
          {
            principal: 'usr_ann',
            principalName: 'user:ann',
            action: 'secret.manage',
            outcome: 'allowed',
            scope: { id: 'dom_finance', name: 'finance' },
            object: { type: 'secret', id: `sec_${this.#rows.length}`, name: `key-${this.#rows.length}` },
            ...options.event,
          },
          this.#now,
        ),
      );
    }
    if (options.isKilled !== true) this.#chain.committed();
  }

  checkpoint(): void {
    this.#now += 1;
    const previous = this.#checkpoints.at(-1);
    const heads = this.#moved();
    const tail = readAnchorTail(this.anchorPath);
    const checkpoint = signCheckpoint(
      {
        id: newId('checkpoint', this.#now),
        installation: 'ins_test',
        epoch: this.#epoch,
        at: this.#now,
        previous: previous === undefined ? null : { id: previous.id, digest: checkpointDigest(previous.document) },
        heads,
        anchor: tail === null ? null : { series: tail.series, line: tail.line, hash: tail.lineHash },
      },
      testSigningKey,
    );
    this.#checkpoints.push(checkpoint);
    for (const { chain, sequence } of heads) {
      const head = this.#heads.get(chain);
      if (head !== undefined) head.checkpointed = sequence;
    }
    this.commit(1, {
      event: {
        principal: 'system',
        principalName: 'system',
        action: 'audit.checkpoint',
        detail: { checkpoint: checkpoint.id, digest: checkpointDigest(checkpoint.document) },
      },
    });
  }

  /** Moves everything but the newest checkpoint, and what only that one covers, to a segment. */
  async archive(): Promise<void> {
    const checkpoints = this.#checkpoints.slice(0, -1);
    const last = checkpoints.at(-1);
    if (last === undefined) return;
    const chains = this.#planChains(checkpoints);
    const place = { installation: 'ins_test', epoch: this.#epoch, number: this.#segments.length + 1 };
    const name = segmentName(place);
    const partial = `${segmentFiles(this.archivePath, name).data}.partial`;
    mkdirSync(this.archivePath, { recursive: true });
    const rowsOf = ({ chain, first, last: to }: SegmentChain): AuditRow[] =>
      this.#rows.filter((row) => row.chain_id === chain && row.sequence >= first && row.sequence <= to);
    const content = {
      checkpoints: Readable.from(checkpoints),
      records: (chain: SegmentChain) => Readable.from([rowsOf(chain)]),
    };
    const facts = await writeSegmentFile(partial, { ...place, chains }, content, this.#joints);
    const previous = this.#segments.at(-1);
    const segment = signSegment(
      {
        ...place,
        at: this.#now,
        previous: previous === undefined ? null : segmentDigest(previous),
        file: facts.file,
        records: facts.records,
        from: facts.times?.from ?? last.at,
        to: facts.times?.to ?? last.at,
        checkpoints: facts.checkpoints,
        lastCheckpoint: { id: last.id, at: last.at, digest: checkpointDigest(last.document) },
        chains: chains.map((chain) => ({
          ...chain,
          ...(facts.geneses.has(chain.chain) && { genesis: facts.geneses.get(chain.chain)! }),
        })),
      },
      testSigningKey,
    );
    await publishSegment(this.archivePath, name, partial, segment);
    const gone = new Set(chains.flatMap(rowsOf));
    this.#rows.splice(0, this.#rows.length, ...this.#rows.filter((row) => !gone.has(row)));
    this.#checkpoints.splice(0, checkpoints.length);
    this.#segments.push(segment);
    for (const { chain, last: sequence, hash } of chains) this.#joints.set(chain, { chain, sequence, hash });
    this.commit(1, {
      event: {
        principal: 'system',
        principalName: 'system',
        action: 'audit.archive',
        object: { type: 'audit-segment', id: name, name },
        detail: { digest: segmentDigest(segment) },
      },
    });
  }

  #planChains(checkpoints: readonly SignedCheckpoint[]): SegmentChain[] {
    const chains = new Map<string, SegmentChain>();
    for (const { document } of checkpoints) {
      const { heads } = JSON.parse(Buffer.from(document).toString()) as CheckpointDocument;
      for (const { chain, sequence: last, hash } of heads) {
        const archived = this.#joints.get(chain)?.sequence ?? 0;
        if (last > archived) chains.set(chain, { chain, first: archived + 1, last, hash });
      }
    }
    return [...chains.values()].sort((a, b) => (a.chain < b.chain ? -1 : 1));
  }

  /** What a backup taken now holds; restoring is `restore` of it. */
  snapshot(): LogSnapshot {
    return {
      records: this.#rows.map((row) => ({
        chain: row.chain_id,
        sequence: row.sequence,
        record: Uint8Array.from(row.record),
        hash: Uint8Array.from(row.hash),
        mac: Uint8Array.from(row.mac),
        columns: {
          at: row.at,
          scopeId: row.scope_id,
          principalId: row.principal_id,
          action: row.action,
          outcome: row.outcome,
        },
      })),
      heads: [...this.#heads.values()].map(({ chain, sequence, hash }) => ({ chain, sequence, hash })),
      checkpoints: this.#checkpoints.map((checkpoint) => ({ ...checkpoint })),
      segments: this.#segments.map((segment) => ({ ...segment })),
      anchor: readFileSync(this.anchorPath, 'utf8').split('\n').slice(0, -1),
    };
  }

  /** Takes the "tables" back to what they held before; the anchor stays. The next epoch begins. */
  restore(backup: { readonly records: number; readonly checkpoints: number }): void {
    this.#rows.length = backup.records;
    this.#checkpoints.length = backup.checkpoints;
    const marks = new Map([...this.#heads].map(([chain, head]) => [chain, head.checkpointed]));
    this.#heads.clear();
    for (const row of this.#rows) this.#move(row, 0);
    for (const [chain, head] of this.#heads) head.checkpointed = Math.min(marks.get(chain) ?? 0, head.sequence);
    this.restart(this.#epoch + 1);
  }

  get size(): { readonly records: number; readonly checkpoints: number } {
    return { records: this.#rows.length, checkpoints: this.#checkpoints.length };
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true });
  }

  #open(): AuditChain {
    const previous = this.#checkpoints.at(-1);
    return createAuditChain({
      keys: {
        installationId: 'ins_test',
        macTermId: 'mac-term',
        macKey: testMacKey,
        signingTermId: 'sign-term',
        signingSeed: new Uint8Array(32).fill(0x73),
        publicKey: testSigningKey.publicKey,
      },
      epoch: this.#epoch,
      anchor: { path: this.anchorPath, isOnStdout: false },
      opening: {
        checkpoint: previous === undefined ? null : { id: previous.id, digest: checkpointDigest(previous.document) },
        heads: this.#moved(),
      },
    });
  }

  #moved(): ChainHead[] {
    return [...this.#heads.values()]
      .filter((head) => head.sequence > head.checkpointed)
      .map(({ chain, sequence, hash }) => ({ chain, sequence, hash }));
  }

  #store(row: AuditRow): void {
    this.#rows.push(row);
    this.#move(row, this.#heads.get(row.chain_id)?.checkpointed ?? 0);
  }

  #move(row: AuditRow, checkpointed: number): void {
    const hash = Buffer.from(row.hash).toString('hex');
    this.#heads.set(row.chain_id, { chain: row.chain_id, sequence: row.sequence, hash, checkpointed });
  }
}

function sourceOf(log: LogSnapshot): AuditSource {
  const records = log.records.toSorted((a, b) =>
    a.chain < b.chain ? -1 : a.chain > b.chain ? 1 : a.sequence - b.sequence,
  );
  return {
    async *chains() {
      yield* log.heads;
    },
    async *segments() {
      yield* log.segments;
    },
    async *checkpoints() {
      yield* log.checkpoints;
    },
    async *firstRecords() {
      yield* [...Map.groupBy(records, (record) => record.chain).values()].flatMap((chain) => chain.slice(0, 1));
    },
    async *records() {
      yield* records;
    },
    damage: () => [],
    close: async () => undefined,
  };
}

function anchorOf(lines: readonly string[], isBesideDatabase = true): AnchorInput {
  return {
    name: isBesideDatabase ? 'audit.anchor' : 'collected',
    isBesideDatabase,
    async *lines() {
      yield* lines;
    },
  };
}

/** Verifies with the public key, and with the MAC key when it says so. */
export function verifyLog(
  log: LogSnapshot,
  options: { readonly hasMacKey?: boolean; readonly outside?: readonly string[] } & Partial<VerifyOptions> = {},
): Promise<VerifyReport> {
  const { hasMacKey, outside, ...rest } = options;
  return verifyAudit({
    openSource: async () => sourceOf(log),
    anchors: [anchorOf(log.anchor), ...(outside === undefined ? [] : [anchorOf(outside, false)])],
    publicKeys: [testSigningKey.publicKey],
    isAnchorComplete: true,
    ...(hasMacKey === true && { macKeys: new Map([['mac-term', testMacKey]]) }),
    ...rest,
  });
}
