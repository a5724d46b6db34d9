import { platformSurfaceActions } from '@strongroom/contract';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { freshName } from '../../testing/samples.ts';
import { platformSamples, platformSurfaces } from '../../testing/surface-samples.ts';
import { surfaces } from './registry.ts';

/** What every configuration of the platform has to do, as `contract.test.ts` has it for those of domains. */

/** Where each has its credential, and how its form leads to another host. */
const traits = {
  email: { credential: 'password', move: { port: 10 } },
  ldap: { credential: 'bindCredential', move: { url: 'ldap://127.0.0.1:10' } },
} as const satisfies Readonly<Record<(typeof platformSurfaces)[number], unknown>>;

const canaries = new Canaries();
let test: TestServer;

beforeAll(async () => {
  test = await startTestServer({}, { canaries });
  await test.createDomain('finance');
  const keys = {
    // One for each: a secret of the admin scope stays with the host that it was first used for.
    '/v1/admin': platformSurfaces.map((type) => `for-${type}`),
    '/v1/global': ['for-everybody'],
    '/v1/domains/finance': ['of-finance'],
  };
  for (const [scope, each] of Object.entries(keys))
    for (const key of each) await test.call('POST', `${scope}/secrets`, { body: { key, value: canaries.plain(key) } });
});
afterAll(async () => {
  await test.assertNoLeak();
  await test.close();
});

interface Shown {
  readonly revision: number;
  readonly [field: string]: unknown;
}

describe.each(platformSurfaces)('%s', (type) => {
  const path = `/v1/platform/${type}`;
  const { credential, move } = traits[type];
  const own = `secret://admin/managed/for-${type}`;
  const sample = (reference = own) => platformSamples[type](reference);
  const typed = (text: string) => ({ ...sample(), [credential]: { set: text } });
  const put = (body: object, headers: Readonly<Record<string, string>> = {}) =>
    test.request('PUT', path, { body, headers });
  const owned = async (): Promise<string[]> => {
    const rows = await test.server.store.db
      .selectFrom('secrets')
      .select('key')
      .where('owned_by', 'is not', null)
      .execute();
    return rows.map(({ key }) => key);
  };

  afterEach(async () => {
    await test.request('DELETE', path);
  });

  it('is registered with the actions of the contract, and is nothing of a domain', () => {
    const { view, manage } = platformSurfaceActions[type];
    expect(surfaces[type]).toMatchObject({ type, scope: 'admin' });
    expect(surfaces[type].actions).toEqual({ create: manage, view, update: manage, delete: manage });
  });

  it('is made, shown, changed and deleted; what changes nothing keeps the revision', async () => {
    expect((await test.request('GET', path)).status).toBe(404);
    expect((await put(sample(), { 'if-match': '"1"' })).status).toBe(412);
    expect(await test.call<Shown>('PUT', path, { body: sample() })).toMatchObject({ revision: 1 });
    expect(await test.call<Shown>('PUT', path, { body: sample() })).toMatchObject({ revision: 1 });
    const changed = { ...sample(), description: 'another' };
    expect(await test.call<Shown>('PUT', path, { body: changed })).toMatchObject({ revision: 2 });
    expect((await put(sample(), { 'if-match': '"1"' })).status).toBe(412);
    expect(await test.call<Shown>('GET', path)).toMatchObject({ description: 'another', revision: 2 });
    await test.call('DELETE', path);
    expect((await test.request('GET', path)).status).toBe(404);
    expect((await test.request('DELETE', path)).status).toBe(404);
    expect(await test.call<Shown>('PUT', path, { body: sample() })).toMatchObject({ revision: 1 });
  });

  it('says where the secrets that it refers to are used, down to the field', async () => {
    await test.call('PUT', path, { body: sample() });
    const uses = await test.call<{ items: unknown[] }>('GET', `/v1/admin/secrets/for-${type}/used-by`);
    expect(uses.items).toEqual([
      expect.objectContaining({ surface: type, configuration: type, pointer: `/${credential}/secret` }),
    ]);
    expect((await test.request('DELETE', `/v1/admin/secrets/for-${type}`)).status).toBe(409);
  });

  it('takes secrets of the admin scope and global ones', async () => {
    for (const reference of [own, 'secret://global/managed/for-everybody']) {
      const shown = await test.call<Shown>('PUT', path, { body: sample(reference) });
      const [, scope] = /^secret:\/\/(\w+)/.exec(reference) ?? [];
      expect(shown[credential]).toMatchObject({ isSet: true, secret: { scope } });
    }
  });

  it.each([
    ['a secret of a domain', 'secret://domain/managed/of-finance'],
    ['a key that is nowhere', 'secret://admin/managed/nowhere'],
    ['an integration that is nowhere', 'secret://admin/vault-nowhere/app#password'],
    ['a text that is no reference', 'for-everybody'],
  ])('refuses to refer to %s', async (_what, reference) => {
    expect((await put(sample(reference))).status).toBe(422);
    const both = { set: canaries.plain('typed beside a reference'), secret: reference };
    expect((await put({ ...sample(), [credential]: both })).status).toBe(422);
    expect((await test.request('GET', path)).status).toBe(404);
    expect(await owned()).toEqual([]);
  });

  it('keeps, replaces and clears what is typed, as a secret of its own', async () => {
    const first = await test.call<Shown>('PUT', path, { body: typed(canaries.plain('typed first')) });
    const state = { isSet: true, isOwned: true, secret: { scope: 'admin', source: 'managed' } };
    expect(first[credential]).toMatchObject(state);
    const { [credential]: _left, ...without } = sample();
    for (const body of [without, { ...without, [credential]: { keep: true } }]) {
      const kept = await test.call<Shown>('PUT', path, { body });
      expect([kept.revision, kept[credential]]).toMatchObject([1, state]);
    }
    const [key = '', ...others] = await owned();
    expect(others).toEqual([]);
    await test.call('PUT', path, { body: typed(canaries.plain('typed second')) });
    expect(await owned()).toEqual([key]);
    expect(await test.call('GET', `/v1/admin/secrets/${key}`)).toMatchObject({ version: '1.2' });
    const around = { body: { value: canaries.plain('around it') } };
    expect((await test.request('PUT', `/v1/admin/secrets/${key}/value`, around)).status).toBe(409);
    const cleared = await test.call<Shown>('PUT', path, { body: { ...without, [credential]: { clear: true } } });
    expect(cleared[credential]).toEqual({ isSet: false });
    expect(await owned()).toEqual([]);
    await test.call('PUT', path, { body: typed(canaries.plain('typed third')) });
    await test.call('DELETE', path);
    expect(await owned()).toEqual([]);
  });

  it('keeps a placeholder in its credential as it was written, with references on or off', async () => {
    const value = '${secrets.for-everybody}';
    const { [credential]: _left, ...without } = sample();
    const shown = await test.call<Shown>('PUT', path, { body: { ...without, [credential]: { value } } });
    expect([shown[credential], shown['warnings']]).toEqual([{ isSet: true, placeholder: value, isOwned: false }, []]);
    for (const sent of [{ [credential]: { set: value } }, { [credential]: { keep: true } }, {}])
      expect(await test.call<Shown>('PUT', path, { body: { ...without, ...sent } })).toMatchObject({
        revision: 1,
        [credential]: { placeholder: value },
      });
    expect(await owned()).toEqual([]);
    const uses = await test.call<{ items: object[] }>('GET', '/v1/global/secrets/for-everybody/used-by');
    expect(uses.items).toMatchObject([{ surface: type, pointer: `/${credential}/value`, kind: 'placeholder' }]);
    const mixed = { ...without, [credential]: { value: `start ${value}${value}` } };
    expect(await test.call<Shown>('PUT', path, { body: mixed })).toMatchObject({
      revision: 2,
      warnings: [{ code: 'plain-secret', pointer: `/${credential}/value` }],
    });
    const unknown = { ...without, [credential]: { value: '${secrets.nowhere}' } };
    expect(await test.call<Shown>('PUT', path, { body: unknown })).toMatchObject({
      warnings: [{ code: 'unknown-placeholder', pointer: `/${credential}/value` }],
    });
    const turn = (enabled: boolean) =>
      test.call('PATCH', '/v1/settings', { body: { features: { secretsV2: { enabled } } } });
    await turn(false);
    try {
      expect(await test.call<Shown>('PUT', path, { body: { ...without, [credential]: { value } } })).toMatchObject({
        [credential]: { placeholder: value },
      });
      const refused = await put(sample('secret://global/managed/for-everybody'));
      expect([refused.status, refused.body]).toMatchObject([403, { code: 'feature_disabled' }]);
    } finally {
      await turn(true);
    }
    // What is typed takes the place of the placeholder, and the other way round.
    await test.call('PUT', path, { body: typed(canaries.plain('typed over a placeholder')) });
    expect(await owned()).toHaveLength(1);
    await test.call('PUT', path, { body: { ...without, [credential]: { value } } });
    expect(await owned()).toEqual([]);
  });

  it('makes a reference of the placeholder in its credential, and puts it back', async () => {
    const value = '${secrets.for-everybody}';
    await test.call('PUT', path, { body: { ...sample(), [credential]: { value } } });
    const ask = (verb: string, body: object = {}) => test.call('POST', `/v1/platform/placeholders/${verb}`, { body });
    const becomes = 'secret://global/managed/for-everybody';
    const found = { pointer: `/${credential}/value`, name: credential, kind: 'placeholder', becomes };
    expect(await ask('scan')).toMatchObject({ items: [{ surface: type, findings: [found] }] });
    expect(await ask('migrate', { dryRun: true })).toMatchObject({ items: [{ outcome: 'would-change' }] });
    expect(await ask('migrate')).toMatchObject({ items: [{ outcome: 'changed', fields: [found] }] });
    const secret = { scope: 'global', source: 'managed', key: 'for-everybody' };
    expect((await test.call<Shown>('GET', path))[credential]).toEqual({ isSet: true, secret, isOwned: false });
    expect(await ask('undo')).toMatchObject({ items: [{ outcome: 'changed', fields: [{ restores: value }] }] });
    expect((await test.call<Shown>('GET', path))[credential]).toEqual({
      isSet: true,
      placeholder: value,
      isOwned: false,
    });
  });

  it('sends nothing that was typed for one host to another', async () => {
    await test.call('PUT', path, { body: typed(canaries.plain('typed for a host')) });
    const { [credential]: _left, ...without } = sample();
    const refused = await put({ ...without, ...move });
    expect([refused.status, refused.body]).toMatchObject([422, { errors: [{ pointer: `/${credential}` }] }]);
    const again = { ...typed(canaries.plain('typed for another host')), ...move };
    expect(await test.call<Shown>('PUT', path, { body: again })).toMatchObject({ revision: 2 });
    expect(await owned()).toHaveLength(1);
  });

  it('holds a secret to where it was first used', async () => {
    const key = freshName();
    const reference = `secret://admin/managed/${key}`;
    const value = canaries.plain('held to its destination');
    await test.call('POST', '/v1/admin/secrets', { body: { key, value } });
    await test.call('PUT', path, { body: sample(reference) });
    const { destinations } = await test.call<{ destinations: object[] }>('GET', `/v1/admin/secrets/${key}`);
    expect(destinations).toHaveLength(1);
    const moved = await put({ ...sample(reference), ...move });
    expect([moved.status, moved.body]).toMatchObject([403, { code: 'destination_refused' }]);
  });

  it.each([
    ['two parts', { set: 'x', keep: true }],
    ['no part', {}],
    ['the text of a reference', { set: 'secret://admin/managed/for-email' }],
    ['a placeholder that is not closed', { set: 'a${secrets.key' }],
    ['an empty text', { set: '' }],
  ])('refuses a credential of %s', async (_what, sent) => {
    expect((await put({ ...sample(), [credential]: sent })).status).toBe(422);
  });

  it.each(['name', 'scope', 'domain', 'createdBy', 'revision', 'surface', 'ownedBy'])('takes no %s', async (field) => {
    expect((await put({ ...sample(), [field]: 'x' })).status).toBe(422);
  });

  it('is for who administers the platform; nobody else learns whether there is one', async () => {
    const { token } = await test.createUser(freshName(), { domains: { finance: 'OWNER' } });
    const asked = async () => {
      const answers: unknown[] = [];
      for (const [method, options] of [
        ['GET', {}],
        ['PUT', { body: sample() }],
        ['DELETE', {}],
      ] as const) {
        const { status, body } = await test.request(method, path, { token, ...options });
        const { requestId: _id, ...rest } = body as Record<string, unknown>;
        answers.push([status, rest]);
      }
      return answers;
    };
    const before = await asked();
    expect(before).toMatchObject(Array.from({ length: 3 }, () => [403, { code: 'permission_missing' }]));
    await test.call('PUT', path, { body: sample() });
    expect(await asked()).toEqual(before);
    expect((await test.request('GET', path, { token: null })).status).toBe(401);
    expect(await test.call<Shown>('GET', path)).toMatchObject({ revision: 1 });
  });
});
