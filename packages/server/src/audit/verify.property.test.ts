import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { type LogSnapshot, TestLog, verifyLog } from '../../testing/audit-log.ts';
import type { StoredRecord } from './source.ts';

type Step = 'commit' | 'restart' | 'checkpoint' | 'snapshot';

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<Step>('commit') },
    { weight: 1, arbitrary: fc.constantFrom<Step>('restart', 'checkpoint', 'snapshot') },
  ),
  { minLength: 3, maxLength: 14 },
);
const logs: TestLog[] = [];

/** The finished log and what it was like at some earlier moment. */
function play(sequence: readonly Step[]): { readonly taken: LogSnapshot; readonly older: LogSnapshot } {
  const log = new TestLog();
  logs.push(log);
  log.commit(2);
  let older = log.snapshot();
  for (const [index, step] of sequence.entries()) {
    if (step === 'commit') log.commit((index % 3) + 1);
    else if (step === 'restart') log.restart();
    else if (step === 'checkpoint') log.checkpoint();
    else older = log.snapshot();
  }
  log.commit(1);
  return { taken: log.snapshot(), older };
}

interface Tampering {
  readonly name: string;
  /** Somebody without keys changes one thing; `pick` chooses which, from 0 to 1. */
  readonly apply: (log: LogSnapshot, older: LogSnapshot, pick: number) => LogSnapshot;
}

function at<T>(items: readonly T[], pick: number): T {
  return items[Math.min(items.length - 1, Math.floor(pick * items.length))]!;
}

function flip(bytes: Uint8Array, pick: number): Uint8Array {
  const flipped = Uint8Array.from(bytes);
  const index = Math.min(bytes.length - 1, Math.floor(pick * bytes.length));
  flipped[index] = flipped[index]! ^ 1;
  return flipped;
}

function change(log: LogSnapshot, record: StoredRecord, by: Partial<StoredRecord>): LogSnapshot {
  return { ...log, records: log.records.map((each) => (each === record ? { ...each, ...by } : each)) };
}

function headsOf(records: readonly StoredRecord[]): LogSnapshot['heads'] {
  return [...Map.groupBy(records, (record) => record.chain).values()].map((chain) => {
    const { chain: id, sequence, hash } = chain.at(-1)!;
    return { chain: id, sequence, hash: Buffer.from(hash).toString('hex') };
  });
}

const content = ({ record, hash, mac, columns }: StoredRecord): Partial<StoredRecord> => ({
  record,
  hash,
  mac,
  ...(columns && { columns }),
});

const tamperings: readonly Tampering[] = [
  {
    name: 'flip a bit of a record',
    apply: (log, _, pick) => {
      const record = at(log.records, pick);
      return change(log, record, { record: flip(record.record, (pick * 7) % 1) });
    },
  },
  {
    name: 'flip a bit of a hash',
    apply: (log, _, pick) => {
      const record = at(log.records, pick);
      return change(log, record, { hash: flip(record.hash, (pick * 7) % 1) });
    },
  },
  {
    name: 'flip a bit of a MAC',
    apply: (log, _, pick) => {
      const record = at(log.records, pick);
      return change(log, record, { mac: flip(record.mac, (pick * 7) % 1) });
    },
  },
  {
    name: 'change a column',
    apply: (log, _, pick) => {
      const record = at(log.records, pick);
      return change(log, record, { columns: { ...record.columns!, principalId: 'usr_other' } });
    },
  },
  {
    name: 'delete',
    apply: (log, _, pick) => {
      const record = at(log.records, pick);
      const records = log.records.filter((each) => each !== record);
      return { ...log, records, heads: headsOf(records) };
    },
  },
  {
    name: 'swap',
    apply: (log, _, pick) => {
      const a = at(log.records, pick);
      const b =
        log.records.find((each) => each.chain === a.chain && each !== a) ?? log.records.find((each) => each !== a)!;
      const records = log.records.map((each) =>
        each === a ? { ...a, ...content(b) } : each === b ? { ...b, ...content(a) } : each,
      );
      return { ...log, records };
    },
  },
  {
    name: 'cut the tail',
    apply: (log, _, pick) => {
      const { chain, sequence } = at(log.records, pick);
      const records = log.records.filter((each) => each.chain !== chain || each.sequence < sequence);
      return { ...log, records, heads: headsOf(records) };
    },
  },
  {
    name: 'splice',
    apply: (log, _, pick) => {
      const target = at(log.records, pick);
      return change(
        log,
        target,
        content(
          log.records.find((each) => each !== target && each.sequence === target.sequence) ??
            log.records.find((each) => each !== target)!,
        ),
      );
    },
  },
  {
    name: 'drop a chain',
    apply: (log, _, pick) => {
      const { chain } = at(log.records, pick);
      const records = log.records.filter((each) => each.chain !== chain);
      return { ...log, records, heads: headsOf(records) };
    },
  },
  { name: 'roll the database back', apply: (log, older) => ({ ...older, anchor: log.anchor }) },
  {
    name: 'lower a head',
    apply: (log, _, pick) => {
      const head = at(log.heads, pick);
      return {
        ...log,
        heads: log.heads.map((each) => (each === head ? { ...head, sequence: head.sequence - 1 } : each)),
      };
    },
  },
  {
    name: 'drop a head',
    apply: (log, _, pick) => ({ ...log, heads: log.heads.filter((head) => head !== at(log.heads, pick)) }),
  },
  {
    name: 'remove an anchor line but the last',
    apply: (log, _, pick) => ({
      ...log,
      anchor: log.anchor.toSpliced(Math.floor(pick * (log.anchor.length - 1.001)), 1),
    }),
  },
  {
    name: 'flip a bit of an anchor line but the last',
    apply: (log, _, pick) => {
      const index = Math.floor(pick * (log.anchor.length - 1.001));
      return {
        ...log,
        anchor: log.anchor.with(
          index,
          Buffer.from(flip(Buffer.from(log.anchor[index]!), (pick * 7) % 1)).toString('latin1'),
        ),
      };
    },
  },
];

afterAll(() => {
  for (const log of logs) log.remove();
});

describe('a tampered log', () => {
  it('verifies before it is tampered with', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const { taken } = play(sequence);
        expect((await verifyLog(taken, { hasMacKey: true })).bad).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });

  it.each(tamperings)('is found: $name', async ({ apply, name }) => {
    await fc.assert(
      fc.asyncProperty(steps, fc.double({ min: 0, max: 1, noNaN: true }), async (sequence, pick) => {
        const { taken, older } = play(sequence);
        const tampered = apply(taken, older, pick);
        const report = await verifyLog(tampered, { hasMacKey: name.includes('MAC') });
        // The beginning of an anchor may be in an archive, so its absence is said and no fault.
        const isBeginning =
          name.includes('anchor line') && report.unprotectedWindow.some(({ why }) => why.includes('starts at line 2'));
        expect(isBeginning || report.firstBad !== null).toBe(true);
        expect(report.ok).toBe(report.firstBad === null);
      }),
      { numRuns: 12 },
    );
  });
});
