import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../../testing/app.ts';
import { Canaries } from '../../../testing/canaries.ts';
import { freshName } from '../../../testing/samples.ts';

let test: TestServer;
const canaries = new Canaries();
const all = '/v1/domains/finance/connections';

beforeAll(async () => {
  test = await startTestServer({}, { canaries });
  for (const domain of ['finance', 'sales']) await test.createDomain(domain);
  await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'shared', value: canaries.plain('shared') } });
});
afterAll(async () => {
  await test.close();
});

interface State {
  readonly isSet: boolean;
  readonly isOwned?: boolean;
  readonly secret?: { readonly key: string };
}

interface Shown {
  readonly revision: number;
  readonly deleted: boolean;
  readonly warnings: readonly { readonly code: string; readonly pointer: string }[];
  readonly config: Readonly<Record<string, unknown>>;
}

async function keysOf(name: string): Promise<string[]> {
  const rows = await test.server.store.db
    .selectFrom('secrets')
    .innerJoin('configurations', 'configurations.id', 'secrets.owned_by')
    .select('secrets.key')
    .where('configurations.name', '=', name)
    .execute();
  return rows.map(({ key }) => key).toSorted();
}

const redshift = { username: 'ann', hostPort: 'db.example.org:5439', database: 'sales' };
const redshiftOf = (config: object) => ({ type: 'redshift', config: { ...redshift, ...config } });
const owned = (key: string) => ({
  isSet: true,
  isOwned: true,
  secret: { scope: 'domain', source: 'managed', key },
});

describe('fields of format password', () => {
  it('become secrets with OpenMetadata’s names, are kept, cleared, and go with a hard delete alone', async () => {
    const name = 'myservice';
    const body = { name, ...redshiftOf({ password: { set: canaries.plain('typed') } }) };
    const made = await test.call<Shown>('POST', all, { body });
    expect(made.config).toEqual({
      ...redshift,
      password: owned('database-myservice-password'),
      sslConfig: { caCertificate: { isSet: false }, sslCertificate: { isSet: false }, sslKey: { isSet: false } },
    });
    const one = `${all}/${name}`;
    const same = await test.call<Shown>('PUT', one, { body: redshiftOf({ password: { keep: true } }) });
    expect([same.revision, same.config]).toEqual([1, made.config]);
    await test.call('PUT', one, { body: redshiftOf({ password: { set: canaries.plain('again') } }) });
    expect(await test.call('GET', '/v1/domains/finance/secrets/database-myservice-password')).toMatchObject({
      version: '1.2',
    });
    await test.call('DELETE', one);
    expect(await test.call('GET', one)).toMatchObject({ deleted: true, config: { password: { isSet: true } } });
    expect(await keysOf(name)).toEqual(['database-myservice-password']);
    for (const [method, path, sent] of [
      ['PUT', one, redshiftOf({})],
      ['POST', `${one}/test`, redshiftOf({})],
      ['GET', `${one}/workflow?hostPort=https://om.example.org/api`, undefined],
    ] as const)
      expect((await test.request(method, path, sent === undefined ? {} : { body: sent })).status).toBe(409);
    expect(await test.call('POST', `${one}/restore`)).toMatchObject({ deleted: false });
    await test.call('PUT', one, { body: redshiftOf({ password: { clear: true } }) });
    expect(await keysOf(name)).toEqual([]);
    await test.call('PUT', one, { body: redshiftOf({ password: { set: canaries.plain('third') } }) });
    await test.call('DELETE', one);
    await test.call('DELETE', `${one}?hard=true`);
    expect(await keysOf(name)).toEqual([]);
    expect((await test.request('GET', one)).status).toBe(404);
  });

  it('of a bot have the documented name', async () => {
    const config = { authType: 'JWT', config: { JWTToken: { set: canaries.plain('token') } } };
    const made = await test.call<Shown>('POST', all, { body: { name: 'name', type: 'bot', config } });
    expect(made.config).toEqual({ authType: 'JWT', config: { JWTToken: owned('bot-name-config-jwttoken') } });
  });

  it('never share a secret though their names run together', async () => {
    const schema = {
      type: 'object',
      properties: {
        'a-b': { type: 'string', format: 'password' },
        a: { type: 'object', properties: { b: { type: 'string', format: 'password' } } },
      },
    };
    const name = freshName();
    const config = { 'a-b': { set: canaries.plain('one') }, a: { b: { set: canaries.plain('other') } } };
    await test.call('POST', all, { body: { name, type: 'custom', schema, config } });
    const [first, second] = await keysOf(name);
    expect([first, second?.startsWith(`${first}.`)]).toEqual([`custom-${name}-a-b`, true]);
  });

  it('go to no other host unless typed again', async () => {
    const name = freshName();
    await test.call('POST', all, { body: { name, ...redshiftOf({ password: { set: canaries.plain('host') } }) } });
    const moved = redshiftOf({ hostPort: 'other.example.org' });
    const refused = await test.request('PUT', `${all}/${name}`, { body: moved });
    expect([refused.status, refused.body]).toMatchObject([422, { errors: [{ pointer: '/config/password' }] }]);
    const other = { type: 'mssql', config: redshift };
    expect((await test.request('PUT', `${all}/${name}`, { body: other })).status).toBe(422);
    await test.call('PUT', `${all}/${name}`, {
      body: redshiftOf({ hostPort: 'other.example.org', password: { set: canaries.plain('other host') } }),
    });
    expect(await keysOf(name)).toHaveLength(1);
  });
});

describe('references', () => {
  it.each([
    { secret: 'secret://domain/managed/shared' },
    { secret: 'secret:shared' },
    'secret:shared',
    { secret: 'secret:strongroom-domain-finance-shared' },
  ])('may be written as %j', async (password) => {
    const made = await test.call<Shown>('POST', all, { body: { name: freshName(), ...redshiftOf({ password }) } });
    expect(made.config['password']).toMatchObject({ isSet: true, isOwned: false, secret: { key: 'shared' } });
  });

  it.each([
    { secret: 'secret:nowhere' },
    { secret: 'secret:strongroom-domain-sales-shared' },
    { secret: 'secret:database-myservice-password' },
  ])('are decided on like any other: %j', async (password) => {
    const refused = await test.request('POST', all, { body: { name: freshName(), ...redshiftOf({ password }) } });
    expect([403, 422]).toContain(refused.status);
    expect(JSON.stringify(refused.body)).toContain('/config/password');
  });

  it('need USE', async () => {
    const options = { domains: { finance: 'VIEWER' }, grants: { finance: ['CREATE_CONNECTION'] } } as const;
    const { token } = await test.createUser(freshName(), options);
    const body = { name: freshName(), ...redshiftOf({ password: { secret: 'secret:shared' } }) };
    expect((await test.request('POST', all, { token, body })).status).toBe(403);
  });
});

describe('lists of items with secrets', () => {
  const schema = {
    type: 'object',
    properties: {
      sources: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            id: { type: 'string' },
            token: { type: 'string', format: 'password' },
            host: { type: 'string', 'x-destination': true },
          },
          required: ['id'],
        },
      },
    },
  };
  const save = (method: 'POST' | 'PUT', name: string, sources: readonly object[]) =>
    test.request(method, method === 'POST' ? all : `${all}/${name}`, {
      body: { ...(method === 'POST' ? { name } : {}), type: 'custom', schema, config: { sources } },
    });

  it('keep them by id whatever their order; an item that goes takes its own along', async () => {
    const name = freshName();
    const set = (id: string) => ({ id, token: { set: canaries.plain(`token of ${id}`) } });
    expect((await save('POST', name, [set('a'), set('b')])).status).toBe(201);
    const keys = [`custom-${name}-sources-a-token`, `custom-${name}-sources-b-token`];
    const turned = await save('PUT', name, [{ id: 'b' }, { id: 'a' }]);
    expect((turned.body as Shown).config).toEqual({
      sources: [
        { id: 'b', token: owned(String(keys[1])) },
        { id: 'a', token: owned(String(keys[0])) },
      ],
    });
    expect((await save('PUT', name, [{ id: 'b' }])).status).toBe(200);
    expect(await keysOf(name)).toEqual([keys[1]]);
  });

  it.each([
    ['an id twice', [{ id: 'a' }, { id: 'a' }]],
    ['no id', [{ token: { set: 'x' } }]],
    ['an id that is no name', [{ id: '../a' }]],
    ['an empty id', [{ id: '' }]],
  ])('refuse %s', async (_what, sources) => {
    const refused = await save('POST', freshName(), sources);
    expect([refused.status, JSON.stringify(refused.body)]).toEqual([422, expect.stringContaining('/config/sources/')]);
  });
});

describe('configs', () => {
  it.each([
    ['a field that the type has not', redshiftOf({ nothing: 1 }), '/config/nothing'],
    ['a wrong type', redshiftOf({ username: 5 }), '/config/username'],
    ['a missing field', { type: 'redshift', config: { username: 'ann' } }, '/config/hostPort'],
    ['a password as it is', redshiftOf({ password: 'canary-in-the-open' }), '/config/password'],
    ['two ways at once', redshiftOf({ password: { set: 'x', keep: true } }), '/config/password'],
    ['a reference in a plain field', redshiftOf({ database: 'secret://domain/managed/shared' }), '/config/database'],
    ['a placeholder in an address', redshiftOf({ hostPort: '${secrets.shared}:5439' }), '/config/hostPort'],
    ['a placeholder that is not closed', redshiftOf({ database: '${secrets.shared' }), '/config/database'],
    ['a user in an address', redshiftOf({ hostPort: 'ann:pw@db.example.org' }), '/config/hostPort'],
    ['an address that is none', redshiftOf({ hostPort: 'a b' }), '/config/hostPort'],
    ['a schema of one’s own for a type', { ...redshiftOf({}), schema: { type: 'object' } }, '/schema'],
    ['no schema for custom', { type: 'custom', config: {} }, '/schema'],
    ['a type that is not there', { type: 'constructor', config: {} }, '/type'],
  ])('refuse %s', async (_what, body, pointer) => {
    const refused = await test.request('POST', all, { body: { name: freshName(), ...body } });
    expect(refused.status).toBe(422);
    const { errors } = refused.body as { errors: { pointer: string }[] };
    expect(errors.map((error) => error.pointer).some((each) => each.startsWith(pointer))).toBe(true);
    expect(refused.text).not.toContain('canary-in-the-open');
  });

  it.each([
    ['a pattern', { type: 'object', properties: { a: { type: 'string', pattern: '(a+)+$' } } }],
    ['a reference out of it', { type: 'object', properties: { a: { $ref: 'https://example.org/' } } }],
    ['a type that is none', { type: 'object', properties: { a: { type: ['string', 'null'] } } }],
    [
      'secrets without ids',
      { type: 'object', properties: { a: { type: 'array', items: { type: 'string', format: 'password' } } } },
    ],
    ['a name that is none', { type: 'object', properties: { 'a/b': { type: 'string' } } }],
    ['a required property that is not there', { type: 'object', properties: {}, required: ['a'] }],
    ['no object', { type: 'string' }],
    ['a schema that is too deep', deep(8)],
  ])('a custom schema with %s is refused', async (_what, schema) => {
    const body = { name: freshName(), type: 'custom', schema, config: {} };
    expect((await test.request('POST', all, { body })).status).toBe(422);
  });

  it('of a custom schema warn about plain texts that look like credentials', async () => {
    const schema = { type: 'object', properties: { apiToken: { type: 'string' }, host: { type: 'string' } } };
    const body = { name: freshName(), type: 'custom', schema, config: { apiToken: 'plain', host: 'h' } };
    const { warnings } = await test.call<Shown>('POST', all, { body });
    expect(warnings).toEqual([expect.objectContaining({ code: 'plain-secret', pointer: '/config/apiToken' })]);
  });
});

function deep(levels: number): object {
  return levels === 0 ? { type: 'string' } : { type: 'object', properties: { a: deep(levels - 1) } };
}

it('the kinds say their schemas', async () => {
  const { items } = await test.call<{ items: { type: string; schema: State }[] }>('GET', '/v1/connection-types');
  expect(items.find(({ type }) => type === 'snowflake')).toMatchObject({
    category: 'database',
    schema: { properties: { privateKey: { format: 'password' } } },
  });
  expect(items.length).toBeGreaterThan(15);
});

it('a workflow is refused while its secrets are not in Kubernetes', async () => {
  const name = freshName();
  await test.call('POST', all, { body: { name, ...redshiftOf({ password: { set: canaries.plain('here') } }) } });
  const refused = await test.request('GET', `${all}/${name}/workflow?hostPort=https://om.example.org/api`);
  expect([refused.status, JSON.stringify(refused.body)]).toEqual([
    409,
    expect.stringContaining('is not in Kubernetes'),
  ]);
});

it('placeholders of a config are shown as they are; a workflow is refused where nobody would resolve them', async () => {
  await test.call('POST', '/v1/global/secrets', {
    body: { key: 'db-name', value: canaries.plain('name of a database') },
  });
  const database = 'a ${secrets.db-name}, $${secrets.db-name} and ${secrets.gone}';
  const name = freshName();
  const made = await test.call<Shown>('POST', all, { body: { name, ...redshiftOf({ database }) } });
  expect([made.config['database'], made.warnings]).toMatchObject([
    database,
    [{ code: 'unknown-placeholder', pointer: '/config/database' }],
  ]);
  const workflow = `${all}/${name}/workflow?hostPort=https://om.example.org/api`;
  const refused = await test.request('GET', workflow);
  expect([refused.status, refused.body]).toMatchObject([409, { errors: [{ pointer: '/config/database' }] }]);
  await test.call('PUT', `${all}/${name}`, { body: redshiftOf({ database: 'sales $${secrets.db-name}' }) });
  expect(await test.call('GET', workflow)).toMatchObject({
    workflow: { source: { serviceConnection: { config: { database: 'sales ${secrets.db-name}' } } } },
  });
  const password = { value: 'a${secrets.db-name}' };
  await test.call('PUT', `${all}/${name}`, { body: redshiftOf({ password }) });
  const inPart = await test.request('GET', workflow);
  expect([inPart.status, inPart.body]).toMatchObject([409, { errors: [{ pointer: '/config/password' }] }]);
});

it('no value is in any answer, log or file of the server', async () => {
  await expect(test.assertNoLeak()).resolves.toBeUndefined();
});
