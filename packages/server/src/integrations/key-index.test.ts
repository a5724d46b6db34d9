import { isPath, StrongroomError } from '@strongroom/contract';
import type { Backend, ListPage } from '@strongroom/backends';
import fc from 'fast-check';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { describeEachStore, type TestStore } from '../../testing/stores.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import { globalScopeId, newId } from '../store/ids.ts';
import type { KeyPosition } from '../secrets/key-order.ts';
import type { FoundChoice } from './choice-queries.ts';
import { IntegrationCredentials } from './credentials.ts';
import { KeyIndex } from './key-index.ts';
import { OpenedBackends } from './opened-backends.ts';

const scope: ScopeRef = { id: globalScopeId, kind: 'global', name: 'global' };
const caller: Caller = {
  id: 'usr_test',
  kind: 'user',
  name: 'user:ann',
  requestId: 'request',
  network: '127.0.0.1',
  credential: { type: 'token', id: 'tok_test' },
  snapshot: {
    revision: 1,
    principal: { id: 'usr_test', kind: 'user', isDisabled: false },
    roles: new Set(['SECRETS_ADMIN']),
    actorIds: new Set(['usr_test']),
    domains: new Map(),
  },
};
const never = new AbortController().signal;
const settings = { address: 'http://127.0.0.1:9', path: '/v1/secret/data', authentication: { method: 'token' } };

/** Pages of keys as a backend lists them; a step may do something else first. */
type Step = readonly string[] | StrongroomError | (() => Promise<readonly string[]>);

describeEachStore('the index of keys', (openStore) => {
  let test: TestStore;
  let steps: readonly Step[] = [];
  /** The step that comes after the last one; null: none. */
  let afterLast: number | null = null;
  let opened: OpenedBackends;
  let index: KeyIndex;

  /** Lists what `steps` say; nothing else of it is asked. */
  const backend = {
    type: 'vault',
    capabilities: {
      list: true,
      put: false,
      delete: false,
      cas: false,
      versions: true,
      batch: 1,
      fields: 'native',
      limits: { valueBytes: 1 },
    },
    list: async ({ cursor }: { readonly cursor?: string }): Promise<ListPage> => {
      const at = Number(cursor ?? 0);
      const step = steps[at] ?? [];
      if (step instanceof StrongroomError) throw step;
      const keys = typeof step === 'function' ? await step() : step;
      const next = at + 1 < steps.length ? at + 1 : afterLast;
      return { items: keys.map((key) => ({ key })), nextCursor: next === null ? null : String(next) };
    },
    close: async () => undefined,
  } as unknown as Backend;

  beforeAll(async () => {
    test = await openStore();
    opened = new OpenedBackends({
      store: test.store,
      credentials: new IntegrationCredentials(test.store, test.keys),
      egress: () => Promise.reject(new StrongroomError('internal')),
      load: async () => ({ type: 'vault', title: '', capabilities: backend.capabilities, open: async () => backend }),
    });
    // What is asked of the guard here is that it isn't asked.
    opened.openWith = async () => backend;
    index = indexOf(100, 'this server');
  });
  beforeEach(() => {
    steps = [];
    afterLast = null;
  });

  function indexOf(maxKeys: number, holder: string): KeyIndex {
    return new KeyIndex({ store: test.store, backends: opened, holder, maxKeys, refreshEveryMilliseconds: 60_000 });
  }

  async function add(): Promise<AssetRef> {
    const id = newId('source');
    await test.store.execute('integration.create', {
      id,
      scopeId: scope.id,
      name: `i-${id.slice(-8)}`,
      type: 'VAULT',
      description: '',
      settings: JSON.stringify(settings),
      profileId: null,
      bundleId: null,
      credentials: [],
      by: 'test',
      maxIntegrations: 10_000,
    });
    return { type: 'integration', id, name: 'i', scope, bundleIds: [] };
  }

  async function keysOf({ id }: AssetRef): Promise<string[]> {
    const rows = await test.store.db
      .selectFrom('integration_keys')
      .select('key')
      .where('source_id', '=', id)
      .orderBy('folded_key')
      .orderBy('key')
      .execute();
    return rows.map(({ key }) => key);
  }

  it('takes nothing away while a refresh is not over, and then what it did not see', async () => {
    const asset = await add();
    steps = [['a', 'b'], ['c']];
    expect(await index.refreshNow(caller, asset, never)).toMatchObject({ index: { keys: 3, isComplete: true } });
    steps = [['b', 'new'], new StrongroomError('backend_unavailable', { detail: 'It went away.' })];
    expect(await index.refreshNow(caller, asset, never)).toMatchObject({
      health: { state: 'unhealthy', error: { code: 'backend_unavailable', message: 'It went away.' } },
      index: { keys: 3 },
    });
    expect(await keysOf(asset)).toEqual(['a', 'b', 'c', 'new']);
    steps = [['b'], [], ['new']];
    expect(await index.refreshNow(caller, asset, never)).toMatchObject({
      health: { state: 'healthy' },
      index: { keys: 2 },
    });
    expect(await keysOf(asset)).toEqual(['b', 'new']);
  });

  it('says when there are more keys than it takes, and leaves out what no reference can name', async () => {
    const asset = await add();
    const long = Array.from({ length: 9 }, () => 'ü'.repeat(100)).join('/');
    steps = [['a', 'b/../c', 'b//c', 'x%y', long], ['c', 'd'], ['e']];
    const small = indexOf(3, 'a small one');
    expect(await small.refreshNow(caller, asset, never)).toMatchObject({ index: { keys: 3, isComplete: false } });
    expect(await keysOf(asset)).toEqual(['a', 'c', 'd']);
  });

  it.each([
    ['one page again and again', [['a'], []], 1],
    ['several pages', [['a'], ['b'], ['c'], ['d'], ['e']], 2],
  ])('takes nothing away when a list goes in circles: %s', async (_, pages, back) => {
    const asset = await add();
    steps = [['old']];
    await index.refreshNow(caller, asset, never);
    steps = pages;
    afterLast = back;
    expect(await index.refreshNow(caller, asset, never)).toMatchObject({
      health: { state: 'unhealthy', error: { code: 'backend_malformed' } },
      index: { keys: 1, isComplete: true },
    });
    expect(await keysOf(asset)).toContain('old');
  });

  it('gives up when the integration is changed under its hands', async () => {
    const asset = await add();
    const change = async (): Promise<readonly string[]> => {
      await test.store.execute('integration.update', {
        id: asset.id,
        revision: 1,
        description: 'changed',
        settings: JSON.stringify(settings),
        profileId: null,
        bundleId: null,
        isSetUpAnew: true,
        credentials: [],
        dropped: [],
        by: 'test',
      });
      return ['late'];
    };
    steps = [['early'], change];
    await expect(index.refreshNow(caller, asset, never)).rejects.toMatchObject({ code: 'version_conflict' });
    expect(await keysOf(asset)).toEqual(['early']);
    const row = await test.store.db
      .selectFrom('integrations')
      .select(['health', 'index_from', 'indexed_at'])
      .where('id', '=', asset.id)
      .executeTakeFirstOrThrow();
    expect(row).toEqual({ health: 'unknown', index_from: 1, indexed_at: null });
  });

  it('is refreshed by one server at a time, and once for all who ask one server', async () => {
    const asset = await add();
    const gate = Promise.withResolvers<readonly string[]>();
    let listed = 0;
    steps = [
      () => {
        listed += 1;
        return gate.promise;
      },
    ];
    const first = index.refreshNow(caller, asset, never);
    const second = index.refreshNow(caller, asset, never);
    await expect.poll(() => listed).toBe(1);
    const other = indexOf(100, 'another server');
    await expect(other.refreshNow(caller, asset, never)).rejects.toMatchObject({ code: 'state_conflict' });
    gate.resolve(['a']);
    expect((await Promise.all([first, second])).map(({ index: { keys } }) => keys)).toEqual([1, 1]);
    expect(listed).toBe(1);
  });

  it('is searched and paged in one order by both databases, whatever the keys are', async () => {
    const anyKey = fc
      .string({
        unit: fc.constantFrom('a', 'b', 'B', 'ab', 'é', 'Ä', '\u{1f511}', '\uff5e', '-', '/', ' ', '"', '_'),
        minLength: 1,
        maxLength: 8,
      })
      .filter(isPath);
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(...Array.from({ length: 2 }, () => fc.uniqueArray(anyKey, { maxLength: 12 }))),
        fc.string({ unit: fc.constantFrom('a', 'b', 'é', '"', '_'), maxLength: 4 }),
        async (lists, q) => {
          const assets = [await add(), await add()];
          for (const [at, asset] of assets.entries()) {
            steps = [lists[at] ?? []];
            await index.refreshNow(caller, asset, never);
          }
          const expected = assets
            .flatMap(({ id }, at) => (lists[at] ?? []).map((key) => ({ id, key, folded: key.toLowerCase() })))
            .filter(({ folded }) => (q.length < 3 ? folded.startsWith(q) : folded.includes(q)))
            .sort((a, b) => byCodePoint(a.folded, b.folded) || byCodePoint(a.id, b.id) || byCodePoint(a.key, b.key))
            .map(({ id, key }) => [id, key]);
          expect((await pages(assets, q)).map(({ sourceId, key }) => [sourceId, key])).toEqual(expected);
        },
      ),
      { numRuns: 15 },
    );
  });

  /** All of it, three rows a page. */
  async function pages(assets: readonly AssetRef[], q: string): Promise<FoundChoice[]> {
    const origins = assets.map(({ id }) => ({ kind: 'index', scope: 'global', sourceId: id, from: 0 }) as const);
    const found: FoundChoice[] = [];
    for (let from: KeyPosition | null = null; ;) {
      const page: readonly FoundChoice[] = await test.store.query('choice.page', { origins, q, from, limit: 4 });
      found.push(...page.slice(0, 3));
      const next = page[3];
      if (next === undefined) return found;
      from = next;
    }
  }
});

function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
