import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { StrongroomError } from '@strongroom/contract';
import type { Backend } from '@strongroom/backends';
import { createEgress } from '@strongroom/backends/egress';
import { openReferenceBackend } from '@strongroom/backends/testing/reference-backend.ts';
import type { Kek } from '@strongroom/crypto';
import type { ManagedSettings } from '../src/config/managed-settings.ts';
import { createOpenManagedStore } from '../src/managed-stores/open-managed-store.ts';
import type { OutsideType, StoreScope } from '../src/managed-stores/opened-stores.ts';
import { ManagedWorld } from './managed-world.ts';
import { compileCache, testChild } from './programs.ts';
import type { TestStore } from './stores.ts';

/** Where values are, in words that another process understands. */
export type DrilledStore =
  | { readonly kind: 'reference'; readonly port: number; readonly token: string }
  | { readonly kind: 'real'; readonly type: OutsideType; readonly settings: ManagedSettings };

export interface DrillPlace {
  readonly directory: string;
  readonly kek: Kek;
  readonly store: DrilledStore;
}

export const drilledOperations = ['create', 'rotate', 'purge'] as const;
export type DrilledOperation = (typeof drilledOperations)[number];

/**
 * Where the process dies: before the intent, with the intent on its way, after it, with the put on its way, after it, with the
 * commit on its way, after it.
 */
export const failpoints = [
  'before-intent',
  'intending',
  'intent',
  'putting',
  'put',
  'committing',
  'committed',
] as const;
export type Failpoint = (typeof failpoints)[number];

/** How long a write of the drill is its writer's alone: a process that just started has the real stores' clients to load. */
function lifetimeOf(store: DrilledStore): number {
  return store.kind === 'reference' ? 6_000 : 12_000;
}

function typeOf(store: DrilledStore): OutsideType {
  return store.kind === 'real' ? store.type : 'VAULT';
}

function openDrilled(store: DrilledStore): (type: OutsideType, scope: StoreScope, test: TestStore) => Promise<Backend> {
  return async (type, scope, { keys }) => {
    if (store.kind === 'reference') return openReferenceBackend(store.port, store.token);
    const egress = createEgress({ allow: [], allowLoopback: true });
    return createOpenManagedStore({ settings: store.settings, keys, egress: async () => egress })(type, scope);
  };
}

export function openDrillWorld(
  { directory, kek, store }: DrillPlace,
  reached?: (step: 'intent' | 'put' | 'committed') => void,
  around: (backend: Backend) => Backend = (backend) => backend,
): Promise<ManagedWorld> {
  const open = openDrilled(store);
  return ManagedWorld.open({
    open: async (...args) => around(await open(...args)),
    type: typeOf(store),
    place: { directory, kek },
    lifetimeMilliseconds: lifetimeOf(store),
    ...(reached === undefined ? {} : { reached }),
  });
}

export type DrillPair = readonly [DrilledOperation, Failpoint];

/** Every operation with every failpoint. */
export const allPairs: readonly DrillPair[] = drilledOperations.flatMap((operation) =>
  failpoints.map((failpoint) => [operation, failpoint] as const),
);

/**
 * Does operations, each on a key of its own in a process that is killed at a point; then starts over the same data, settles,
 * and looks at everything.
 * @returns for each pair which state was left: `rotate put: new`
 * @throws Error when what is left is neither the old state nor the new one, whole
 */
export async function drill(place: DrillPlace, pairs: readonly DrillPair[], round = ''): Promise<readonly string[]> {
  const keyOf = ([operation, failpoint]: DrillPair): string => `${operation}-${failpoint}${round}`;
  const before = await openDrillWorld(place);
  for (const pair of pairs.filter(([operation]) => operation !== 'create')) {
    await before.create(keyOf(pair), `old ${keyOf(pair)}`);
    if (pair[0] === 'purge') await before.delete(keyOf(pair));
  }
  await before.close();
  for (const pair of pairs) await killAt(place, ...pair, keyOf(pair));
  await sleep(lifetimeOf(place.store));
  const world = await openDrillWorld(place);
  try {
    await world.managed.settler.settleDue(AbortSignal.timeout(60_000));
    const outcomes: string[] = [];
    for (const pair of pairs) {
      const [operation, failpoint] = pair;
      const outcome = await stateOf(world, operation, keyOf(pair));
      assertPossible(operation, failpoint, outcome);
      await goOn(world, operation, outcome, keyOf(pair));
      outcomes.push(`${operation} ${failpoint}: ${outcome}`);
    }
    return outcomes;
  } finally {
    await world.close();
  }
}

async function killAt(place: DrillPlace, operation: DrilledOperation, failpoint: Failpoint, key: string) {
  const child = testChild('managed-kill-child');
  const kek = Buffer.from(place.kek.revealKekBytes()).toString('hex');
  const input = JSON.stringify({ directory: place.directory, kek, store: place.store, operation, failpoint, key });
  const env = compileCache;
  const process_ = spawn(process.execPath, [child], { env, stdio: ['pipe', 'ignore', 'pipe'] });
  let errors = '';
  process_.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString('utf8');
  });
  process_.stdin.end(input);
  const signal = await new Promise((resolve) => process_.on('close', (_code, name) => resolve(name)));
  if (signal !== 'SIGKILL') throw new Error(`The process ended by itself: ${errors}`);
}

/** The whole of it: value, version, intents and audit records must say the same. */
async function stateOf(world: ManagedWorld, operation: DrilledOperation, key: string): Promise<'old' | 'new'> {
  const intents = await world.intents(key);
  if (intents.some((intent) => intent.endsWith('pending'))) throw new Error('A write was not settled');
  const seen = await launchOrAbsent(world, key);
  const audited = await world.audited(key);
  const done = (change: string): boolean => audited.includes(`${change} allowed`);
  const states: Readonly<Record<DrilledOperation, Readonly<Record<'old' | 'new', readonly [string, boolean]>>>> = {
    create: { old: ['absent', !done('create')], new: [`new ${key} 1.1`, done('create')] },
    rotate: { old: [`old ${key} 1.1`, !done('rotate')], new: [`new ${key} 1.2`, done('rotate')] },
    purge: { old: [`old ${key} 1.1`, !done('purge')], new: ['absent', done('purge')] },
  };
  for (const state of ['old', 'new'] as const) {
    const [value, isAudited] = states[operation][state];
    if (seen === value && isAudited) return state;
  }
  throw new Error(`Neither old nor new: ${seen}; ${audited.join(', ')}; ${intents.join(', ')}`);
}

async function launchOrAbsent(world: ManagedWorld, key: string): Promise<string> {
  const row = await world.test.store.db.selectFrom('secrets').select('id').where('key', '=', key).executeTakeFirst();
  return row === undefined ? 'absent' : world.launch(key);
}

function assertPossible(operation: DrilledOperation, failpoint: Failpoint, outcome: 'old' | 'new'): void {
  const before: readonly Failpoint[] = ['before-intent', ...(operation === 'purge' ? [] : (['intent'] as const))];
  const after: readonly Failpoint[] = ['put', 'committing', 'committed'];
  const expected = before.includes(failpoint) ? 'old' : after.includes(failpoint) ? 'new' : outcome;
  if (outcome !== expected) throw new Error(`${operation} killed at ${failpoint} left the ${outcome} state`);
}

/** What was left is in nobody's way. */
async function goOn(world: ManagedWorld, operation: DrilledOperation, outcome: 'old' | 'new', key: string) {
  const isThere = operation === 'rotate' || (operation === 'create' && outcome === 'new');
  if (operation === 'purge' && outcome === 'old') await world.purge(key);
  if (isThere) await world.rotate(key, `next ${key}`);
  else await world.create(key, `next ${key}`);
  const seen = await world.launch(key);
  if (!seen.startsWith(`next ${key} `)) throw new StrongroomError('internal', { detail: seen });
}
