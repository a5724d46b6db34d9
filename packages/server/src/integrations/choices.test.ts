import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, codeOf, type TestServer, type TestUser } from '../../testing/app.ts';
import {
  type Chosen,
  finance as base,
  type IntegrationView as View,
  type IntegrationWorld,
  one,
  openIntegrationWorld,
  pointers,
} from '../../testing/integration-world.ts';
import type { LoopbackVault } from '../../testing/loopback-vault.ts';
import { freshName } from '../../testing/samples.ts';

let world: IntegrationWorld;
let test: TestServer;
let vault: LoopbackVault;
let member: TestUser;
let maintainer: TestUser;
let viewer: TestUser;

beforeAll(async () => {
  world = await openIntegrationWorld();
  ({ test, vault, member, maintainer, viewer } = world);
});
afterAll(() => world.close());
afterEach(() => {
  vault.trouble = 'none';
});

const withToken: IntegrationWorld['withToken'] = (path) => world.withToken(path);
const add: IntegrationWorld['add'] = (body, at) => world.add(body, at);
const choices: IntegrationWorld['choices'] = (query, who) => world.choices(query, who);

describe('the index of keys', () => {
  it('offers what the backend lists to those with USE, and to nobody else', async () => {
    const name = await add();
    await test.call('POST', `${one(name)}/refresh`, { token: maintainer.token });
    const mine = await choices(`?source=${name}`);
    expect(mine.items.map(({ reference }) => reference)).toEqual([
      `secret://domain/${name}/API%20Key`,
      `secret://domain/${name}/db`,
      `secret://domain/${name}/deep/er/key`,
    ]);
    expect(mine.sources).toMatchObject([
      { source: name, sourceType: 'VAULT', health: { state: 'healthy' }, index: { keys: 3, isComplete: true } },
    ]);
    expect(await choices(`?source=${name}`, viewer)).toEqual({ items: [], sources: [] });
    const secret = await test.createUser(freshName(), { domains: { sales: 'OWNER' } });
    expect((await test.request('GET', `${base}/choices`, { token: secret.token })).status).toBe(404);
  });

  it('stays as it was when the source is down, with its age and its error', async () => {
    const name = await add();
    await test.call('POST', `${one(name)}/refresh`);
    const other = await add(withToken('/v1/secret/data/other'));
    vault.trouble = 'sealed';
    const refreshed = await test.call<View>('POST', `${one(name)}/refresh`);
    expect(refreshed).toMatchObject({
      health: { state: 'unhealthy', error: { code: 'backend_sealed' } },
      index: { keys: 3 },
    });
    vault.trouble = 'none';
    await test.call('POST', `${one(other)}/refresh`);
    const all = await choices('?limit=200');
    expect(all.items.filter(({ reference }) => reference.includes(`/${name}/`))).toHaveLength(3);
    expect(all.items.filter(({ reference }) => reference.includes(`/${other}/`))).toHaveLength(1);
    expect(all.sources.find(({ source }) => source === name)).toMatchObject({
      health: { state: 'unhealthy', error: { code: 'backend_sealed' } },
      index: { keys: 3, ageSeconds: expect.any(Number) },
    });
    expect(all.sources.find(({ source }) => source === other)?.health.state).toBe('healthy');
  });

  it('forgets what is gone, and at once what was listed with other settings', async () => {
    vault.secrets.set('app/passing', { value: 'x' });
    const name = await add();
    const keys = async (): Promise<string[]> => (await choices(`?source=${name}`)).items.map(({ key }) => key);
    await test.call('POST', `${one(name)}/refresh`);
    expect(await keys()).toContain('passing');
    vault.secrets.delete('app/passing');
    await test.call('POST', `${one(name)}/refresh`);
    expect(await keys()).toEqual(['API Key', 'db', 'deep/er/key']);
    await test.call('PATCH', one(name), { body: { settings: withToken('/v1/secret/data/other').settings } });
    expect(await keys()).toEqual([]);
    await test.call('POST', `${one(name)}/refresh`);
    expect(await keys()).toEqual(['elsewhere']);
  });

  it('is refreshed in the background when it is due', async () => {
    const name = await add();
    await test.server.services.keyIndex.refreshDue(AbortSignal.timeout(60_000));
    expect((await test.call<View>('GET', one(name))).index).toMatchObject({ keys: 3, isComplete: true });
  });
});

describe('choices', () => {
  it('merge managed secrets, Global’s and keys of integrations in one order, page by page', async () => {
    const name = await add();
    await test.call('POST', `${one(name)}/refresh`);
    await Promise.all([
      test.call('POST', `${base}/secrets`, { body: { key: 'DB', value: 'x' } }),
      test.call('POST', `${base}/secrets`, { body: { key: 'fields', fields: { user: 'a', password: 'b' } } }),
      test.call('POST', '/v1/global/secrets', { body: { key: 'db', value: 'x' } }),
      test.call('POST', '/v1/global/secrets', { body: { key: 'for-sales', value: 'x' } }),
    ]);
    await test.call('PUT', '/v1/global/secrets/for-sales/assignments', { body: { domains: ['sales'] } });
    const whole = (await choices('?limit=200')).items.map(({ reference }) => reference);
    const ours = whole.filter((reference) => /managed|deep/.test(reference) && !/other/.test(reference));
    expect(ours.filter((reference) => reference.includes('managed'))).toEqual([
      'secret://domain/managed/DB',
      'secret://global/managed/db',
      'secret://domain/managed/fields',
      'secret://domain/managed/fields#user',
      'secret://domain/managed/fields#password',
    ]);
    const paged: string[] = [];
    for (let cursor: string | undefined = ''; cursor !== undefined;) {
      const page: Chosen = await choices(`?limit=2${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`);
      expect(page.items.length).toBeLessThanOrEqual(2);
      paged.push(...page.items.map(({ reference }) => reference));
      cursor = page.nextCursor;
    }
    expect(paged).toEqual(whole);
    expect((await choices('?scope=global')).items.map(({ reference }) => reference)).toEqual([
      'secret://global/managed/db',
    ]);
    expect((await choices(`?q=eep%2Fer&source=${name}`)).items.map(({ key }) => key)).toEqual(['deep/er/key']);
    expect((await choices(`?q=AP&source=${name}`)).items.map(({ key }) => key)).toEqual(['API Key']);
    const narrow = await test.createUser(freshName(), { grants: { finance: ['LIST_SECRETS'] } });
    expect((await choices('?limit=200', narrow)).items).toEqual([]);
  });

  it('hold a Global integration’s keys where it is assigned, and Admin’s for the platform alone', async () => {
    const global = await add(withToken(), '/v1/global');
    const admin = await add(withToken(), '/v1/admin');
    await test.call('POST', `${one(global, '/v1/global')}/refresh`);
    await test.call('POST', `${one(admin, '/v1/admin')}/refresh`);
    const sees = async (): Promise<boolean> =>
      (await choices('?limit=200')).sources.some(({ source }) => source === global);
    expect(await sees()).toBe(false);
    const assign = (query: string, domains: string[]) =>
      test.request('PUT', `${one(global, '/v1/global')}/assignments${query}`, { body: { domains } });
    expect((await assign('?dryRun=true', ['sales', 'finance'])).body).toEqual({
      all: false,
      domains: ['finance', 'sales'],
    });
    expect((await assign('?dryRun=true', ['nowhere'])).status).toBe(422);
    expect(await sees()).toBe(false);
    await assign('', ['finance']);
    expect(await sees()).toBe(true);
    expect((await choices(`?source=${global}`)).items[0]?.reference).toBe(`secret://global/${global}/API%20Key`);
    await test.call('PUT', `${one(global, '/v1/global')}/assignments`, { body: { domains: [] } });
    expect(await sees()).toBe(false);
    await test.call('PUT', `${one(global, '/v1/global')}/assignments`, { body: { all: true } });
    expect(await sees()).toBe(true);
    const platform = await test.call<Chosen>('GET', '/v1/platform/choices?limit=200');
    expect(platform.sources.map(({ source }) => source)).toEqual(expect.arrayContaining([global, admin]));
    expect(platform.items.map(({ reference }) => reference)).toContain(`secret://admin/${admin}/db`);
    expect((await test.request('GET', '/v1/platform/choices', { token: member.token })).status).toBe(404);
  });
});

describe('an import', () => {
  interface Imported {
    readonly isDryRun: boolean;
    readonly items: readonly { readonly key: string; readonly outcome: string; readonly reason?: string }[];
  }
  const load = (body: object, who = maintainer, at = base): Promise<Answer> =>
    test.request('POST', `${at}/secrets/import`, { token: who.token, body });

  it('reads an integration straight into the managed store, each value on record', async () => {
    vault.secrets.set('team/smtp/password', { value: world.canaries.text('imported from the integration') });
    vault.secrets.set('team/db', { user: 'ann', password: world.canaries.plain('an imported field') });
    const name = await add(withToken('/v1/secret/data/team'));
    const before = vault.requests.length;
    const dry = await load({ from: { integration: name }, prefix: 'team-', dryRun: true });
    expect((dry.body as Imported).items).toEqual([
      { key: 'team-db', outcome: 'created' },
      { key: 'team-smtp-password', outcome: 'created' },
    ]);
    expect(vault.requests.slice(before).filter((request) => request.includes('secret/data'))).toEqual([]);
    const done = await load({ from: { integration: name }, prefix: 'team-', folder: 'from-vault' });
    expect((done.body as Imported).items.map(({ outcome }) => outcome)).toEqual(['created', 'created']);
    expect(await test.call('GET', `${base}/secrets/team-db`)).toMatchObject({
      shape: 'fields',
      fields: ['user', 'password'],
      folder: 'from-vault',
    });
    const { items } = await test.call<{ items: { reference: string; because: string[] }[] }>(
      'GET',
      '/v1/audit?action=secret.import&limit=200',
    );
    expect(items.map(({ reference }) => reference)).toEqual(
      expect.arrayContaining([`secret://domain/${name}/db`, `secret://domain/${name}/smtp/password`]),
    );
    const again = await load({
      from: { integration: name, prefix: 'smtp/' },
      prefix: 'team-smtp-',
      onExisting: 'rotate',
    });
    expect((again.body as Imported).items).toEqual([{ key: 'team-smtp-password', outcome: 'rotated' }]);
  });

  it('takes all or nothing, and nothing from who has no USE', async () => {
    vault.secrets.set('clash/a/b', { value: 'x' });
    vault.secrets.set('clash/a-b', { value: 'y' });
    vault.secrets.set('clash/not a key', { value: 'z' });
    const name = await add(withToken('/v1/secret/data/clash'));
    const refused = await load({ from: { integration: name } });
    expect([refused.status, codeOf(refused), pointers(refused).length]).toEqual([422, 'validation_failed', 2]);
    const { errors } = refused.body as { readonly errors: readonly { readonly message: string }[] };
    expect(errors[0]?.message).toMatch(/^a-b and a\/b would be one key/);
    expect((await test.request('GET', `${base}/secrets/a-b`)).status).toBe(404);
    expect(pointers(await load({ from: { integration: name, prefix: 'nothing' } }))).toEqual(['/from/prefix']);
    expect((await load({ from: { integration: 'absent' } })).status).toBe(404);
    const manager = await test.createUser(freshName(), { grants: { finance: ['MANAGE_SECRETS'] } });
    expect((await load({ from: { integration: name } }, manager)).status).toBe(404);
    vault.trouble = 'sealed';
    expect(codeOf(await load({ from: { integration: name } }))).toBe('backend_sealed');
  });
});

describe('in the end', () => {
  it('no credential and no value is anywhere', async () => {
    await expect(test.assertNoLeak()).resolves.toBeUndefined();
  });

  it('every answer was inside its declaration, and none was the server’s fault', () => {
    expect(world.conformance.problems).toEqual([]);
    expect(test.logged.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
  });
});
