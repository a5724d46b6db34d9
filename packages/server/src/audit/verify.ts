import { checkpointDigest, openCheckpoint, type SignedCheckpoint } from './checkpoint-document.ts';
import { type Claim, Claims, describeClaim } from './claims.ts';
import { type AnchorPosition, type Genesis, signingKeyId } from './record.ts';
import { parseRecord } from './record-content.ts';
import type { AnchorInput, AuditSource, StoredRecord } from './source.ts';
import { AnchorCheck } from './verify-anchors.ts';
import { ChainCheck, type ChainContext } from './verify-chain.ts';
import { Findings, type Restore, type VerifyReport, type Window, Windows } from './verify-report.ts';
import { type KnownSegment, SegmentCheck } from './verify-segments.ts';

export interface VerifyOptions {
  /**
   * Opened after the anchors were read, so that a server that is running cannot be ahead of the snapshot. Closed here. Null:
   * there is only the archive.
   */
  readonly openSource: (() => Promise<AuditSource>) | null;
  /** Directories of the archive; a segment that is in none of them is then a finding. Without any, its marks stand for it. */
  readonly archives?: readonly string[];
  readonly anchors: readonly AnchorInput[];
  /** Trusted Ed25519 keys, 32 bytes each. */
  readonly publicKeys: readonly Uint8Array[];
  /** MAC keys by term id, when MACs are to be checked too. */
  readonly macKeys?: ReadonlyMap<string, Uint8Array>;
  /** `macKeys` are all there ever were: a chain with another one is no chain of this installation. */
  readonly isKeyringComplete?: boolean;
  /** All anchors of this log are among those given, so one that is not there was removed. */
  readonly isAnchorComplete: boolean;
}

/**
 * Verifies a log. Memory is bounded by the number of chains, checkpoints and segments, not of records.
 *
 * @throws what the source or an anchor throws when it cannot be read; what it holds never throws
 */
export async function verifyAudit(options: VerifyOptions): Promise<VerifyReport> {
  const run = new Verification(options);
  for (const anchor of options.anchors) await run.anchorCheck.read(anchor, run.claims);
  const archives = options.archives ?? [];
  const source = options.openSource === null ? null : await options.openSource();
  try {
    if (source === null) await run.segmentCheck.readAlone(archives);
    else await run.segmentCheck.read(source.segments(), archives);
    await run.readCheckpoints(source);
    await run.readGeneses(source);
    await run.readRecords(source);
    for (const why of source?.damage() ?? []) run.findings.add(null, null, why);
  } finally {
    await source?.close();
  }
  if (source !== null) {
    run.judgeUnseenChains();
    run.judgeWindows();
  }
  await run.anchorCheck.find(run.named, options.anchors, options.isAnchorComplete);
  return run.report();
}

interface ChainEnd {
  readonly head: number;
  readonly signedTo: number;
  readonly linked: Claim | null;
}

class Verification {
  readonly claims = new Claims();
  readonly findings = new Findings();
  readonly windows = new Windows();
  readonly anchorCheck: AnchorCheck;
  readonly segmentCheck: SegmentCheck;
  /** Anchor lines that checkpoints and first records name. */
  readonly named: (AnchorPosition & { readonly by: string })[] = [];
  readonly #publicKeys: ReadonlyMap<string, Uint8Array>;
  readonly #macKeys: ReadonlyMap<string, Uint8Array>;
  readonly #isKeyringComplete: boolean;
  readonly #checkpoints = new Map<string, string>();
  /** Checkpoints up to this id are in segments that are not at hand. Ids sort by time. */
  #checkpointsUnreadTo = '';
  #checkpointsRead = 0;
  readonly #geneses = new Map<string, Pick<Genesis, 'installation' | 'macTerm'>>();
  readonly #restores = new Map<number, { readonly chain: string; readonly at: string; readonly lost: Window[] }>();
  readonly #ends = new Map<string, ChainEnd>();
  readonly #keyIds = new Set<string>();
  #installation: string | null = null;
  #records = 0;
  #chainsRead = 0;
  #chainsWithMac = 0;

  constructor(options: VerifyOptions) {
    this.#publicKeys = new Map(options.publicKeys.map((key) => [signingKeyId(key), key]));
    this.#macKeys = options.macKeys ?? new Map();
    this.#isKeyringComplete = options.isKeyringComplete ?? false;
    this.anchorCheck = new AnchorCheck(this.#publicKeys, this.findings, this.windows);
    this.segmentCheck = new SegmentCheck(this.#publicKeys, this.findings, this.windows);
  }

  async readCheckpoints(source: AuditSource | null): Promise<void> {
    const previous = new Map<string, string>();
    for (const segment of this.segmentCheck.segments) {
      for await (const line of this.segmentCheck.lines(segment)) {
        if (line.type === 'checkpoint') this.#readCheckpoint(line.checkpoint, previous);
        if (line.type === 'record') break;
      }
      if (this.segmentCheck.isRead(segment)) continue;
      const { id, digest } = segment.document.lastCheckpoint;
      this.#checkpoints.set(id, digest);
      if (id > this.#checkpointsUnreadTo) this.#checkpointsUnreadTo = id;
    }
    if (source !== null) for await (const stored of source.checkpoints()) this.#readCheckpoint(stored, previous);
    for (const [id, digest] of previous) {
      if (!this.#isCheckpoint(id, digest))
        this.findings.add(null, null, `checkpoint ${id} is missing or another than the one after it names`);
    }
  }

  #readCheckpoint(stored: SignedCheckpoint, previous: Map<string, string>): void {
    const document = openCheckpoint(stored, this.#publicKeys);
    if ('why' in document) {
      this.findings.add(null, null, `checkpoint ${stored.id}: ${document.why}`);
      return;
    }
    this.#keyIds.add(stored.keyId);
    this.#checkpoints.set(stored.id, checkpointDigest(stored.document));
    this.#checkpointsRead += 1;
    if (document.previous !== null) previous.set(document.previous.id, document.previous.digest);
    this.#checkInstallation(document.installation, `checkpoint ${stored.id}`);
    const { epoch } = document;
    for (const { chain, sequence, hash } of document.heads)
      this.claims.add(chain, { sequence, hash, epoch, kind: 'checkpoint', where: stored.id });
    if (document.anchor !== null) this.named.push({ ...document.anchor, by: `checkpoint ${stored.id}` });
  }

  readonly #isCheckpoint = (id: string, digest: unknown): boolean => {
    const known = this.#checkpoints.get(id);
    return known === undefined ? id <= this.#checkpointsUnreadTo : known === digest;
  };

  async readGeneses(source: AuditSource | null): Promise<void> {
    for (const segment of this.segmentCheck.segments) {
      const { document, name } = segment;
      this.#checkInstallation(document.installation, `segment ${name}`);
      for await (const line of this.segmentCheck.lines(segment))
        if (line.type === 'record') this.#readGenesis(line.record);
      for (const { chain, genesis } of document.chains)
        if (genesis !== undefined) this.#addChain(chain, { ...genesis, installation: document.installation });
    }
    if (source !== null) for await (const stored of source.firstRecords()) this.#readGenesis(stored);
    // The first epoch is the installation's beginning, not a restore.
    this.#restores.delete(Math.min(...this.#restores.keys()));
  }

  #readGenesis(stored: StoredRecord): void {
    const content = stored.sequence === 1 ? parseRecord(stored.record) : null;
    const genesis = content?.genesis;
    if (content === null || genesis === undefined) return;
    const { chain } = stored;
    const { epoch } = genesis;
    this.#addChain(chain, { ...genesis, at: content.at });
    this.#checkInstallation(genesis.installation, `chain ${chain}`);
    for (const { chain: linked, sequence, hash } of genesis.heads)
      this.claims.add(linked, { sequence, hash, epoch, kind: 'genesis', where: chain });
    if (genesis.checkpoint !== null && !this.#isCheckpoint(genesis.checkpoint.id, genesis.checkpoint.digest))
      this.findings.add(chain, 1, `it links to checkpoint ${genesis.checkpoint.id}, which is missing or another`);
    if (genesis.anchor !== null) this.named.push({ ...genesis.anchor, by: `the first record of chain ${chain}` });
  }

  #addChain(
    chain: string,
    { installation, macTerm, epoch, at }: Pick<Genesis, 'installation' | 'macTerm' | 'epoch'> & { readonly at: string },
  ): void {
    this.#geneses.set(chain, { installation, macTerm });
    const known = this.#restores.get(epoch);
    if (known === undefined || chain < known.chain) this.#restores.set(epoch, { chain, at, lost: [] });
  }

  /** The archive first, segment by segment, then the log: each chain goes on where its last segment ended. */
  async readRecords(source: AuditSource | null): Promise<void> {
    const context: ChainContext = {
      findings: this.findings,
      isCheckpoint: this.#isCheckpoint,
      segments: this.segmentCheck.digests,
      macKeys: this.#macKeys,
    };
    const checks = new Map<string, ChainCheck>();
    const checkOf = (chain: string): ChainCheck => {
      let check = checks.get(chain);
      if (check === undefined) {
        check = new ChainCheck(chain, this.claims.of(chain), this.#geneses.get(chain), context);
        checks.set(chain, check);
      }
      return check;
    };
    for (const segment of this.segmentCheck.segments) {
      await this.#readInOrder(recordsIn(this.segmentCheck, segment), checkOf);
      for (const chain of segment.document.chains) checkOf(chain.chain).endSegment(chain, segment.name);
    }
    if (source === null) {
      for (const check of checks.values()) this.#endChain(check, null);
      return;
    }
    const heads = new Map<string, { readonly sequence: number; readonly hash: string }>();
    for await (const head of source.chains()) heads.set(head.chain, head);
    await this.#readInOrder(source.records(), checkOf);
    for (const check of checks.values()) this.#endChain(check, heads);
    for (const [chain, head] of heads) {
      if (this.#ends.has(chain)) continue;
      this.findings.add(chain, 1, `the whole chain is missing; its head is ${head.sequence}`);
      this.#ends.set(chain, { head: 0, signedTo: 0, linked: null });
    }
  }

  async #readInOrder(records: AsyncIterable<StoredRecord>, checkOf: (chain: string) => ChainCheck): Promise<void> {
    const seen = new Set<string>();
    let check: ChainCheck | null = null;
    for await (const stored of records) {
      if (check?.chain !== stored.chain) {
        check = checkOf(stored.chain);
        if (seen.has(stored.chain))
          this.findings.add(stored.chain, stored.sequence, 'it is out of order: other chains lie between');
        seen.add(stored.chain);
      }
      check.read(stored);
      this.#records += 1;
    }
  }

  /** @param heads as the log lists them; null when there is only the archive */
  #endChain(
    check: ChainCheck,
    heads: ReadonlyMap<string, { readonly sequence: number; readonly hash: string }> | null,
  ): void {
    const { chain } = check;
    if (heads !== null) this.#checkHead(check, heads.get(chain));
    if (check.records > 0) {
      this.#chainsRead += 1;
      if (check.hasMacKey) this.#chainsWithMac += 1;
    }
    if (!check.hasMacKey && this.#isKeyringComplete)
      this.findings.add(chain, 1, 'its MACs are of a key that the keyring does not have');
    this.#ends.set(chain, { head: check.head, signedTo: check.signedTo, linked: check.linked });
    if (heads !== null) this.#judgeUnmet(chain, check.head, check.unmet);
  }

  #checkHead(check: ChainCheck, listed: { readonly sequence: number; readonly hash: string } | undefined): void {
    const { chain } = check;
    if (listed === undefined) this.findings.add(chain, null, 'it is not in the list of chains');
    else if (listed.sequence > check.head)
      this.findings.add(chain, check.head + 1, `it is missing: the list of chains names sequence ${listed.sequence}`);
    else if (listed.sequence < check.head)
      this.findings.add(chain, listed.sequence + 1, 'the list of chains ends the chain before it');
    else if (listed.hash !== check.headHash)
      this.findings.add(chain, check.head, 'the list of chains has another hash for it');
  }

  /** Chains that something names and of which there is no record. */
  judgeUnseenChains(): void {
    for (const chain of this.claims.chains()) {
      if (!this.#ends.has(chain)) this.#judgeUnmet(chain, 0, this.claims.of(chain));
    }
  }

  // What only the anchor knows, from an epoch that a restore ended, went with that restore.
  #judgeUnmet(chain: string, head: number, unmet: readonly Claim[]): void {
    let lost: { readonly to: number; readonly windows: Window[] } | null = null;
    for (const claim of unmet) {
      const restore = claim.kind === 'anchor' ? this.#restoreAfter(claim.epoch) : undefined;
      if (restore === undefined) {
        this.findings.add(chain, head + 1, `it is missing: ${describeClaim(claim)} names sequence ${claim.sequence}`);
        return;
      }
      lost = { to: claim.sequence, windows: restore };
    }
    lost?.windows.push({
      from: { chain, sequence: head + 1 },
      to: { chain, sequence: lost.to },
      why: 'the backup did not have them',
    });
  }

  #restoreAfter(epoch: number): Window[] | undefined {
    const epochs = [...this.#restores.keys()].filter((later) => later > epoch);
    return epochs.length === 0 ? undefined : this.#restores.get(Math.min(...epochs))?.lost;
  }

  judgeWindows(): void {
    for (const [chain, end] of this.#ends) {
      // A link from another chain protects as much as that chain's first record is itself signed.
      const isLinkSigned = end.linked !== null && (this.#ends.get(end.linked.where)?.signedTo ?? 0) > 0;
      const covered = Math.max(end.signedTo, isLinkSigned ? (end.linked?.sequence ?? 0) : 0);
      if (covered < end.head)
        this.windows.add(
          { chain, sequence: covered + 1 },
          { chain, sequence: end.head },
          'chained, and not yet covered by anything signed',
        );
    }
    const { outsideTo, outsideAt } = this.anchorCheck;
    if (outsideAt === null) {
      this.windows.add(
        null,
        null,
        'the log and the anchor beside it could have been rolled back together; give a copy of the anchor that is kept elsewhere',
      );
      return;
    }
    const open = [...this.#ends].find(([chain, { head, linked }]) => {
      const isLinked = linked?.sequence === head && outsideTo.has(linked.where);
      return !isLinked && (outsideTo.get(chain) ?? 0) < head;
    });
    if (open === undefined) return;
    const from = { chain: open[0], sequence: (outsideTo.get(open[0]) ?? 0) + 1 };
    this.windows.add(
      from,
      null,
      `no anchor that is kept elsewhere tells of it; the newest is of ${new Date(outsideAt).toISOString()}`,
    );
  }

  report(): VerifyReport {
    const bad = this.findings.sorted();
    const chains = this.#ends.size;
    return {
      ok: this.findings.count === 0,
      installation: this.#installation,
      chains,
      records: this.#records,
      checkpoints: this.#checkpointsRead,
      anchorLines: this.anchorCheck.lines,
      macs: this.#chainsWithMac === 0 ? 'unchecked' : this.#chainsWithMac === this.#chainsRead ? 'checked' : 'partly',
      firstBad: bad[0] ?? null,
      bad,
      badCount: this.findings.count,
      unprotectedWindow: this.windows.list(),
      restores: [...this.#restores]
        .sort(([a], [b]) => a - b)
        .map(([epoch, { chain, at, lost }]): Restore => ({ chain, epoch, at, lost })),
      ...this.segmentCheck.report(),
      keyIds: [...new Set([...this.#keyIds, ...this.anchorCheck.keyIds, ...this.segmentCheck.keyIds])].sort(),
    };
  }

  #checkInstallation(installation: string, by: string): void {
    this.#installation ??= installation;
    if (installation !== this.#installation)
      this.findings.add(null, null, `${by} belongs to another installation (${installation})`);
  }
}

async function* recordsIn(check: SegmentCheck, segment: KnownSegment): AsyncGenerator<StoredRecord> {
  for await (const line of check.lines(segment)) if (line.type === 'record') yield line.record;
}
