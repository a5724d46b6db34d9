// How where-used and the drift worklist grow from 10³ to 10⁵ configurations that are all running, in one domain of the embedded store.
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Store } from '../packages/server/src/store/store.ts';
import { openTestStore, type TestStore } from '../packages/server/testing/stores.ts';
import { type Insert, inserter, type Row } from './inserter.ts';
import { median } from './report.ts';
import type { BenchRow } from './row.ts';

const sizes = [1_000, 100_000] as const;
const rounds = 100;
const pageSize = 50;
const domain = 'dom_bench';
const source = 'src_bench';
/** Configurations that share a secret of their own; one secret more is used by all. */
const team = 10;
const everybodys = 'sec_everybodys';
/** Secrets of teams that were rotated since their workloads started. */
const rotatedTeams = 5;

/** Rows as the commands leave them: secrets, configurations with two references each, their live runs and receipts. */
function fill(database: string, count: number): void {
  const db = new DatabaseSync(database, { timeout: 10_000, enableForeignKeyConstraints: false });
  db.exec('pragma synchronous = off; begin immediate');
  const insert = inserter(db);
  const now = Date.now();
  const teams = count / team;
  insert('scopes', { id: domain, kind: 'domain', name: 'bench', created_at: now });
  insert('sources', { id: source, scope_id: domain, name: 'managed', type: 'DATABASE', created_at: now });
  insert('secrets', secretRow(everybodys, 1, 0));
  for (let n = 0; n < teams; n += 1)
    insert('secrets', n < rotatedTeams ? secretRow(teamSecret(n), 2, now) : secretRow(teamSecret(n), 1, 0));
  for (let n = 0; n < count; n += 1) startRun(insert, n, [teamSecret(n % teams), everybodys], now - count + n);
  db.exec('commit; analyze; pragma wal_checkpoint(truncate)');
  db.close();
}

function teamSecret(n: number): string {
  return `sec_team${n}`;
}

function secretRow(id: string, version: number, updatedAt: number): Row {
  return {
    id,
    scope_id: domain,
    source_id: source,
    key: id,
    folded_key: id,
    tags: '[]',
    shape: 'text',
    current_epoch: 1,
    current_version: version,
    keep_versions: 10,
    updated_at: updatedAt,
    revision: 1,
  };
}

/** A configuration that runs with the first version of each of its secrets. */
function startRun(insert: Insert, n: number, secrets: readonly string[], at: number): void {
  const configuration = `cfg_${n}`;
  const launch = `lch_${n}`;
  insert('configurations', {
    id: configuration,
    scope_id: domain,
    surface: 'spark-job',
    name: `job-${n}`,
    document: '{}',
    revision: 1,
    created_at: at,
    updated_at: at,
  });
  insert('launches', {
    id: launch,
    scope_id: domain,
    kind: 'run',
    configuration_id: configuration,
    configuration_revision: 1,
    requested: '[]',
    created_at: at,
    bound_at: at,
  });
  for (const [index, secret] of secrets.entries()) {
    const place = {
      scope_id: domain,
      name: `VARIABLE_${index}`,
      pointer: `/environment/${index}`,
      reference: `secret://domain/managed/${secret}`,
      secret_id: secret,
      target_key: secret,
    };
    insert('uses', {
      ...place,
      configuration_id: configuration,
      target_scope_id: domain,
      target_source_id: source,
      kind: 'reference',
      authorised_at: at,
    });
    insert('receipts', {
      ...place,
      launch_id: launch,
      source_id: source,
      version: '1.1',
      outcome: 'resolved',
      delivered_at: at,
      held: 1,
    });
  }
}

interface World {
  readonly test: TestStore;
  readonly count: number;
}

async function open(count: number): Promise<World> {
  const test = await openTestStore();
  fill(join(test.directory, 'strongroom.db'), count);
  await test.reopen();
  return { test, count };
}

interface Question {
  readonly label: string;
  readonly rows: number;
  readonly ask: (store: Store, count: number) => Promise<readonly unknown[]>;
}

const used = (store: Store, secretId: string) =>
  store.query('secret.usedBy', {
    target: { secretId },
    held: { sourceId: source, key: secretId, kinds: ['cluster'] },
    usesIn: null,
    limit: pageSize,
  });
const drift = (store: Store, filter: { readonly scopeId: string; readonly secretId?: string }) =>
  store.query('launches.drift', { ...filter, includesEnded: false, limit: pageSize });

const questions: readonly Question[] = [
  {
    label: 'where-used of a secret of ten',
    rows: team,
    ask: (store, count) => used(store, teamSecret(randomInt(count / team))),
  },
  { label: 'where-used of everybody’s secret, a page', rows: pageSize, ask: (store) => used(store, everybodys) },
  {
    label: 'drift worklist with fifty outdated workloads',
    rows: team * rotatedTeams,
    ask: (store) => drift(store, { scopeId: domain }),
  },
  {
    label: 'drift of one rotated secret',
    rows: team,
    ask: (store) => drift(store, { scopeId: domain, secretId: teamSecret(0) }),
  },
  {
    label: 'drift of everybody’s secret, which nobody has outdated',
    rows: 0,
    ask: (store) => drift(store, { scopeId: domain, secretId: everybodys }),
  },
  {
    label: 'what the worklist could not look at',
    rows: 0,
    ask: (store) => store.query('launches.unchecked', { scopeId: domain }),
  },
];
const afterwards: Question = {
  label: 'drift worklist, a page, everybody’s secret rotated',
  rows: pageSize,
  ask: (store) => drift(store, { scopeId: domain }),
};

/** Milliseconds in each world, asked in turn, so that whatever else the machine does falls on both. */
async function timed({ label, rows, ask }: Question, worlds: readonly World[]): Promise<number[]> {
  const samples = worlds.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, { test, count }] of worlds.entries()) {
      const started = performance.now();
      const { length } = await ask(test.store, count);
      samples[index]?.push(performance.now() - started);
      if (length !== rows) throw new Error(`${label}: ${length} rows instead of ${rows}`);
    }
  }
  return samples.map(median);
}

function rotate(database: string, secret: string): void {
  const db = new DatabaseSync(database, { timeout: 10_000 });
  db.prepare('update secrets set current_version = 2, updated_at = ? where id = ?').run(Date.now(), secret);
  db.close();
}

export async function run(): Promise<BenchRow[]> {
  const worlds = [await open(sizes[0]), await open(sizes[1])];
  try {
    const rows: BenchRow[] = [];
    for (const question of questions) rows.push(...rowsOf(question.label, await timed(question, worlds)));
    for (const { test } of worlds) rotate(join(test.directory, 'strongroom.db'), everybodys);
    return [...rows, ...rowsOf(afterwards.label, await timed(afterwards, worlds))];
  } finally {
    for (const { test } of worlds) await test.close();
  }
}

function rowsOf(label: string, [small = Number.NaN, large = Number.NaN]: readonly number[]): BenchRow[] {
  const exponent = Math.log(large / small) / Math.log(sizes[1] / sizes[0]);
  return [
    { name: `${label}, 10³ → 10⁵`, value: exponent, unit: 'exponent', goal: '≤ 0.15', met: exponent <= 0.15 },
    { name: `${label} at 10⁵`, value: large, unit: 'ms', goal: '', met: true },
  ];
}
