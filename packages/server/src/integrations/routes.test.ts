import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, codeOf, type TestServer, type TestUser } from '../../testing/app.ts';
import {
  finance as base,
  type IntegrationView as View,
  type IntegrationWorld,
  one,
  openIntegrationWorld,
  pointers,
} from '../../testing/integration-world.ts';
import type { LoopbackVault } from '../../testing/loopback-vault.ts';
import { freshName } from '../../testing/samples.ts';
import { resealRetired } from '../keys/reseal.ts';

let world: IntegrationWorld;
let test: TestServer;
let vault: LoopbackVault;
let member: TestUser;
let maintainer: TestUser;
let viewer: TestUser;
let token: string;

beforeAll(async () => {
  world = await openIntegrationWorld();
  ({ test, vault, member, maintainer, viewer, token } = world);
});
afterAll(() => world.close());
afterEach(() => {
  vault.trouble = 'none';
});

const withToken: IntegrationWorld['withToken'] = (path) => world.withToken(path);
const add: IntegrationWorld['add'] = (body, at) => world.add(body, at);
const withAppRole: IntegrationWorld['withAppRole'] = () => world.withAppRole();
const choices: IntegrationWorld['choices'] = (query, who) => world.choices(query, who);

interface Tested {
  readonly ok: boolean;
  readonly lines: readonly { readonly step: string; readonly outcome: string; readonly code?: string }[];
}
const outcomes = ({ lines }: Tested): string[] => lines.map(({ step, outcome }) => `${step} ${outcome}`);

describe('an integration', () => {
  it('is made, shown, listed, changed and deleted, without its credential in any answer', async () => {
    const made = await test.request('POST', `${base}/integrations`, {
      token: maintainer.token,
      body: { name: 'vault-Prod.1', description: 'of the team', ...withAppRole() },
    });
    expect([made.status, made.headers.get('etag')]).toEqual([201, '"1"']);
    expect(made.body).toMatchObject({
      scope: 'domain',
      domain: 'finance',
      bundle: 'default',
      type: 'VAULT',
      settings: withAppRole().settings,
      credentials: [{ name: 'secretId', version: '1.1', setBy: 'user:maintainer' }],
      health: { state: 'unknown', checkedAt: null },
      index: { keys: 0, isComplete: false, indexedAt: null, ageSeconds: null },
      usedBy: 0,
    });
    const path = one('vault-Prod.1');
    expect((await test.call<View>('GET', path, { token: viewer.token })).id).toBe((made.body as View).id);
    expect((await test.request('GET', one('VAULT-prod.1'))).status).toBe(404);
    const changed = await test.call<View>('PATCH', path, { body: { description: 'changed' } });
    expect(changed).toMatchObject({ description: 'changed', revision: 2, credentials: [{ version: '1.1' }] });
    const stale = await test.request('PATCH', path, { body: { description: 'x' }, headers: { 'if-match': '"1"' } });
    expect(codeOf(stale)).toBe('revision_mismatch');
    expect(await test.call('DELETE', path)).toEqual({ name: 'vault-Prod.1', brokenUses: [], isComplete: true });
    expect((await test.request('GET', path)).status).toBe(404);
  });

  it('is tried as it would be made, without anything written', async () => {
    const lasting = ({ status, body }: Answer) => {
      const made = body as Record<string, unknown> & { readonly credentials: readonly object[] };
      const { id: _id, createdAt: _made, updatedAt: _changed, credentials, ...rest } = made;
      return { status, ...rest, credentials: credentials.map((each) => ({ ...each, setAt: '' })) };
    };
    const send = (query: string, body: object = { name: 'vault-tried', description: 'x', ...withAppRole() }) =>
      test.request('POST', `${base}/integrations${query}`, { token: maintainer.token, body });
    const tried = await send('?dryRun=true');
    expect(tried).toMatchObject({ status: 201, body: { credentials: [{ name: 'secretId' }], bundle: 'default' } });
    expect(lasting(await send('?dryRun=true'))).toEqual(lasting(tried));
    expect((await test.request('GET', one('vault-tried'))).status).toBe(404);
    expect(lasting(await send(''))).toEqual(lasting(tried));
    expect(codeOf(await send('?dryRun=true'))).toBe('already_exists');
    expect(codeOf(await send('?dryRun=true', { name: 'VAULT-tried', ...withAppRole() }))).toBe('key_clash');
    expect(codeOf(await send('?dryRun=true', { name: 'managed', ...withAppRole() }))).toBe('validation_failed');
    // Credentials come last: where they alone are missing, the rest is as it should be.
    const { credentials: _typed, ...waiting } = withAppRole();
    expect(pointers(await send('?dryRun=true', { name: 'vault-waiting', ...waiting }))).toEqual([
      '/credentials/secretId',
    ]);
    expect(pointers(await send('?dryRun=true', { name: 'vault-waiting', bundle: 'nobodys', ...waiting }))).toEqual([
      '/bundle',
    ]);
    expect(codeOf(await send('?dryRun=true', { name: 'vault-tried', ...waiting }))).toBe('already_exists');
  });

  it('is changed in a dry run as it would be, and nothing is written or sealed', async () => {
    const name = await add();
    const path = `${base}/integrations/${name}`;
    const shown = async () => (await test.request('GET', path)).body;
    const before = await shown();
    const change = (query: string, body: object) => test.request('PATCH', `${path}${query}`, { body });
    const lasting = (answer: Answer) => ({ ...(answer.body as object), updatedAt: '', credentials: '' });
    const tried = await change('?dryRun=true', { description: 'y', credentials: { token } });
    expect(tried).toMatchObject({
      status: 200,
      body: { description: 'y', revision: 2, credentials: [{ version: '1.2' }] },
    });
    expect((await change('?dryRun=true', {})).body).toMatchObject({ revision: 1 });
    const elsewhere = { settings: { ...withToken().settings, address: 'http://127.0.0.1:1' } };
    expect(pointers(await change('?dryRun=true', elsewhere))).toEqual(['/settings/address', '/credentials/token']);
    expect((await change('?dryRun=true', { bundle: 'nobodys' })).status).toBe(422);
    expect(await shown()).toEqual(before);
    const done = await change('', { description: 'y', credentials: { token } });
    expect(lasting(tried)).toEqual(lasting(done));
    expect((await test.request('PATCH', `${path}?dryRun=true`, { token: viewer.token, body: {} })).status).toBe(403);
  });

  it('has a name of its own after folding, and never that of the managed store', async () => {
    const name = await add();
    const again = (text: string): Promise<Answer> =>
      test.request('POST', `${base}/integrations`, { body: { name: text, ...withToken() } });
    expect(codeOf(await again(name))).toBe('already_exists');
    expect(codeOf(await again(name.toUpperCase()))).toBe('key_clash');
    expect(pointers(await again('Managed'))).toEqual(['/name']);
    expect(await add(withToken(), '/v1/domains/sales')).not.toBe(name);
  });

  it('takes the credentials of its method, and no others', async () => {
    const create = (body: object): Promise<Answer> =>
      test.request('POST', `${base}/integrations`, { body: { name: freshName(), ...body } });
    const { credentials, ...withoutCredentials } = withToken();
    expect(credentials).toBeDefined();
    expect(pointers(await create(withoutCredentials))).toEqual(['/credentials/token']);
    expect(pointers(await create({ ...withAppRole(), credentials: { token } })).sort()).toEqual([
      '/credentials/secretId',
      '/credentials/token',
    ]);
  });

  it('does not lead where the egress guard says no', async () => {
    for (const address of ['http://2130706433', 'http://10.1.2.3:8200', 'https://169.254.169.254', 'http://0x7f.1']) {
      const body = { ...withToken(), settings: { ...withToken().settings, address } };
      const refused = await test.request('POST', `${base}/integrations`, { body: { name: freshName(), ...body } });
      const tried = await test.request('POST', `${base}/integrations/test`, { body });
      expect([address, codeOf(refused), codeOf(tried)]).toEqual([address, 'egress_denied', 'egress_denied']);
    }
  });

  it('asks for the credential again when it would be sent elsewhere', async () => {
    const name = await add();
    const { settings } = withToken();
    const patch = (body: object): Promise<Answer> => test.request('PATCH', one(name), { body });
    const elsewhere = { ...settings, address: 'http://127.0.0.1:9' };
    expect(pointers(await patch({ settings: elsewhere }))).toEqual(['/settings/address', '/credentials/token']);
    expect(pointers(await patch({ settings: { ...settings, namespace: 'team' } }))).toEqual([
      '/settings/namespace',
      '/credentials/token',
    ]);
    expect(pointers(await patch({ settings: withAppRole().settings }))).toEqual([
      '/settings/authentication/method',
      '/credentials/secretId',
    ]);
    // Another path of the same Vault is no other destination.
    expect((await patch({ settings: { ...settings, path: '/v1/secret/data/other' } })).status).toBe(200);
    const moved = await patch({ settings: elsewhere, credentials: { token } });
    expect(moved.body).toMatchObject({ settings: elsewhere, credentials: [{ name: 'token', version: '1.2' }] });
    const signsInOtherwise = await patch({ settings: withAppRole().settings, credentials: withAppRole().credentials });
    expect(signsInOtherwise.body).toMatchObject({ credentials: [{ name: 'secretId', version: '1.1' }] });
  });

  it('has credentials that open for their own destination alone, whoever changes the rows', async () => {
    const name = await add();
    const { id } = await test.call<View>('GET', one(name));
    const { backends } = test.server.services;
    expect((await (await backends.open(id)).get('db', { signal: AbortSignal.timeout(60_000) }))?.shape).toBe('text');
    const { db } = test.server.store;
    const row = await db
      .selectFrom('integration_credentials')
      .selectAll()
      .where('source_id', '=', id)
      .executeTakeFirstOrThrow();
    expect(JSON.parse(row.bound_to)).toContainEqual(['/address', vault.url]);
    await test.call('DELETE', one(name));
    expect(await db.selectFrom('integration_credentials').select('name').where('source_id', '=', id).execute()).toEqual(
      [],
    );
    await expect(backends.open(id)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('has credentials that are sealed anew when the keys of its scope are rotated', async () => {
    const name = await add();
    const { id } = await test.call<View>('GET', one(name));
    const { store, keyring } = test.server;
    const stored = () =>
      store.db
        .selectFrom('integration_credentials')
        .select(['term_id', 'version'])
        .where('source_id', '=', id)
        .executeTakeFirstOrThrow();
    const before = await stored();
    await test.call('POST', '/v1/keys/rotate', { body: { what: 'terms', scope: 'domain', domain: 'finance' } });
    expect(await resealRetired(store, keyring, { batches: 50 })).toMatchObject({ failed: 0, isDone: true });
    const after = await stored();
    expect([after.term_id === before.term_id, after.version]).toEqual([false, before.version]);
    expect(await test.call('POST', `${one(name)}/test`)).toMatchObject({ ok: true });
  });

  it('is deleted with its uses named, and one of the same name inherits nothing', async () => {
    const name = await add();
    const { id } = await test.call<View>('GET', one(name));
    const reference = { scope: 'domain', source: name, key: 'db' };
    await recordUse(id, reference);
    const refused = await test.request('DELETE', one(name));
    expect([refused.status, codeOf(refused)]).toEqual([409, 'in_use']);
    expect(refused.body).toMatchObject({ errors: [{ reference: `secret://domain/${name}/db` }] });
    expect(await test.call('DELETE', `${one(name)}?force=true`)).toMatchObject({
      brokenUses: [{ name: 'PGPASSWORD' }],
    });
    await test.call('POST', `${base}/integrations`, { body: { name, ...withToken() } });
    const made = await test.call<View & { usedBy: number }>('GET', one(name));
    expect([made.id === id, made.usedBy]).toEqual([false, 0]);
  });

  it('is not deleted while it is used, and names no configuration to whom may not see it', async () => {
    const name = await add();
    const { id } = await test.call<View>('GET', one(name));
    const job = await recordUse(id, { source: name, key: 'db' });
    const changer = await test.createUser(freshName(), { grants: { finance: ['LIST_SECRETS'] } });
    const bundle = freshName();
    await test.call('POST', `${base}/bundles`, { body: { name: bundle } });
    await test.call('POST', `${base}/bundles/${bundle}/assets`, { body: { type: 'integration', name } });
    await test.call('POST', `${base}/bundles/${bundle}/grants`, {
      body: { principal: changer.name, assetType: 'integration', permissions: ['VIEW', 'UPDATE'] },
    });
    const refused = await test.request('DELETE', one(name), { token: changer.token });
    expect([refused.status, codeOf(refused), refused.text.includes(job)]).toEqual([409, 'in_use', false]);
    expect(refused.body).toMatchObject({
      detail: `The integration ${name} is used in 1 field.`,
      errors: [{ message: 'spark-job that is not yours to see uses it as PGPASSWORD' }],
    });
    expect((await test.request('DELETE', one(name))).body).toMatchObject({
      errors: [{ message: `spark-job ${job} of domain finance uses it as PGPASSWORD` }],
    });
  });

  /** As a save would record it. @returns the name of the configuration */
  async function recordUse(sourceId: string, { source, key }: { source: string; key: string }): Promise<string> {
    const name = freshName();
    const job = await test.call<{ id: string }>('POST', `${base}/spark-jobs`, { body: { name, command: ['true'] } });
    const { store } = test.server;
    const { scope_id: scopeId } = await store.db
      .selectFrom('configurations')
      .select('scope_id')
      .where('id', '=', job.id)
      .executeTakeFirstOrThrow();
    await store.execute('surfaces.update', {
      id: job.id,
      revision: 1,
      by: 'test',
      document: JSON.stringify({ command: ['true'] }),
      uniqueKey: null,
      consumptions: [],
      bundleId: (
        await store.db
          .selectFrom('configurations')
          .select('bundle_id')
          .where('id', '=', job.id)
          .executeTakeFirstOrThrow()
      ).bundle_id,
      managedBy: null,
      secretIds: [],
      uses: [
        {
          pointer: '/environment/0/secret',
          name: 'PGPASSWORD',
          reference: `secret://domain/${source}/${key}`,
          target_scope_id: scopeId,
          target_source_id: sourceId,
          target_key: key,
          target_field: null,
          secret_id: null,
          kind: 'reference',
          authorised_by: 'test',
        },
      ],
    });
    return name;
  }
});

describe('a test of the connection', () => {
  it('goes through the steps for a form, and keeps nothing but its records', async () => {
    const before = vault.requests.length;
    const tested = await test.call<Tested>('POST', `${base}/integrations/test`, { body: withAppRole() });
    expect([tested.ok, tested.lines.every(({ outcome }) => outcome !== 'failed')]).toEqual([true, true]);
    expect(tested.lines.map(({ step }) => step)).toEqual(
      expect.arrayContaining(['address', 'reachable', 'login', 'list']),
    );
    expect(vault.requests.slice(before)).toContain('POST auth/approle/login');
    const { items } = await test.call<{ items: { because: string[]; outcome: string }[] }>(
      'GET',
      '/v1/audit?action=integration.test&limit=2',
    );
    expect(items.map(({ because, outcome }) => [because[0], outcome])).toEqual([
      ['end', 'allowed'],
      ['begin', 'allowed'],
    ]);
  });

  it('says where it fails, in words of its own', async () => {
    const form = (body: object): Promise<Tested> => test.call<Tested>('POST', `${base}/integrations/test`, { body });
    const wrong = await form({ ...withToken(), credentials: { token: world.canaries.plain('a wrong token') } });
    expect([wrong.ok, outcomes(wrong).some((line) => line === 'login failed')]).toEqual([false, true]);
    vault.trouble = 'sealed';
    const sealed = await form(withToken());
    expect(sealed.lines.find(({ outcome }) => outcome === 'failed')).toMatchObject({
      step: 'state',
      code: 'backend_sealed',
    });
    vault.trouble = 'broken';
    expect((await form(withToken())).lines.find(({ outcome }) => outcome === 'failed')?.code).toBe('backend_malformed');
    const nobody = { ...withToken(), settings: { ...withToken().settings, address: 'http://127.0.0.1:9' } };
    expect((await form(nobody)).lines.find(({ outcome }) => outcome === 'failed')).toMatchObject({
      step: 'reachable',
      code: 'backend_unavailable',
    });
  });

  it('of a saved one uses its credential, and becomes its health', async () => {
    const name = await add();
    expect((await test.call<Tested>('POST', `${one(name)}/test`, { token: maintainer.token })).ok).toBe(true);
    expect((await test.call<View>('GET', one(name))).health.state).toBe('healthy');
    vault.trouble = 'sealed';
    expect((await test.call<Tested>('POST', `${one(name)}/test`)).ok).toBe(false);
    expect((await test.call<View>('GET', one(name))).health).toMatchObject({
      state: 'unhealthy',
      error: { code: 'backend_sealed' },
    });
  });

  it('of a form takes the saved credential while the destination is the same, from who may change it', async () => {
    const name = await add();
    const { credentials, ...form } = { ...withToken('/v1/secret/data/other'), integration: name };
    expect(credentials).toBeDefined();
    const send = (body: object, who = maintainer): Promise<Answer> =>
      test.request('POST', `${base}/integrations/test`, { token: who.token, body });
    expect((await send(form)).body).toMatchObject({ ok: true });
    const elsewhere = { ...form, settings: { ...form.settings, address: 'http://127.0.0.1:9' } };
    expect(pointers(await send(elsewhere))).toEqual(['/settings/address', '/credentials/token']);
    const creator = await test.createUser(freshName(), {
      domains: { finance: 'VIEWER' },
      grants: { finance: ['CREATE_INTEGRATION'] },
    });
    expect(codeOf(await send(form, creator))).toBe('permission_missing');
    expect((await send({ ...form, integration: 'absent' })).status).toBe(404);
  });
});

describe('access', () => {
  it('is granted through bundles: VIEW shows, USE offers keys, UPDATE changes', async () => {
    const name = await add();
    await test.call('POST', `${one(name)}/refresh`);
    await test.call('POST', `${base}/bundles`, { body: { name: 'narrow' } });
    await test.call('POST', `${base}/bundles/narrow/assets`, { body: { type: 'integration', name } });
    expect((await test.call<View>('GET', one(name))).bundle).toBe('narrow');
    expect((await test.request('GET', one(name), { token: member.token })).status).toBe(404);
    expect((await choices(`?source=${name}`)).sources).toEqual([]);
    const grant = (permissions: readonly string[]): Promise<unknown> =>
      test.call('POST', `${base}/bundles/narrow/grants`, {
        body: { principal: member.name, assetType: 'integration', permissions },
      });
    await grant(['USE']);
    expect((await choices(`?source=${name}`)).items).toHaveLength(3);
    expect((await test.request('GET', one(name), { token: member.token })).status).toBe(403);
    await grant(['VIEW']);
    expect((await choices(`?source=${name}`)).items).toEqual([]);
    expect((await test.request('GET', one(name), { token: member.token })).status).toBe(200);
    expect((await test.request('POST', `${one(name)}/test`, { token: member.token })).status).toBe(403);
    await grant(['UPDATE']);
    expect((await test.request('POST', `${one(name)}/test`, { token: member.token })).status).toBe(200);
    await test.call('DELETE', `${base}/bundles/narrow?force=true`);
    expect((await test.call<View>('GET', one(name))).bundle).toBe('default');
  });

  it('is explained link by link, and to nobody who does not see it', async () => {
    const name = await add();
    await test.call('POST', `${one(name)}/test`);
    const explain = async (who: TestUser): Promise<readonly [string, ...string[]]> => {
      const body = { action: 'use', domain: 'finance', reference: `secret://domain/${name}/db` };
      const { verdict, links } = await test.call<{
        verdict: string;
        links: { link: string; outcome: string; because: string[] }[];
      }>('POST', '/v1/explain', { token: who.token, body });
      return [verdict, ...links.map(({ link, outcome, because }) => `${link} ${outcome} ${because[0]}`)];
    };
    expect(await explain(member)).toEqual([
      'allow',
      'principal allow enabled',
      'domain allow preset:MEMBER',
      'integration allow VAULT',
      'permission allow preset:MEMBER',
      'bundle allow preset:MEMBER',
      'backend allow key-found',
    ]);
    expect(await explain(viewer)).toContain('permission deny missing:USE');
    const lister = await test.createUser(freshName(), { grants: { finance: ['LIST_SECRETS'] } });
    expect((await explain(lister)).at(-1)).toBe('integration deny not-configured');
  });

  it('to the list is by VIEW, page by page', async () => {
    const { items } = await test.call<{ items: { name: string }[] }>('GET', `${base}/integrations?limit=200`);
    const first = await test.call<{ items: { name: string }[]; nextCursor: string }>(
      'GET',
      `${base}/integrations?limit=2`,
    );
    const second = await test.call<{ items: { name: string }[] }>(
      'GET',
      `${base}/integrations?limit=200&cursor=${encodeURIComponent(first.nextCursor)}`,
    );
    expect([...first.items, ...second.items].map(({ name }) => name)).toEqual(items.map(({ name }) => name));
    const found = await test.call<{ items: object[] }>('GET', `${base}/integrations?q=${items[0]?.name.toUpperCase()}`);
    expect(found.items).toHaveLength(1);
    const lister = await test.createUser(freshName(), { grants: { finance: ['LIST_SECRETS'] } });
    const none = await test.call<{ items: object[] }>('GET', `${base}/integrations`, { token: lister.token });
    expect(none.items).toEqual([]);
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
