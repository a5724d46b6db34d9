import { checkpointDigest, openCheckpoint } from './checkpoint-document.ts';
import { type Claim, Claims, describeClaim } from './claims.ts';
import { type AnchorPosition, type Genesis, signingKeyId } from './record.ts';
import { parseRecord } from './record-content.ts';
import type { AnchorInput, AuditSource } from './source.ts';
import { AnchorCheck } from './verify-anchors.ts';
import { ChainCheck, type ChainContext } from './verify-chain.ts';
import { Findings, type Restore, type VerifyReport, type Window, Windows } from './verify-report.ts';

export interface VerifyOptions {
  /** Opened after the anchors were read, so that a server that is running cannot be ahead of the snapshot. Closed here. */
  readonly openSource: () => Promise<AuditSource>;
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
 * Verifies a log. Memory is bounded by the number of chains and checkpoints, not of records.
 *
 * @throws what the source or an anchor throws when it cannot be read; what it holds never throws
 */
export async function verifyAudit(options: VerifyOptions): Promise<VerifyReport> {
  const run = new Verification(options);
  for (const anchor of options.anchors) await run.anchorCheck.read(anchor, run.claims);
  const source = await options.openSource();
  try {
    await run.readCheckpoints(source);
    await run.readGeneses(source);
    await run.readRecords(source);
    for (const why of source.damage()) run.findings.add(null, null, why);
  } finally {
    await source.close();
  }
  run.judgeUnseenChains();
  run.judgeWindows();
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
  /** Anchor lines that checkpoints and first records name. */
  readonly named: (AnchorPosition & { readonly by: string })[] = [];
  readonly #publicKeys: ReadonlyMap<string, Uint8Array>;
  readonly #macKeys: ReadonlyMap<string, Uint8Array>;
  readonly #isKeyringComplete: boolean;
  readonly #checkpoints = new Map<string, string>();
  readonly #geneses = new Map<string, Pick<Genesis, 'installation' | 'macTerm'>>();
  readonly #restores = new Map<number, { readonly chain: string; readonly at: string; readonly lost: Window[] }>();
  readonly #ends = new Map<string, ChainEnd>();
  readonly #keyIds = new Set<string>();
  #installation: string | null = null;
  #records = 0;
  #chainsWithMac = 0;

  constructor(options: VerifyOptions) {
    this.#publicKeys = new Map(options.publicKeys.map((key) => [signingKeyId(key), key]));
    this.#macKeys = options.macKeys ?? new Map();
    this.#isKeyringComplete = options.isKeyringComplete ?? false;
    this.anchorCheck = new AnchorCheck(this.#publicKeys, this.findings, this.windows);
  }

  async readCheckpoints(source: AuditSource): Promise<void> {
    const previous = new Map<string, string>();
    for await (const stored of source.checkpoints()) {
      const document = openCheckpoint(stored, this.#publicKeys);
      if ('why' in document) {
        this.findings.add(null, null, `checkpoint ${stored.id}: ${document.why}`);
        continue;
      }
      this.#keyIds.add(stored.keyId);
      this.#checkpoints.set(stored.id, checkpointDigest(stored.document));
      if (document.previous !== null) previous.set(document.previous.id, document.previous.digest);
      this.#checkInstallation(document.installation, `checkpoint ${stored.id}`);
      const { epoch } = document;
      for (const { chain, sequence, hash } of document.heads)
        this.claims.add(chain, { sequence, hash, epoch, kind: 'checkpoint', where: stored.id });
      if (document.anchor !== null) this.named.push({ ...document.anchor, by: `checkpoint ${stored.id}` });
    }
    for (const [id, digest] of previous) {
      if (this.#checkpoints.get(id) !== digest)
        this.findings.add(null, null, `checkpoint ${id} is missing or another than the one after it names`);
    }
  }

  async readGeneses(source: AuditSource): Promise<void> {
    for await (const stored of source.firstRecords()) {
      const content = stored.sequence === 1 ? parseRecord(stored.record) : null;
      const genesis = content?.genesis;
      if (content === null || genesis === undefined) continue;
      const { chain } = stored;
      const { epoch, installation, macTerm } = genesis;
      this.#geneses.set(chain, { installation, macTerm });
      this.#checkInstallation(genesis.installation, `chain ${chain}`);
      const known = this.#restores.get(epoch);
      if (known === undefined || chain < known.chain) this.#restores.set(epoch, { chain, at: content.at, lost: [] });
      for (const { chain: linked, sequence, hash } of genesis.heads)
        this.claims.add(linked, { sequence, hash, epoch, kind: 'genesis', where: chain });
      if (genesis.checkpoint !== null && this.#checkpoints.get(genesis.checkpoint.id) !== genesis.checkpoint.digest)
        this.findings.add(chain, 1, `it links to checkpoint ${genesis.checkpoint.id}, which is missing or another`);
      if (genesis.anchor !== null) this.named.push({ ...genesis.anchor, by: `the first record of chain ${chain}` });
    }
    // The first epoch is the installation's beginning, not a restore.
    this.#restores.delete(Math.min(...this.#restores.keys()));
  }

  async readRecords(source: AuditSource): Promise<void> {
    const heads = new Map<string, { readonly sequence: number; readonly hash: string }>();
    for await (const head of source.chains()) heads.set(head.chain, head);
    const context: ChainContext = { findings: this.findings, checkpoints: this.#checkpoints, macKeys: this.#macKeys };
    let check: ChainCheck | null = null;
    for await (const stored of source.records()) {
      if (check === null || check.chain !== stored.chain) {
        if (check !== null) this.#endChain(check, heads);
        check = new ChainCheck(stored.chain, this.claims.of(stored.chain), this.#geneses.get(stored.chain), context);
        if (this.#ends.has(stored.chain))
          this.findings.add(stored.chain, stored.sequence, 'it is out of order: other chains lie between');
      }
      check.read(stored);
      this.#records += 1;
    }
    if (check !== null) this.#endChain(check, heads);
    for (const [chain, head] of heads) {
      if (this.#ends.has(chain)) continue;
      this.findings.add(chain, 1, `the whole chain is missing; its head is ${head.sequence}`);
      this.#ends.set(chain, { head: 0, signedTo: 0, linked: null });
    }
  }

  #endChain(check: ChainCheck, heads: ReadonlyMap<string, { readonly sequence: number; readonly hash: string }>): void {
    const { chain } = check;
    const listed = heads.get(chain);
    if (listed === undefined) this.findings.add(chain, null, 'it is not in the list of chains');
    else if (listed.sequence > check.head)
      this.findings.add(chain, check.head + 1, `it is missing: the list of chains names sequence ${listed.sequence}`);
    else if (listed.sequence < check.head)
      this.findings.add(chain, listed.sequence + 1, 'the list of chains ends the chain before it');
    else if (listed.hash !== check.headHash)
      this.findings.add(chain, check.head, 'the list of chains has another hash for it');
    if (check.hasMacKey) this.#chainsWithMac += 1;
    else if (this.#isKeyringComplete)
      this.findings.add(chain, 1, 'its MACs are of a key that the keyring does not have');
    this.#ends.set(chain, { head: check.head, signedTo: check.signedTo, linked: check.linked });
    this.#judgeUnmet(chain, check.head, check.unmet);
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
      checkpoints: this.#checkpoints.size,
      anchorLines: this.anchorCheck.lines,
      macs: this.#chainsWithMac === 0 ? 'unchecked' : this.#chainsWithMac === chains ? 'checked' : 'partly',
      firstBad: bad[0] ?? null,
      bad,
      badCount: this.findings.count,
      unprotectedWindow: this.windows.list(),
      restores: [...this.#restores]
        .sort(([a], [b]) => a - b)
        .map(([epoch, { chain, at, lost }]): Restore => ({ chain, epoch, at, lost })),
      keyIds: [...new Set([...this.#keyIds, ...this.anchorCheck.keyIds])].sort(),
    };
  }

  #checkInstallation(installation: string, by: string): void {
    this.#installation ??= installation;
    if (installation !== this.#installation)
      this.findings.add(null, null, `${by} belongs to another installation (${installation})`);
  }
}
