import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LogSnapshot, TestLog, verifyLog } from '../../testing/audit-log.ts';
import { segmentName } from './segment-document.ts';
import { segmentFiles } from './segment-file.ts';
import type { StoredRecord } from './source.ts';

type Step = 'commit' | 'restart' | 'checkpoint' | 'snapshot' | 'archive';

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<Step>('commit') },
    { weight: 2, arbitrary: fc.constantFrom<Step>('restart', 'checkpoint', 'snapshot', 'archive') },
  ),
  { minLength: 3, maxLength: 14 },
);
const logs: TestLog[] = [];

/** The finished log and what it was like at some earlier moment. */
async function play(
  sequence: readonly Step[],
): Promise<{ readonly taken: LogSnapshot; readonly older: LogSnapshot; readonly archivePath: string }> {
  const log = new TestLog();
  logs.push(log);
  log.commit(2);
  let older = log.snapshot();
  for (const [index, step] of sequence.entries()) {
    if (step === 'commit') log.commit((index % 3) + 1);
    else if (step === 'restart') log.restart();
    else if (step === 'checkpoint') log.checkpoint();
    else if (step === 'archive') await log.archive();
    else older = log.snapshot();
  }
  log.commit(1);
  return { taken: log.snapshot(), older, archivePath: log.archivePath };
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

/** Fitted to the records that are left; of a chain without any, what it was. */
function headsOf({ heads, records: all }: LogSnapshot, records: readonly StoredRecord[]): LogSnapshot['heads'] {
  return heads.flatMap((head) => {
    const last = records.findLast(({ chain }) => chain === head.chain);
    if (last !== undefined)
      return [{ chain: head.chain, sequence: last.sequence, hash: Buffer.from(last.hash).toString('hex') }];
    return all.some(({ chain }) => chain === head.chain) ? [] : [head];
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
      return { ...log, records, heads: headsOf(log, records) };
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
      return { ...log, records, heads: headsOf(log, records) };
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
      return { ...log, records, heads: headsOf(log, records) };
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

/** Logs with an archive of two segments and more. */
const archivedSteps = steps.map((sequence): Step[] => [
  ...(['checkpoint', 'commit', 'checkpoint', 'archive'] as const),
  ...sequence,
  ...(['checkpoint', 'commit', 'restart', 'checkpoint', 'archive'] as const),
]);

interface ArchiveTampering {
  readonly name: string;
  /** Somebody who can write the archive changes files of segments, by name. */
  readonly apply: (directory: string, names: readonly string[], pick: number) => void;
}

function rewrite(path: string, by: (bytes: Buffer) => Uint8Array): void {
  writeFileSync(path, by(readFileSync(path)));
}

function exchange(a: string, b: string): void {
  const bytes = readFileSync(a);
  writeFileSync(a, readFileSync(b));
  writeFileSync(b, bytes);
}

const archiveTamperings: readonly ArchiveTampering[] = [
  {
    name: 'flip a bit of a file',
    apply: (directory, names, pick) =>
      rewrite(segmentFiles(directory, at(names, pick)).data, (bytes) => flip(bytes, (pick * 7) % 1)),
  },
  {
    name: 'cut a file',
    apply: (directory, names, pick) =>
      rewrite(segmentFiles(directory, at(names, pick)).data, (bytes) =>
        bytes.subarray(0, Math.floor(bytes.length * ((pick * 7) % 1))),
      ),
  },
  {
    name: 'exchange two files',
    apply: (directory, names) =>
      exchange(segmentFiles(directory, names[0]!).data, segmentFiles(directory, names[1]!).data),
  },
  {
    name: 'exchange two segments',
    apply(directory, names) {
      const [a, b] = [segmentFiles(directory, names[0]!), segmentFiles(directory, names[1]!)];
      exchange(a.data, b.data);
      exchange(a.mark, b.mark);
    },
  },
  {
    name: 'put one segment in the place of another',
    apply(directory, names) {
      const [a, b] = [segmentFiles(directory, names[0]!), segmentFiles(directory, names[1]!)];
      copyFileSync(a.data, b.data);
      copyFileSync(a.mark, b.mark);
    },
  },
  {
    name: 'copy a segment under the next number',
    apply(directory, names) {
      const [a, b] = [segmentFiles(directory, names[0]!), segmentFiles(directory, 'audit-1-000099')];
      copyFileSync(a.data, b.data);
      copyFileSync(a.mark, b.mark);
    },
  },
  { name: 'remove a file', apply: (directory, names, pick) => rmSync(segmentFiles(directory, at(names, pick)).data) },
  {
    name: 'remove a mark but the last',
    apply: (directory, names, pick) => rmSync(segmentFiles(directory, at(names.slice(0, -1), pick)).mark),
  },
  {
    name: 'edit a mark',
    apply: (directory, names, pick) =>
      rewrite(segmentFiles(directory, at(names, pick)).mark, (bytes) =>
        Buffer.from(bytes.toString().replace(/(?<="document":".{20})./, (letter) => (letter === 'A' ? 'B' : 'A'))),
      ),
  },
];

const markTamperings: readonly Tampering[] = [
  {
    name: 'remove a mark',
    apply: (log, _, pick) => ({ ...log, segments: log.segments.filter((mark) => mark !== at(log.segments, pick)) }),
  },
  {
    name: 'edit a mark',
    apply: (log, _, pick) => {
      const mark = at(log.segments, pick);
      return {
        ...log,
        segments: log.segments.map((each) =>
          each === mark ? { ...mark, document: flip(mark.document, (pick * 7) % 1) } : each,
        ),
      };
    },
  },
  {
    name: 'exchange two marks',
    apply: (log) => {
      const [a, b, ...rest] = log.segments;
      return { ...log, segments: [{ ...b!, number: 1 }, { ...a!, number: 2 }, ...rest] };
    },
  },
  {
    name: 'put a statement of another kind in the place of a mark',
    apply: (log, _, pick) => {
      const [checkpoint] = log.checkpoints;
      const mark = at(log.segments, pick);
      const { document, signature, keyId } = checkpoint!;
      return {
        ...log,
        segments: log.segments.map((each) => (each === mark ? { ...mark, document, signature, keyId } : each)),
      };
    },
  },
];

describe('a tampered archive', () => {
  const played: { readonly taken: LogSnapshot; readonly older: LogSnapshot; readonly archivePath: string }[] = [];
  const anyLog = fc.nat({ max: 2 }).map((index) => played[index]!);
  const anyPick = fc.double({ min: 0, max: 1, noNaN: true });
  beforeAll(async () => {
    for (const sequence of fc.sample(archivedSteps, 3)) played.push(await play(sequence));
  });

  it('verifies before, with the log and alone', async () => {
    for (const { taken, archivePath } of played) {
      expect(taken.segments.length).toBeGreaterThanOrEqual(2);
      expect((await verifyLog(taken)).bad).toEqual([]);
      expect((await verifyLog(taken, { archives: [archivePath] })).bad).toEqual([]);
      expect((await verifyLog(taken, { archives: [archivePath], openSource: null })).bad).toEqual([]);
    }
  });

  it.each(archiveTamperings)('is found: $name', async ({ apply }) => {
    await fc.assert(
      fc.asyncProperty(anyLog, anyPick, async ({ taken, archivePath }, pick) => {
        const copy = mkdtempSync(`${archivePath}-`);
        cpSync(archivePath, copy, { recursive: true });
        const names = taken.segments.map((_, index) => segmentName({ epoch: 1, number: index + 1 }));
        apply(copy, names, pick);
        const report = await verifyLog(taken, { archives: [copy] });
        expect(report.ok).toBe(false);
        expect(report.firstBad).not.toBeNull();
        // That the newest segment is gone is what the archive alone can't show.
        expect((await verifyLog(taken, { archives: [copy], openSource: null })).ok).toBe(false);
      }),
      { numRuns: 8 },
    );
  });

  it.each(markTamperings)('is found in the database: $name', async ({ apply }) => {
    await fc.assert(
      fc.asyncProperty(anyLog, anyPick, async ({ taken, older, archivePath }, pick) => {
        const tampered = apply(taken, older, pick);
        expect((await verifyLog(tampered)).ok).toBe(false);
        expect((await verifyLog(tampered, { archives: [archivePath] })).ok).toBe(false);
      }),
      { numRuns: 8 },
    );
  });
});

describe('a tampered log', () => {
  it('verifies before it is tampered with', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const { taken, archivePath } = await play(sequence);
        expect((await verifyLog(taken, { hasMacKey: true })).bad).toEqual([]);
        const archives = taken.segments.length > 0 ? [archivePath] : [];
        expect((await verifyLog(taken, { hasMacKey: true, archives })).bad).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });

  it.each(tamperings)('is found: $name', async ({ apply, name }) => {
    await fc.assert(
      fc.asyncProperty(steps, fc.double({ min: 0, max: 1, noNaN: true }), async (sequence, pick) => {
        const { taken, older } = await play(sequence);
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
