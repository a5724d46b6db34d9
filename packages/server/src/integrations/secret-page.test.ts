import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, type TestServer, type TestUser } from '../../testing/app.ts';
import {
  finance as base,
  type IntegrationView,
  type IntegrationWorld,
  one,
  openIntegrationWorld,
} from '../../testing/integration-world.ts';
import { freshName } from '../../testing/samples.ts';

interface Row {
  readonly id?: string;
  readonly isReadOnly?: true;
  readonly key: string;
  readonly reference: string;
  readonly scope: string;
  readonly source: string;
  readonly sourceType: string;
  readonly usedBy: number;
  readonly actions: readonly { readonly action: string; readonly allowed: boolean; readonly reason?: string }[];
}
interface Listed {
  readonly items: readonly Row[];
  readonly nextCursor?: string;
  readonly sources: readonly {
    readonly source: string;
    readonly scope: string;
    readonly health: IntegrationView['health'];
    readonly index: IntegrationView['index'];
  }[];
}

let world: IntegrationWorld;
let test: TestServer;
let member: TestUser;
let viewer: TestUser;
let name: string;

beforeAll(async () => {
  world = await openIntegrationWorld();
  ({ test, member, viewer } = world);
  name = await world.add();
  await test.call('POST', `${one(name)}/refresh`);
  for (const key of ['DB', 'api', 'zebra'])
    await test.call('POST', `${base}/secrets`, {
      body: { key, value: world.canaries.text(`of ${key}`), tags: ['mine'] },
    });
});
afterAll(() => world.close());

const list = (query = '', who = member, at = base): Promise<Listed> =>
  test.call<Listed>('GET', `${at}/secrets${query}`, { token: who.token });
const references = ({ items }: Listed): string[] => items.map(({ reference }) => reference);
const ofDomain = (source: string, ...keys: readonly string[]): string[] =>
  keys.map((key) => `secret://domain/${source}/${key}`);

async function inPagesOf(size: number, query = ''): Promise<string[]> {
  const found: string[] = [];
  for (let cursor: string | undefined = ''; cursor !== undefined;) {
    const page: Listed = await list(
      `?limit=${size}${query}${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    );
    expect(page.items.length).toBeLessThanOrEqual(size);
    expect(page.sources.map(({ source }) => source)).toContain(name);
    found.push(...references(page));
    cursor = page.nextCursor;
  }
  return found;
}

describe('a list of secrets', () => {
  it('has the keys of integrations as read-only rows, in one order with the secrets', async () => {
    const found = await list();
    expect(references(found)).toEqual([
      ...ofDomain('managed', 'api'),
      ...ofDomain(name, 'API%20Key'),
      // Of one folded key, by the ids of their sources.
      ...found.items.filter(({ key }) => key.toLowerCase() === 'db').map(({ reference }) => reference),
      ...ofDomain(name, 'deep/er/key'),
      ...ofDomain('managed', 'zebra'),
    ]);
    expect(found.items).toHaveLength(6);
    expect(found.items.find(({ key }) => key === 'DB')).toMatchObject({
      id: expect.any(String),
      source: 'managed',
      sourceType: 'DATABASE',
    });
    expect(found.items.find(({ key }) => key === 'db')).toEqual({
      isReadOnly: true,
      key: 'db',
      reference: `secret://domain/${name}/db`,
      scope: 'domain',
      domain: 'finance',
      source: name,
      sourceType: 'VAULT',
      usedBy: 0,
      actions: [
        { action: 'secret.manage', allowed: false, reason: `It is in ${name}, which is read from only` },
        { action: 'integration.use', allowed: true },
      ],
    });
    expect(found.sources).toMatchObject([
      { source: name, health: { state: 'healthy' }, index: { keys: 3, ageSeconds: expect.any(Number) } },
    ]);
  });

  it.each([1, 2, 3, 5])('is the same in pages of %i, on both sides of where a source begins', async (size) => {
    expect(await inPagesOf(size)).toEqual(references(await list()));
    expect(await inPagesOf(size, '&q=b')).toEqual([]);
    expect(await inPagesOf(size, '&q=d')).toEqual(references(await list('?q=d')));
  });

  it('goes on where it was when a key between two pages has gone', async () => {
    world.vault.secrets.set('app/passing', { value: 'x' });
    await test.call('POST', `${one(name)}/refresh`);
    const first = await list('?limit=5');
    expect(first.nextCursor).toBeDefined();
    world.vault.secrets.delete('app/passing');
    await test.call('POST', `${one(name)}/refresh`);
    const rest = await list(`?limit=5&cursor=${encodeURIComponent(first.nextCursor ?? '')}`);
    expect(references(rest)).toEqual(ofDomain('managed', 'zebra'));
  });

  it('takes a cursor from who it was made for, with the filter it was made with, and for the same scope', async () => {
    const { nextCursor = '' } = await list('?limit=1');
    const cursor = encodeURIComponent(nextCursor);
    const refused = async (query: string, who = member, at = base): Promise<string | undefined> =>
      codeOf(await test.request('GET', `${at}/secrets${query}`, { token: who.token }));
    expect(await refused(`?cursor=${cursor}`, viewer)).toBe('cursor_invalid');
    expect(await refused(`?cursor=${cursor}&source=${name}`)).toBe('cursor_invalid');
    expect(await refused(`?cursor=${cursor}`, member, '/v1/global')).toBe('cursor_invalid');
    expect(await refused(`?cursor=${cursor.slice(0, -8)}AAAAAAAA`)).toBe('cursor_invalid');
    expect((await list(`?cursor=${cursor}&limit=3`)).items).toHaveLength(3);
  });

  it('is narrowed by source, by text, and by what only managed secrets have', async () => {
    expect(references(await list(`?source=${name}`))).toEqual(ofDomain(name, 'API%20Key', 'db', 'deep/er/key'));
    const managed = await list('?source=managed');
    expect(references(managed)).toEqual(ofDomain('managed', 'api', 'DB', 'zebra'));
    expect(managed.sources).toEqual([]);
    expect(await list('?source=absent')).toEqual({ items: [], sources: [] });
    expect(references(await list('?q=API'))).toEqual([...ofDomain('managed', 'api'), ...ofDomain(name, 'API%20Key')]);
    expect(references(await list('?q=eep%2Fer'))).toEqual(ofDomain(name, 'deep/er/key'));
    expect(await list('?state=unused')).toEqual({ items: [], sources: [] });
    for (const query of ['?tag=mine', '?folder='])
      expect(await list(query)).toMatchObject({
        items: [{ key: 'api' }, { key: 'DB' }, { key: 'zebra' }],
        sources: [],
      });
    expect(await list(`?source=${name}&tag=mine`)).toEqual({ items: [], sources: [] });
  });

  it('has nothing of an integration that the caller may not use, or that is of another domain', async () => {
    const seen = await list('', viewer);
    expect(references(seen)).toEqual(ofDomain('managed', 'api', 'DB', 'zebra'));
    expect(seen.sources).toEqual([]);
    expect(await list(`?source=${name}`, viewer)).toEqual({ items: [], sources: [] });
    const other = await test.createUser(freshName(), { domains: { sales: 'OWNER' } });
    expect(await list('', other, '/v1/domains/sales')).toEqual({ items: [], sources: [] });
    expect((await test.request('GET', `${base}/secrets`, { token: other.token })).status).toBe(404);
  });

  it('has a Global integration’s keys where it is assigned, and its own uses of them alone', async () => {
    const global = await world.add(world.withToken(), '/v1/global');
    const at = one(global, '/v1/global');
    await test.call('POST', `${at}/refresh`);
    const query = `?source=${global}`;
    expect((await list(query)).items).toEqual([]);
    await test.call('PUT', `${at}/assignments`, { body: { domains: ['finance', 'sales'] } });
    for (const domain of ['finance', 'sales'])
      await test.call('POST', `/v1/domains/${domain}/spark-jobs`, {
        body: {
          name: freshName(),
          command: ['true'],
          environment: [{ name: 'DB', secret: { scope: 'global', source: global, key: 'db' } }],
        },
      });
    const { items, sources } = await list(query);
    expect(items.map(({ key, scope, usedBy }) => [key, scope, usedBy])).toEqual([
      ['API Key', 'global', 0],
      ['db', 'global', 1],
      ['deep/er/key', 'global', 0],
    ]);
    expect(sources).toMatchObject([{ scope: 'global', source: global }]);
    const all = await test.call<Listed>('GET', `/v1/global/secrets${query}`);
    expect(all.items.map(({ key, usedBy }) => [key, usedBy])).toContainEqual(['db', 2]);
    expect(await list(query, member, '/v1/global')).toEqual({ items: [], sources: [] });
    await test.call('PATCH', '/v1/settings?force=true', { body: { features: { secretsV2: { enabled: false } } } });
    expect((await test.call<Listed>('GET', `/v1/global/secrets${query}`)).items).toEqual([]);
    await test.call('PATCH', '/v1/settings', { body: { features: { secretsV2: { enabled: true } } } });
  });

  it('keeps what a source had, with its error, while it is down', async () => {
    const down = await world.add();
    await test.call('POST', `${one(down)}/refresh`);
    world.vault.trouble = 'sealed';
    await test.call('POST', `${one(down)}/refresh`);
    world.vault.trouble = 'none';
    const { items, sources } = await list(`?source=${down}`);
    expect(items).toHaveLength(3);
    expect(sources).toMatchObject([{ health: { state: 'unhealthy', error: { code: 'backend_sealed' } } }]);
  });

  it('shows no value, and only what is declared', async () => {
    await expect(test.assertNoLeak()).resolves.toBeUndefined();
    expect(world.conformance.problems).toEqual([]);
    expect(test.logged.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
  });
});
