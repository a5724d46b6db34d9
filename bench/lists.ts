// How lists, look-ups and search grow from 10⁴ to 10⁶ secrets in one scope of the embedded store.
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createAccess } from '../packages/server/src/access/service.ts';
import type { Caller, ScopeRef } from '../packages/server/src/access/types.ts';
import { SecretReader } from '../packages/server/src/secrets/reader.ts';
import { openTestStore } from '../packages/server/testing/stores.ts';
import { globalScopeId } from '../packages/server/src/store/ids.ts';
import { inserter, type Row } from './inserter.ts';
import { median } from './report.ts';
import type { BenchRow } from './row.ts';

const sizes = [10_000, 1_000_000] as const;
const rounds = 200;
const scope: ScopeRef = { id: globalScopeId, kind: 'global', name: 'global' };
const words = [
  'stripe',
  'warehouse',
  'ledger',
  'payroll',
  'billing',
  'reporting',
  'ingest',
  'archive',
  'orders',
  'search',
];

const caller: Caller = {
  id: 'usr_bench',
  kind: 'user',
  name: 'user:bench',
  requestId: 'bench',
  network: '127.0.0.1',
  credential: { type: 'token', id: 'tok_bench' },
  snapshot: {
    revision: 1,
    principal: { id: 'usr_bench', kind: 'user', isDisabled: false },
    roles: new Set(['PLATFORM_ADMIN', 'SECRETS_ADMIN', 'DOMAIN_MANAGER']),
    actorIds: new Set(['usr_bench']),
    domains: new Map(),
  },
};

function keyOf(n: number): string {
  return `team${String(n % 997).padStart(3, '0')}-${words[n % words.length]}-key-${String(n).padStart(7, '0')}`;
}

/** Rows as the create command leaves them, without versions: lists and look-ups never read those. */
function fill(database: string, count: number): void {
  const db = new DatabaseSync(database, { timeout: 10_000 });
  db.exec('pragma synchronous = off; begin immediate');
  const now = Date.now();
  const given: Row = {
    scope_id: globalScopeId,
    source_id: 'src_global',
    folder: '',
    description: '',
    owner: 'user:bench',
    tags: '[]',
    shape: 'text',
    current_epoch: 1,
    current_version: 1,
    keep_versions: 10,
    rotated_at: now,
    created_at: now,
    created_by: 'user:bench',
    updated_at: now,
    updated_by: 'user:bench',
    revision: 1,
  };
  const insert = inserter(db);
  for (let n = 0; n < count; n += 1) {
    const id = `sec_bench${n}`;
    const key = keyOf(n);
    insert('secrets', { ...given, id, key, folded_key: key });
    insert('secret_documents', { secret_id: id, scope_id: globalScopeId, text: key });
  }
  db.exec('commit; analyze; pragma wal_checkpoint(truncate)');
  db.close();
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const samples: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const started = performance.now();
    await work();
    samples.push(performance.now() - started);
  }
  return median(samples);
}

interface Measured {
  readonly list: number;
  readonly lookup: number;
  readonly search: number;
}

/** Everything is seen. */
const seen = { usesIn: null, holderKinds: ['cluster', 'notices'] } as const;

async function measure(count: number): Promise<Measured> {
  const test = await openTestStore();
  try {
    fill(join(test.directory, 'strongroom.db'), count);
    await test.reopen();
    const reader = new SecretReader(test.store, test.keys, createAccess(test.store), async () => []);
    const page = await reader.list(caller, scope, { limit: 50 });
    if (page.items.length !== 50) throw new Error('The store is not filled');
    const list = await timed(async () => {
      const key = keyOf(randomInt(count));
      return test.store.query('secret.page', {
        managed: { scope: scope.kind, scopeId: scope.id, assignedTo: null, ...seen, now: Date.now() },
        origins: [],
        ...seen,
        q: '',
        from: { foldedKey: key, key, scope: scope.kind, sourceId: '' },
        limit: 51,
      });
    });
    const lookup = await timed(async () => reader.get(caller, scope, keyOf(randomInt(count))));
    const search = await timed(async () =>
      reader.list(caller, scope, { limit: 50, q: `key-${String(randomInt(count)).padStart(7, '0')}` }),
    );
    return { list, lookup, search };
  } finally {
    await test.close();
  }
}

export async function run(): Promise<BenchRow[]> {
  const small = await measure(sizes[0]);
  const large = await measure(sizes[1]);
  const exponent = (name: keyof Measured) => Math.log(large[name] / small[name]) / Math.log(sizes[1] / sizes[0]);
  const row = (name: keyof Measured, label: string, goal: number): BenchRow[] => [
    {
      name: `${label}, 10⁴ → 10⁶ secrets`,
      value: exponent(name),
      unit: 'exponent',
      goal: `≤ ${goal}`,
      met: exponent(name) <= goal,
    },
    { name: `${label} at 10⁶`, value: large[name], unit: 'ms', goal: '', met: true },
  ];
  return [...row('list', 'list page', 0.15), ...row('lookup', 'key lookup', 0.15), ...row('search', 'search', 0.4)];
}
