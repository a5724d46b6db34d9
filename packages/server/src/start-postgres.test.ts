import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, startTestServer, type TestServer, type TestUser } from '../testing/app.ts';
import { Canaries } from '../testing/canaries.ts';
import { postgresUnavailable } from '../testing/postgres.ts';
import { sharedPostgres } from '../testing/stores.ts';
import { askForPassword, receivePassword, verifyLog } from '../testing/workload.ts';

const missing = postgresUnavailable();
const note = missing === undefined ? '' : ` (skipped: ${missing})`;
const finance = '/v1/domains/finance';

interface Keyed {
  readonly items: readonly { readonly key: string }[];
  readonly nextCursor?: string;
}

/** The whole server over a PostgreSQL that sorts German: what it stores and asks for is the same as on SQLite. */
describe.skipIf(missing !== undefined)(`a server on PostgreSQL${note}`, () => {
  const canaries = new Canaries();
  const password = canaries.text('the password');
  const rotated = canaries.text('the rotated password');
  let test: TestServer;
  let ann: TestUser;
  let workload: TestUser;

  beforeAll(async () => {
    const postgres = await sharedPostgres();
    const settings = { STRONGROOM_DATABASE_URL: await postgres.createDatabase('icu') };
    test = await startTestServer(settings, { canaries });
    await test.createDomain('finance');
    [ann, workload] = await Promise.all([
      test.createUser('ann', { domains: { finance: 'MAINTAINER' } }),
      test.createServiceAccount('finance', 'etl', { preset: 'MEMBER', grants: ['RESOLVE'] }),
    ]);
  });
  afterAll(() => test.close());

  const keysOf = async (query: string): Promise<string[]> =>
    (await test.call<Keyed>('GET', `${finance}/secrets?${query}`)).items.map(({ key }) => key);

  it('puts references in place of placeholders, and placeholders back', async () => {
    await test.call('POST', '/v1/global/secrets', { body: { key: 'shared', value: 'value of all' } });
    const environment = [{ name: 'A', value: '${secrets.shared}' }];
    await test.call('POST', `${finance}/spark-jobs`, { body: { name: 'legacy', command: ['true'], environment } });
    const ask = (verb: string) => test.call('POST', `${finance}/placeholders/${verb}?limit=1`, { body: {} });
    expect(await ask('scan')).toMatchObject({ items: [{ configuration: 'legacy' }] });
    expect(await ask('migrate')).toMatchObject({ items: [{ outcome: 'changed', revision: 2 }] });
    const off = { body: { features: { secretsV2: { enabled: false } } } };
    expect(codeOf(await test.request('PATCH', '/v1/settings', off))).toBe('in_use');
    expect(await ask('undo')).toMatchObject({ items: [{ outcome: 'changed', revision: 3 }] });
    expect(await test.call('GET', `${finance}/spark-jobs/legacy`)).toMatchObject({ environment });
    await test.call('DELETE', `${finance}/spark-jobs/legacy`);
  });

  it('keeps secrets through their whole life', async () => {
    const secret = `${finance}/secrets/db-password`;
    const created = await test.call('POST', `${finance}/secrets`, {
      token: ann.token,
      body: { key: 'db-password', value: password, folder: 'reporting', tags: ['team:finance'] },
    });
    expect(created).toMatchObject({ version: '1.1', createdBy: 'user:ann', revision: 1 });
    const clash = await test.request('POST', `${finance}/secrets`, { body: { key: 'DB-Password', value: 'x' } });
    expect(codeOf(clash)).toBe('key_clash');
    await test.call('PUT', `${secret}/value`, { body: { value: rotated } });
    expect(await test.call('POST', `${secret}/rollback`, { body: { version: '1.1' } })).toMatchObject({
      version: '1.3',
    });
    expect(await test.call('GET', `${secret}/versions`)).toMatchObject({
      items: [{ version: '1.3', copiedFrom: '1.1', isCurrent: true }, { version: '1.2' }, { version: '1.1' }],
    });
    const stale = await test.request('PATCH', secret, { body: { owner: 'ann' }, headers: { 'if-match': '"1"' } });
    expect(stale.status).toBe(412);
    await test.call('PATCH', secret, { body: { owner: 'ann', expiresAt: '2031-01-01T00:00:00Z' } });
    await test.call('DELETE', secret);
    expect((await test.request('GET', secret)).status).toBe(404);
    expect(await keysOf('state=deleted')).toEqual(['db-password']);
    expect(await test.call('POST', `${secret}/restore`)).toMatchObject({ deletedAt: null, version: '1.3' });
    await test.call('POST', `${finance}/secrets`, { body: { key: 'passing', valueBase64: '//4AAQ==' } });
    await test.call('DELETE', `${finance}/secrets/passing`);
    await test.call('POST', `${finance}/secrets/passing/purge`);
    expect((await test.request('GET', `${finance}/secrets/passing`)).status).toBe(404);
  });

  it('imports, lists by code points over pages, and finds by part of a key', async () => {
    const sorted = ['list-a', 'list.a', 'list1', 'LIST_a', 'lista'];
    const content = JSON.stringify(Object.fromEntries(sorted.map((key) => [key, `value of ${key}`])));
    const imported = await test.request('POST', `${finance}/secrets/import`, { body: { format: 'json', content } });
    expect(imported.body).toMatchObject({ items: sorted.map(() => ({ outcome: 'created' })) });
    const seen: string[] = [];
    let cursor = '';
    do {
      const page: Keyed = await test.call('GET', `${finance}/secrets?q=list&limit=2${cursor}`);
      seen.push(...page.items.map(({ key }) => key));
      cursor = page.nextCursor === undefined ? '' : `&cursor=${page.nextCursor}`;
    } while (cursor !== '');
    expect(seen).toEqual(sorted);
    expect(await keysOf('q=PASS')).toEqual(['db-password']);
    expect(await keysOf('q=st_')).toEqual(['LIST_a']);
    expect(await keysOf('q=li')).toEqual(sorted);
    expect(await keysOf('folder=reporting&tag=team:finance')).toEqual(['db-password']);
    expect(await test.call('GET', `${finance}/folders`)).toMatchObject({
      items: expect.arrayContaining([{ folder: 'reporting', secrets: 1 }]),
    });
    expect(await test.call('GET', `${finance}/inventory`)).toMatchObject({ withheld: [] });
    expect(await test.call('GET', `${finance}/inventory?finding=used-but-missing`)).toEqual({
      items: [],
      withheld: [],
    });
  });

  it('saves a job, runs it with a log that shows nothing, and knows who has the old value', async () => {
    const environment = [{ name: 'PGPASSWORD', secret: 'secret://domain/managed/db-password' }];
    const job = `${finance}/spark-jobs/nightly`;
    const unresolved = await test.request('POST', `${finance}/spark-jobs`, {
      body: {
        name: 'nightly',
        command: ['true'],
        environment: [{ name: 'A', secret: 'secret://domain/managed/absent' }],
      },
    });
    expect(codeOf(unresolved)).toBe('reference_unresolved');
    const script = 'console.log(process.env.PGPASSWORD, Buffer.from(process.env.PGPASSWORD).toString("base64"))';
    await test.call('POST', `${finance}/spark-jobs`, {
      token: ann.token,
      body: { name: 'nightly', command: ['true'], environment },
    });
    await test.call('PUT', job, {
      token: ann.token,
      body: { command: [process.execPath, '-e', script], environment },
    });
    expect(await test.call('GET', `${finance}/spark-jobs?q=night`)).toMatchObject({ items: [{ name: 'nightly' }] });
    expect(await test.call('POST', `${job}/preflight`)).toMatchObject({
      ok: true,
      references: [{ name: 'PGPASSWORD', outcome: 'resolved', version: '1.3' }],
    });
    const { id } = await test.call<{ id: string }>('POST', `${job}/runs`, { token: ann.token });
    const log = await test.request('GET', `${finance}/runs/${id}/log?follow=true`);
    expect(log.text).toMatch(/^\[redacted:PGPASSWORD\] \[redacted:PGPASSWORD\]=*\n$/);
    await expect
      .poll(() => test.call('GET', `${finance}/runs/${id}`))
      .toMatchObject({ state: 'succeeded', exitCode: 0, variables: [{ version: '1.3', outcome: 'resolved' }] });
    for (const path of [`${job}/runs`, `${finance}/runs?state=succeeded`])
      expect(await test.call('GET', path)).toMatchObject({ items: [{ id }] });

    await test.call('PUT', `${finance}/secrets/db-password/value`, { body: { value: rotated } });
    expect(await test.call('GET', `${finance}/secrets/db-password/drift?include=ended`)).toMatchObject({
      currentVersion: '1.4',
      items: [{ launch: id, kind: 'run', version: '1.3' }],
    });
    expect(await test.call('GET', `${finance}/drift?include=ended`)).toMatchObject({ items: [{ launch: id }] });
    const uses = { items: [{ configuration: 'nightly', name: 'PGPASSWORD', kind: 'reference' }] };
    expect(await test.call('GET', `${finance}/secrets/db-password/used-by`)).toMatchObject(uses);
    const reference = encodeURIComponent('secret://domain/managed/db-password');
    expect(await test.call('GET', `${finance}/used-by?reference=${reference}`)).toMatchObject(uses);
    expect(codeOf(await test.request('DELETE', `${finance}/secrets/db-password`))).toBe('in_use');
    await test.call('PATCH', job, { body: { suspended: true } });
    expect(codeOf(await test.request('POST', `${job}/runs`))).toBe('state_conflict');
    await test.call('DELETE', job);
    expect(await test.call('GET', `${finance}/secrets/db-password/used-by`)).toMatchObject({ items: [] });
    expect(await test.call('GET', `${finance}/runs`)).toMatchObject({ items: [{ id }] });
  });

  it('delivers sealed, and records it before', async () => {
    const { value, launch } = await receivePassword(test, workload.token);
    expect(value === rotated).toBe(true);
    expect(await test.call('GET', `/v1/audit?action=launch.resolve&principal=${workload.id}`)).toMatchObject({
      items: [{ launch, outcome: 'allowed', version: '1.4' }],
    });
    await test.call('POST', `/v1/launches/${launch}/heartbeat`, { token: workload.token });
    await test.call('PUT', `${finance}/secrets/db-password/value`, { body: { value: password } });
    expect(await test.call('GET', `${finance}/drift`)).toMatchObject({ items: [{ launch, state: 'running' }] });
    await test.call('POST', `/v1/launches/${launch}/end`, { token: workload.token });
    expect(await test.call('GET', `${finance}/drift`)).toMatchObject({ items: [] });
  });

  it('explains, counts what a bundle names, and ends tokens', async () => {
    const ask = (principal: string): Promise<unknown> =>
      test.call('POST', '/v1/explain', {
        body: { principal, action: 'use', domain: 'finance', reference: 'secret://domain/managed/db-password' },
      });
    await test.createUser('bob');
    expect(await ask('user:bob')).toMatchObject({ verdict: 'deny' });
    expect(await ask('user:ann')).toMatchObject({ verdict: 'allow' });
    await test.call('POST', `${finance}/bundles`, { body: { name: 'narrow' } });
    await test.call('POST', `${finance}/bundles/narrow/assets`, { body: { type: 'secret', prefix: 'db-' } });
    expect(codeOf(await askForPassword(test, workload.token))).toBe('permission_missing');
    await test.call('POST', `${finance}/bundles/narrow/grants`, {
      body: { principal: workload.name, assetType: 'secret', permissions: ['USE'] },
    });
    expect((await askForPassword(test, workload.token)).status).toBe(201);
    const tokens = `${finance}/service-accounts/${workload.id}/tokens`;
    const { items } = await test.call<{ items: { id: string }[] }>('GET', tokens);
    await test.call('DELETE', `${tokens}/${items[0]?.id}`);
    expect((await askForPassword(test, workload.token)).status).toBe(401);
  });

  it('lists, exports and verifies its audit log, and holds no value anywhere', async () => {
    const { items } = await test.call<{ items: unknown[] }>(
      'GET',
      `${finance}/audit?principal=user:ann&outcome=allowed`,
    );
    expect(items.length).toBeGreaterThan(3);
    const exported = await test.request('GET', '/v1/audit/export?format=csv&scope=finance');
    expect(exported.text.split('\n').length).toBeGreaterThan(20);
    await test.restart();
    expect(await test.call('GET', `${finance}/secrets/db-password`)).toMatchObject({ version: '1.5' });
    expect(await verifyLog(test)).toMatchObject({ ok: true, bad: [] });
    await test.assertNoLeak();
    expect(test.logged.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
