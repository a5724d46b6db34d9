import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSigningKey } from '@strongroom/crypto';
import { type LogSnapshot, TestLog, verifyLog } from '../../testing/audit-log.ts';
import { createRecordHash, noPreviousHash } from './record.ts';
import type { StoredRecord } from './source.ts';

let log: TestLog;
beforeEach(() => {
  log = new TestLog();
});
afterEach(() => log.remove());

/** Three chains: one of a process that was killed, one that ended in order, the present one. */
function write(): {
  readonly first: string;
  readonly second: string;
  readonly third: string;
  readonly taken: LogSnapshot;
} {
  log.commit(3);
  log.commit(2);
  const first = log.chainId;
  log.checkpoint();
  log.commit(2, { isKilled: true });
  log.restart();
  const second = log.chainId;
  log.commit(4);
  log.checkpoint();
  log.restart();
  log.commit(1);
  log.commit(3);
  return { first, second, third: log.chainId, taken: log.snapshot() };
}

function recordAt(snapshot: LogSnapshot, chain: string, sequence: number): StoredRecord {
  const found = snapshot.records.find((record) => record.chain === chain && record.sequence === sequence);
  if (found === undefined) throw new Error('no such record');
  return found;
}

function replace(snapshot: LogSnapshot, old: StoredRecord, by: Partial<StoredRecord> | null): LogSnapshot {
  const records = snapshot.records.flatMap((record) =>
    record !== old ? [record] : by === null ? [] : [{ ...record, ...by }],
  );
  return { ...snapshot, records };
}

/** What an attacker without keys can make consistent: every hash and the list of heads. */
function rehash(snapshot: LogSnapshot, chain: string): LogSnapshot {
  const hashRecord = createRecordHash(chain);
  let previous: Uint8Array = noPreviousHash;
  let sequence = 0;
  const records = snapshot.records.map((record) => {
    if (record.chain !== chain) return record;
    sequence += 1;
    previous = hashRecord(sequence, previous, record.record);
    return { ...record, sequence, hash: previous };
  });
  const hash = Buffer.from(previous).toString('hex');
  const heads = snapshot.heads.map((head) => (head.chain === chain ? { chain, sequence, hash } : head));
  return { ...snapshot, records, heads };
}

describe('a log nobody touched', () => {
  it('verifies, and says what only an anchor kept elsewhere could prove', async () => {
    const { taken } = write();
    const report = await verifyLog(taken, { hasMacKey: true });
    expect(report.bad).toEqual([]);
    expect(report).toMatchObject({
      ok: true,
      installation: 'ins_test',
      chains: 3,
      records: 17,
      checkpoints: 2,
      macs: 'checked',
      firstBad: null,
      restores: [],
    });
    expect(report.keyIds).toHaveLength(1);
    expect(report.unprotectedWindow).toEqual([
      { from: null, to: null, why: expect.stringContaining('rolled back together') },
    ]);
  });

  it('is covered whole by a copy of the anchor kept elsewhere', async () => {
    const { taken } = write();
    const report = await verifyLog(taken, { outside: taken.anchor });
    expect(report).toMatchObject({ ok: true, unprotectedWindow: [], macs: 'unchecked' });
  });

  it('names what came after the newest statement kept elsewhere', async () => {
    const { taken, third } = write();
    const report = await verifyLog(taken, { outside: taken.anchor.slice(0, -1) });
    expect(report.unprotectedWindow).toEqual([
      { from: { chain: third, sequence: 2 }, to: null, why: expect.stringContaining('the newest is of 2025-01-01T') },
    ]);
  });

  it('does not call lines that a collector lost a cut', async () => {
    const { taken } = write();
    const report = await verifyLog(taken, { outside: taken.anchor.filter((_, index) => index % 2 === 1) });
    expect(report.ok).toBe(true);
  });

  it('shows the records between a commit and its anchor line as unsigned', async () => {
    log.commit(2);
    log.commit(3, { isKilled: true });
    const report = await verifyLog(log.snapshot());
    expect(report).toMatchObject({ ok: true });
    expect(report.unprotectedWindow[0]).toMatchObject({
      from: { chain: log.chainId, sequence: 3 },
      to: { sequence: 5 },
    });
  });

  it('is empty before the first record', async () => {
    const empty = { records: [], heads: [], checkpoints: [], segments: [], anchor: [] };
    expect(await verifyLog(empty)).toMatchObject({ ok: true, records: 0, chains: 0, macs: 'unchecked' });
  });
});

describe('what is found, by its first bad sequence', () => {
  it('an edited record', async () => {
    const { taken, second } = write();
    const old = recordAt(taken, second, 3);
    const record = Buffer.from(Buffer.from(old.record).toString().replace('user:ann', 'user:bob'));
    const report = await verifyLog(replace(taken, old, { record }));
    expect(report).toMatchObject({
      ok: false,
      firstBad: { chain: second, sequence: 3, why: expect.stringContaining('changed') },
    });
  });

  it('a deleted record', async () => {
    const { taken, first } = write();
    const report = await verifyLog(replace(taken, recordAt(taken, first, 2), null));
    expect(report.firstBad).toEqual({ chain: first, sequence: 2, why: 'it is missing' });
  });

  it('reordered records', async () => {
    const { taken, first } = write();
    const [a, b] = [recordAt(taken, first, 2), recordAt(taken, first, 4)];
    const swapped = replace(replace(taken, a, { record: b.record, columns: b.columns! }), b, {
      record: a.record,
      columns: a.columns!,
    });
    expect(await verifyLog(swapped)).toMatchObject({ firstBad: { chain: first, sequence: 2 }, badCount: 2 });
  });

  it('a cut tail, the list of chains adjusted', async () => {
    const { taken, third } = write();
    const last = recordAt(taken, third, 3);
    const cut = {
      ...replace(taken, recordAt(taken, third, 4), null),
      heads: taken.heads.map((head) =>
        head.chain === third ? { ...head, sequence: 3, hash: Buffer.from(last.hash).toString('hex') } : head,
      ),
    };
    const report = await verifyLog(cut);
    expect(report.firstBad).toEqual({
      chain: third,
      sequence: 4,
      why: expect.stringContaining('the anchor (audit.anchor, line'),
    });
  });

  it('a record spliced from another chain', async () => {
    const { taken, first, second } = write();
    const other = recordAt(taken, first, 2);
    const spliced = replace(taken, recordAt(taken, second, 2), {
      record: other.record,
      hash: other.hash,
      mac: other.mac,
      columns: other.columns!,
    });
    expect((await verifyLog(spliced)).firstBad).toMatchObject({ chain: second, sequence: 2 });
  });

  it('a record removed and everything hashed anew', async () => {
    const { taken, first } = write();
    const rewritten = rehash(replace(taken, recordAt(taken, first, 2), null), first);
    const report = await verifyLog(rewritten);
    expect(report.firstBad).toMatchObject({
      chain: first,
      sequence: 3,
      why: expect.stringContaining('rewritten somewhere from 1 on'),
    });
    expect((await verifyLog(rewritten, { hasMacKey: true })).firstBad).toMatchObject({
      chain: first,
      sequence: 2,
      why: 'its MAC is not valid',
    });
  });

  it('a forged record after the last signed one, with the MAC key only', async () => {
    log.commit(2);
    const [chain, taken] = [log.chainId, log.snapshot()];
    const forged = rehash(
      { ...taken, records: [...taken.records, { ...recordAt(taken, chain, 2), sequence: 3 }] },
      chain,
    );
    const report = await verifyLog(forged);
    expect(report).toMatchObject({
      ok: true,
      unprotectedWindow: [{ from: { chain, sequence: 3 }, to: { chain, sequence: 3 } }, {}],
    });
    expect((await verifyLog(forged, { hasMacKey: true })).firstBad).toMatchObject({ chain, sequence: 3 });
  });

  it('an older database beside the present anchor', async () => {
    log.commit(2);
    const chain = log.chainId;
    const older = log.snapshot();
    log.commit(2);
    const report = await verifyLog({ ...older, anchor: log.snapshot().anchor });
    expect(report.firstBad).toEqual({
      chain,
      sequence: 3,
      why: 'it is missing: the anchor (audit.anchor, line 2) names sequence 4',
    });
  });

  it('database and anchor rolled back together, when a copy was kept elsewhere', async () => {
    log.commit(2);
    const older = log.snapshot();
    log.commit(2);
    const { anchor } = log.snapshot();
    expect(await verifyLog(older)).toMatchObject({ ok: true });
    expect((await verifyLog(older, { outside: anchor })).firstBad).toMatchObject({ chain: log.chainId, sequence: 3 });
  });

  it('a whole chain dropped, with every trace of it in the list and the anchor', async () => {
    const { taken, second } = write();
    const dropped = {
      ...taken,
      records: taken.records.filter((record) => record.chain !== second),
      heads: taken.heads.filter((head) => head.chain !== second),
      anchor: taken.anchor.filter((line) => !line.includes(second)),
    };
    const report = await verifyLog(dropped);
    expect(report.bad).toContainEqual({ chain: second, sequence: 1, why: expect.stringContaining('is missing: ') });
  });

  it('a cut anchor, by what names its later lines', async () => {
    const { taken } = write();
    const report = await verifyLog({ ...taken, anchor: taken.anchor.slice(0, 3) });
    expect(report.bad.map(({ why }) => why)).toContainEqual(
      expect.stringMatching(/^the anchor was cut: it ends at line 3, and .* names line \d+$/),
    );
  });

  it('a removed anchor', async () => {
    const { taken } = write();
    expect((await verifyLog({ ...taken, anchor: [] })).bad[0]!.why).toMatch(/^the anchor is missing/);
    // Without the anchor of every replica nobody can say so.
    const report = await verifyLog({ ...taken, anchor: [] }, { isAnchorComplete: false });
    expect(report.ok).toBe(true);
    expect(report.unprotectedWindow.map(({ why }) => why)).toContainEqual(
      expect.stringContaining('are not in the anchors given'),
    );
  });

  it('a changed, a removed and a foreign anchor line', async () => {
    const { taken } = write();
    const edited = taken.anchor.with(1, taken.anchor[1]!.replace(/"sequence":\d+/, '"sequence":1'));
    expect((await verifyLog({ ...taken, anchor: edited })).bad.map(({ why }) => why)).toContainEqual(
      'line 2 of the anchor audit.anchor has no valid signature',
    );
    expect((await verifyLog({ ...taken, anchor: taken.anchor.toSpliced(1, 1) })).bad[0]!.why).toContain(
      'goes from line 1 to line 3',
    );
    const report = await verifyLog(taken, { publicKeys: [createSigningKey().publicKey] });
    expect(report.bad.some(({ why }) => why.includes('which was not given'))).toBe(true);
  });

  it('a removed and an edited checkpoint', async () => {
    const { taken, second } = write();
    const [one, two] = taken.checkpoints;
    expect((await verifyLog({ ...taken, checkpoints: [two!] })).badCount).toBeGreaterThan(0);
    // The newest is named by its own record.
    expect((await verifyLog({ ...taken, checkpoints: [one!] })).firstBad).toMatchObject({
      chain: second,
      why: expect.stringContaining('checkpoint'),
    });
    const document = Buffer.from(Buffer.from(two!.document).toString().replace('"epoch":1', '"epoch":2'));
    expect(
      (await verifyLog({ ...taken, checkpoints: [one!, { ...two!, document }] })).bad.map(({ why }) => why),
    ).toContainEqual(`checkpoint ${two!.id}: its signature is not valid`);
  });

  it('something else that the key signed, in the place of a checkpoint', async () => {
    const { taken } = write();
    const line = taken.anchor[0]!;
    const at = line.lastIndexOf(',"signature":"');
    const forged = {
      ...taken.checkpoints[0]!,
      document: Buffer.from(line.slice(0, at)),
      signature: Buffer.from(line.slice(at + 14, -2), 'base64url'),
    };
    const report = await verifyLog({ ...taken, checkpoints: [forged, taken.checkpoints[1]!] });
    expect(report.bad.map(({ why }) => why)).toContainEqual(`checkpoint ${forged.id}: it is no checkpoint`);
    const segments = [{ number: 1, document: forged.document, signature: forged.signature, keyId: forged.keyId }];
    expect((await verifyLog({ ...taken, segments })).bad.map(({ why }) => why)).toContainEqual(
      'the mark of segment 1: it is no mark of a segment',
    );
  });

  it('a column for filtering that hides a record', async () => {
    const { taken, first } = write();
    const old = recordAt(taken, first, 4);
    const report = await verifyLog(replace(taken, old, { columns: { ...old.columns!, scopeId: 'dom_other' } }));
    expect(report.firstBad).toMatchObject({ chain: first, sequence: 4, why: expect.stringContaining('columns') });
  });

  it('a record that is no JSON any more, without stopping', async () => {
    const { taken, first } = write();
    const report = await verifyLog(
      replace(taken, recordAt(taken, first, 2), { record: Uint8Array.from([0xff, 0x0a, 0x7b]) }),
    );
    expect(report.bad).toEqual([
      { chain: first, sequence: 2, why: 'the record, its place or its hash was changed' },
      { chain: first, sequence: 2, why: 'it is not readable as a record' },
    ]);
  });
});

describe('a restore', () => {
  it('is reported with what the backup did not have, and is no fault', async () => {
    log.commit(2);
    const first = log.chainId;
    log.checkpoint();
    const backup = log.size;
    log.commit(2);
    log.restart();
    const lostChain = log.chainId;
    log.commit(3);
    log.restore(backup);
    log.commit(1);
    const report = await verifyLog(log.snapshot());
    expect(report.bad).toEqual([]);
    expect(report.restores).toEqual([
      {
        chain: log.chainId,
        epoch: 2,
        at: expect.stringMatching(/^2025-/),
        lost: [
          {
            from: { chain: first, sequence: 4 },
            to: { chain: first, sequence: 5 },
            why: 'the backup did not have them',
          },
          {
            from: { chain: lostChain, sequence: 1 },
            to: { chain: lostChain, sequence: 3 },
            why: 'the backup did not have them',
          },
        ],
      },
    ]);
  });

  it('does not excuse a cut below what was restored', async () => {
    log.commit(4);
    const [first, backup] = [log.chainId, log.size];
    log.commit(2);
    log.restore(backup);
    log.commit(1);
    const taken = log.snapshot();
    const third = recordAt(taken, first, 3);
    const cut = {
      ...replace(taken, recordAt(taken, first, 4), null),
      heads: taken.heads.map((head) =>
        head.chain === first ? { ...head, sequence: 3, hash: Buffer.from(third.hash).toString('hex') } : head,
      ),
    };
    expect((await verifyLog(cut)).firstBad).toMatchObject({ chain: first, sequence: 4 });
  });
});
