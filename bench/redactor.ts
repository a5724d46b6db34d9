import { createRedactor, type NamedValue, type Redactor } from '../packages/redactor/src/index.ts';
import { type BenchRow, printRows } from './row.ts';

const MEBIBYTE = 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
const RUNS = 3;

/** Deterministic, so that two runs measure the same text (Numerical Recipes' linear congruential generator). */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const pick = (random: (below: number) => number, alphabet: string, length: number): string =>
  Array.from({ length }, () => alphabet.charAt(random(alphabet.length))).join('');

/** Values as launches have them: passwords, hex and base64 keys, connection strings, JWT-like tokens, some short ones. */
function generateValues(count: number): NamedValue[] {
  const random = createRandom(7);
  const kinds: (() => string)[] = [
    () => pick(random, `${ALPHANUMERIC}!#%&()*+,-./:;<=>?@[]^_{|}~`, 8 + random(24)),
    () => pick(random, '0123456789abcdef', 32 + random(33)),
    () => pick(random, `${ALPHANUMERIC}+/`, 43),
    () => `jdbc:postgresql://db${random(90)}.internal:5432/app?user=svc&password=${pick(random, ALPHANUMERIC, 20)}`,
    () => `eyJhbGciOiJSUzI1NiJ9.${pick(random, `${ALPHANUMERIC}-_`, 120)}`,
    () => pick(random, ALPHANUMERIC, 20),
  ];
  return Array.from({ length: count }, (_, index) => {
    const isShort = index % 50 === 49;
    const text = isShort ? pick(random, ALPHANUMERIC, 6) : (kinds[index % kinds.length]?.() ?? '');
    return { name: `VALUE_${index}`, value: new TextEncoder().encode(text) };
  });
}

/** Log lines of the kinds Spark, a web service and a shell print, with a value every thousand lines. */
function generateLog(byteLength: number, values: readonly NamedValue[]): Buffer {
  const random = createRandom(11);
  const hex = (length: number): string => pick(random, '0123456789abcdef', length);
  const time = (): string =>
    `2026-03-${10 + random(20)}T${10 + random(14)}:${10 + random(50)}:${10 + random(50)}.${100 + random(900)}Z`;
  const kinds: (() => string)[] = [
    () =>
      `${time()} INFO TaskSetManager: Finished task ${random(900)}.0 in stage ${random(40)}.0 (TID ${random(99_999)}) in ${random(5000)} ms on executor-${random(64)} (${random(200)}/200)`,
    () =>
      `${time()} INFO BlockManagerInfo: Added broadcast_${random(90)}_piece0 in memory on 10.0.${random(250)}.${random(250)}:${30_000 + random(9999)} (size: ${random(900)}.3 KiB, free: 434.4 MiB)`,
    () =>
      `{"level":"info","time":"${time()}","request_id":"${hex(8)}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(12)}","method":"GET","path":"/v1/domains/finance/jobs/${hex(8)}","status":200,"duration_ms":${random(300)}}`,
    () =>
      `${time()} WARN org.apache.hadoop.fs.s3a.S3AInputStream: Reading s3a://lake/warehouse/events/dt=2026-03-${10 + random(20)}/part-${10_000 + random(80_000)}-${hex(32)}.snappy.parquet took ${random(900)} ms`,
    () =>
      '\tat org.apache.spark.sql.execution.datasources.FileFormatWriter$.executeTask(FileFormatWriter.scala:' +
      `${random(400)})`,
    () =>
      `Downloading https://repo.example.org/packages/numpy-1.${random(30)}.${random(9)}-cp312-manylinux_x86_64.whl (${random(60)}.1 MB)`,
    () => `sha256:${hex(64)} ${pick(random, ALPHANUMERIC, 12)}== layer ${random(30)} pulled`,
  ];
  const block = Array.from({ length: 20_000 }, (_, index) => {
    const line = kinds[random(kinds.length)]?.() ?? '';
    const planted = values[random(values.length)]?.value ?? new Uint8Array();
    const encoding = (['utf8', 'base64', 'hex'] as const)[random(3)];
    return index % 1000 === 999 ? `${line} ${Buffer.from(planted).toString(encoding)}` : line;
  }).join('\n');
  return Buffer.alloc(byteLength, `${block}\n`);
}

/** Processor time, so that other work on the machine doesn't count. */
function processorSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** Redacts the text in chunks, as a pipe delivers it. */
function redact(redactor: Redactor, text: Buffer): void {
  const stream = redactor.stream();
  let outputBytes = 0;
  for (let at = 0; at < text.length; at += CHUNK_BYTES) {
    outputBytes += stream.push(text.subarray(at, at + CHUNK_BYTES)).length;
  }
  outputBytes += stream.end().length;
  if (outputBytes === 0) throw new Error('The redactor returned nothing');
}

/** Eight runs over an eighth of the text and one over all of it take turns; the best of each counts. */
function measureText(label: string, redactor: Redactor, text: Buffer, goalMegabytes: number): BenchRow[] {
  const eighth = text.subarray(0, text.length / 8);
  redact(redactor, eighth);
  let small = Number.POSITIVE_INFINITY;
  let large = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run++) {
    const eight = processorSeconds(() => {
      for (let part = 0; part < 8; part++) redact(redactor, eighth);
    });
    small = Math.min(small, eight / 8);
    large = Math.min(
      large,
      processorSeconds(() => redact(redactor, text)),
    );
  }
  const megabytes = text.length / 1e6 / large;
  const growth = Math.log(large / small) / Math.log(8);
  return [
    {
      name: `redaction, ${label}`,
      value: megabytes,
      unit: 'MB/s',
      goal: `≥ ${goalMegabytes}`,
      met: megabytes >= goalMegabytes,
    },
    {
      name: `redaction, ${label}: growth of time over 8 → 64 MiB`,
      value: growth,
      unit: 'exponent',
      goal: '≤ 1.10',
      met: growth <= 1.1,
    },
  ];
}

/** Values that share prefixes and are inside each other, and text that nearly matches everywhere. */
function adversarialCases(): [label: string, values: NamedValue[], text: Buffer][] {
  const named = (texts: string[]): NamedValue[] =>
    texts.map((text, index) => ({ name: `VALUE_${index}`, value: new TextEncoder().encode(text) }));
  const size = 64 * MEBIBYTE;
  const periodic = named(Array.from({ length: 200 }, (_, index) => `${'a'.repeat(8 + index)}b`));
  return [
    ['values a…ab, text aaaa…', periodic, Buffer.alloc(size, 'a')],
    ['value a…a, text aaaa…', named(['a'.repeat(64)]), Buffer.alloc(size, 'a')],
    [
      '1,000 values with one prefix, text of prefixes',
      named(Array.from({ length: 1000 }, (_, index) => `postgres://service:password-${index}@db`)),
      Buffer.alloc(size, 'postgres://service:password-'),
    ],
  ];
}

export async function run(): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const count of [1000, 10]) {
    const values = generateValues(count);
    let redactor = createRedactor([]);
    const buildMilliseconds = 1000 * processorSeconds(() => (redactor = createRedactor(values)));
    const indexMebibytes = redactor.indexBytes / MEBIBYTE;
    rows.push(
      ...measureText(`${count} values, ordinary log`, redactor, generateLog(64 * MEBIBYTE, values), 200),
      {
        name: `redaction, ${count} values: index`,
        value: indexMebibytes,
        unit: 'MiB',
        goal: '≤ 64',
        met: indexMebibytes <= 64,
      },
      {
        name: `redaction, ${count} values: first build`,
        value: buildMilliseconds,
        unit: 'ms',
        goal: '≤ 1000',
        met: buildMilliseconds <= 1000,
      },
    );
    redactor.dispose();
  }
  for (const [label, values, text] of adversarialCases()) {
    const redactor = createRedactor(values);
    rows.push(...measureText(label, redactor, text, 10));
    redactor.dispose();
  }
  return rows;
}

if (import.meta.main) printRows(await run());
