import { StrongroomError, surfaceActions } from '@strongroom/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { freshName } from '../../testing/samples.ts';
import {
  domainSurfaces,
  storageSample as storage,
  surfacePath as pathOf,
  surfaceSamples as samples,
} from '../../testing/surface-samples.ts';
import { surfaces } from './registry.ts';

let test: TestServer;
const canaries = new Canaries();
const base = '/v1/domains/finance';

beforeAll(async () => {
  test = await startTestServer({}, { canaries });
  await test.createDomain('finance');
  await test.createDomain('sales');
  for (const domain of ['finance', 'sales'])
    await test.call('POST', `/v1/domains/${domain}/secrets`, {
      body: { key: domain === 'sales' ? 'sales-only' : 'db-password', value: canaries.plain(`password of ${domain}`) },
    });
});
afterAll(async () => {
  await test.close();
});

interface Answer {
  readonly name: string;
  readonly revision: number;
  readonly [field: string]: unknown;
}

describe.each(domainSurfaces)('%s', (type) => {
  const all = pathOf(type);

  it('is registered with the actions of the contract', () => {
    expect(surfaces[type].type).toBe(type);
    expect(surfaces[type].actions).toBe(surfaceActions[type]);
  });

  it('is created, listed, shown, changed and deleted; what changes nothing keeps the revision', async () => {
    const name = freshName();
    const body = samples[type]();
    const made = await test.call<Answer>('POST', all, { body: { name, ...body } });
    expect(made).toMatchObject({ name, domain: 'finance', bundle: 'default', revision: 1 });
    const { items } = await test.call<{ items: Answer[] }>('GET', `${all}?q=${name}`);
    expect(items).toMatchObject([{ name, references: 1 }]);
    expect((await test.call<Answer>('PUT', `${all}/${name}`, { body })).revision).toBe(1);
    const changed = { ...body, description: 'another' };
    expect((await test.call<Answer>('PUT', `${all}/${name}`, { body: changed })).revision).toBe(2);
    const stale = await test.request('PUT', `${all}/${name}`, { body: changed, headers: { 'if-match': '"1"' } });
    expect(stale.status).toBe(412);
    const uses = await test.call<{ items: unknown[] }>('GET', `${base}/secrets/db-password/used-by?limit=200`);
    expect(uses.items).toContainEqual(expect.objectContaining({ surface: type, configuration: name }));
    // A connection is deleted softly unless it is said.
    await test.call('DELETE', `${all}/${name}${type === 'connection' ? '?hard=true' : ''}`);
    expect((await test.request('GET', `${all}/${name}`)).status).toBe(404);
    expect((await test.call<Answer>('POST', all, { body: { name, ...body } })).revision).toBe(1);
  });

  it('says what an update would make of it, and writes nothing', async () => {
    const name = freshName();
    const body = samples[type]();
    const made = await test.call<Answer>('POST', all, { body: { name, ...body } });
    const dry = `${all}/${name}?dryRun=true`;
    expect(await test.call<Answer>('PUT', dry, { body })).toMatchObject({ revision: 1 });
    const changed = { ...body, description: 'another', managedBy: 'these manifests' };
    const answer = await test.request('PUT', dry, { body: changed, headers: { 'if-match': '"1"' } });
    expect(answer.body).toMatchObject({ description: 'another', managedBy: 'these manifests', revision: 2 });
    expect(answer.headers.get('etag')).toBeNull();
    expect(await test.call<Answer>('GET', `${all}/${name}`)).toEqual({ ...made, warnings: [] });
    const refused = await test.request('PUT', dry, { body: samples[type]({ scope: 'domain', key: 'nowhere' }) });
    expect(refused.status).toBe(422);
    const stale = await test.request('PUT', dry, { body: changed, headers: { 'if-match': '"7"' } });
    expect(stale.status).toBe(412);
  });

  it.each([
    ['another domain’s key', { scope: 'domain', key: 'sales-only' }],
    ['a key that is nowhere', { scope: 'domain', key: 'nowhere' }],
    ['an admin secret', 'secret://admin/managed/db-password'],
  ])('refuses a reference to %s', async (_what, reference) => {
    const body = { name: freshName(), ...samples[type](reference) };
    const { status, body: problem } = await test.request('POST', all, { body });
    expect(status).toBe(422);
    expect(JSON.stringify(problem)).not.toContain('sales"');
  });

  it.each(['managed', 'UPPER', 'x'.repeat(54), '-x', 'a.b', 'ſ', '__proto__'])('refuses the name %s', async (name) => {
    expect((await test.request('POST', all, { body: { ...samples[type](), name } })).status).toBe(422);
  });

  it.each(['scope', 'domain', 'createdBy', 'revision', 'surface', 'ownedBy'])('takes no %s', async (field) => {
    const body = { name: freshName(), ...samples[type](), [field]: 'x' };
    expect((await test.request('POST', all, { body })).status).toBe(422);
  });
});

describe('credential fields', () => {
  it('write no secret in a dry run', async () => {
    const name = freshName();
    const form = storage();
    const typed = canaries.plain('typed into a dry run');
    const secrets = () => test.server.store.db.selectFrom('secret_versions').select('secret_id').execute();
    await test.call('POST', all, { body: { name, ...form } });
    const before = await secrets();
    const dry = `${all}/${name}?dryRun=true`;
    const body = { ...form, secretKey: { set: typed } };
    expect(await test.call<Answer>('PUT', dry, { body })).toMatchObject({ revision: 2, secretKey: { isSet: false } });
    expect(await secrets()).toEqual(before);
  });

  const all = pathOf('storage-config');
  const owned = async (name: string): Promise<string[]> => {
    const rows = await test.server.store.db
      .selectFrom('secrets')
      .select('key')
      .where('owned_by', 'is not', null)
      .execute();
    return rows
      .map(({ key }) => key)
      .filter((key) => key.includes(name))
      .toSorted();
  };

  it('are kept, replaced and cleared exactly; no answer has a value', async () => {
    const name = freshName();
    const form = storage();
    const first = canaries.plain('first key');
    const made = await test.call<Answer>('POST', all, { body: { name, ...form, secretKey: { set: first } } });
    const reference = { scope: 'domain', source: 'managed', key: `storage-config.${name}.secretKey` };
    const state = { isSet: true, isOwned: true, secret: reference };
    expect(made).toMatchObject({ secretKey: state, accessKey: { isSet: false } });
    expect(await test.call('PUT', `${all}/${name}`, { body: form })).toMatchObject({ secretKey: state, revision: 1 });
    const kept = { ...form, secretKey: { keep: true } };
    expect(await test.call('PUT', `${all}/${name}`, { body: kept })).toMatchObject({ secretKey: state });
    const echoed = { ...form, secretKey: { secret: reference } };
    expect(await test.call('PUT', `${all}/${name}`, { body: echoed })).toMatchObject({ secretKey: state });
    const typed = { ...form, secretKey: { value: canaries.plain('second key') } };
    expect(await test.call('PUT', `${all}/${name}`, { body: typed })).toMatchObject({ secretKey: state });
    expect(await test.call('GET', `${base}/secrets/${reference.key}`)).toMatchObject({ version: '1.2' });
    await test.call('PUT', `${all}/${name}`, { body: { ...form, secretKey: { clear: true } } });
    expect(await owned(name)).toEqual([]);
  });

  it('do not follow a configuration to another host, unless typed again', async () => {
    const name = freshName();
    const form = storage();
    await test.call('POST', all, { body: { name, ...form, secretKey: { set: canaries.plain('key of a host') } } });
    const moved = { ...form, endpoint: 'https://storage.example.org' };
    const refused = await test.request('PUT', `${all}/${name}`, { body: moved });
    expect([refused.status, refused.body]).toMatchObject([422, { errors: [{ pointer: '/secretKey' }] }]);
    const again = { ...moved, secretKey: { set: canaries.plain('key of another host') } };
    await test.call('PUT', `${all}/${name}`, { body: again });
    const [key, ...others] = await owned(name);
    expect([key?.startsWith(`storage-config.${name}.secretKey.`), others]).toEqual([true, []]);
  });

  it('leave nothing where a save is refused', async () => {
    const name = freshName();
    const body = {
      name,
      ...storage(),
      secretKey: { set: canaries.plain('refused') },
      accessKey: { secret: 'secret://domain/managed/no' },
    };
    expect((await test.request('POST', all, { body })).status).toBe(422);
    expect(await owned(name)).toEqual([]);
  });

  it('keep their values where the save that types others fails at its commit', async () => {
    const name = freshName();
    const form = storage();
    const [first, second] = [canaries.plain('typed first'), canaries.plain('typed second')];
    await test.call('POST', all, {
      body: { name, ...form, accessKey: { set: 'AKIA1' }, secretKey: { set: first } },
    });
    const versions = async () =>
      test.server.store.db
        .selectFrom('secret_versions')
        .innerJoin('secrets', 'secrets.id', 'secret_versions.secret_id')
        .select(['secrets.key', 'secret_versions.version'])
        .where('secrets.key', 'like', `storage-config.${name}.%`)
        .orderBy('secrets.key')
        .orderBy('secret_versions.version')
        .execute();
    const before = await versions();
    expect(before).toHaveLength(2);
    const { store } = test.server;
    const execute = store.execute.bind(store);
    store.execute = (command, ...rest) => {
      if (command === 'surfaces.update') throw new StrongroomError('storage_unavailable');
      return execute(command, ...rest);
    };
    const typed = { ...form, accessKey: { set: 'AKIA2' }, secretKey: { set: second } };
    try {
      const body = { ...typed, description: 'another' };
      expect((await test.request('PUT', `${all}/${name}`, { body })).status).toBe(503);
    } finally {
      store.execute = execute;
    }
    expect(await versions()).toEqual(before);
    // Nothing but what was typed: that is a change of the configuration, too.
    expect(await test.call<Answer>('PUT', `${all}/${name}`, { body: typed })).toMatchObject({ revision: 2 });
    expect((await versions()).map(({ version }) => version)).toEqual([1, 2, 1, 2]);
  });

  it('go with the configuration, and are nobody else’s', async () => {
    const name = freshName();
    await test.call('POST', all, { body: { name, ...storage(), secretKey: { set: canaries.plain('own') } } });
    const reference = `secret://domain/managed/storage-config.${name}.secretKey`;
    const body = { name: freshName(), ...samples['spark-job'](reference) };
    const refused = await test.request('POST', pathOf('spark-job'), { body });
    expect(refused.status).toBe(403);
    const used = await test.request('DELETE', `${base}/secrets/storage-config.${name}.secretKey`);
    expect(used.status).toBe(409);
    const around = { body: { value: canaries.plain('around it') } };
    const rotated = await test.request('PUT', `${base}/secrets/storage-config.${name}.secretKey/value`, around);
    expect(rotated.status).toBe(409);
    const offered = await test.call<{ items: { key: string }[] }>('GET', `${base}/choices?q=${name}`);
    expect(offered.items).toEqual([]);
    await test.call('DELETE', `${all}/${name}`);
    expect(await owned(name)).toEqual([]);
  });

  it.each([
    ['two parts', { set: 'x', keep: true }],
    ['no part', {}],
    ['the text of a reference', { set: 'secret://domain/managed/db-password' }],
    ['a placeholder that is not closed', { set: 'a${secrets.key' }],
    ['an empty text', { set: '' }],
  ])('refuse %s', async (_what, secretKey) => {
    const body = { name: freshName(), ...storage(), secretKey };
    expect((await test.request('POST', all, { body })).status).toBe(422);
  });

  const inStorage = { type: 'storage-config', form: storage, at: ['secretKey'] } as const;
  const inConnection = {
    type: 'connection',
    form: () => ({ type: 'postgres', config: { username: 'ann', hostPort: '127.0.0.1:9', database: 'sales' } }),
    at: ['config', 'authType', 'password'],
  } as const;
  const put = (form: object, [name = '', ...below]: readonly string[], sent: object): object => {
    const part = Object(Object(form)[name]) as object;
    return { ...form, [name]: below.length === 0 ? sent : put(part, below, sent) };
  };
  const read = (shown: object, at: readonly string[]) => at.reduce<unknown>((part, name) => Object(part)[name], shown);

  it.each([inStorage, inConnection])(
    'keep a placeholder of a $type as it was written; a migration makes a reference of it, and undo puts it back',
    async ({ type, form: formOf, at }) => {
      const [name, key, many] = [freshName(), freshName(), pathOf(type)];
      await test.call('POST', '/v1/global/secrets', { body: { key, value: canaries.plain(`global ${key}`) } });
      const [value, form, pointer] = [`\${secrets.${key}}`, formOf(), `/${at.join('/')}/value`];
      const made = await test.call<Answer>('POST', many, { body: { name, ...put(form, at, { set: value }) } });
      expect([read(made, at), made['warnings']]).toEqual([{ isSet: true, placeholder: value, isOwned: false }, []]);
      const kept = await test.call<Answer>('PUT', `${many}/${name}`, { body: put(form, at, { keep: true }) });
      expect([kept.revision, read(kept, at)]).toEqual([1, read(made, at)]);
      expect(await owned(name)).toEqual([]);
      const ask = (verb: string) =>
        test.call('POST', `${base}/placeholders/${verb}`, { body: { configurations: [{ surface: type, name }] } });
      const found = { pointer, kind: 'placeholder', becomes: `secret://global/managed/${key}` };
      expect(await ask('scan')).toMatchObject({ items: [{ findings: [found] }] });
      expect(await ask('migrate')).toMatchObject({ items: [{ outcome: 'changed', fields: [found] }] });
      const shown = async () => read(await test.call('GET', `${many}/${name}`), at);
      const secret = { scope: 'global', source: 'managed', key };
      expect(await shown()).toEqual({ isSet: true, secret, isOwned: false });
      expect(await ask('undo')).toMatchObject({ items: [{ outcome: 'changed', fields: [{ restores: value }] }] });
      expect(await shown()).toEqual({ isSet: true, placeholder: value, isOwned: false });
      const unknown = put(form, at, { value: `${value}:\${secrets.${key}-gone}` });
      expect(await test.call('PUT', `${many}/${name}`, { body: unknown })).toMatchObject({
        warnings: [{ code: 'unknown-placeholder', pointer }],
      });
    },
  );

  it('what a crash left of a save is swept after ten minutes, and nothing else', async () => {
    const name = freshName();
    await test.call('POST', all, { body: { name, ...storage(), secretKey: { set: canaries.plain('swept not') } } });
    const row = await test.server.store.db
      .selectFrom('configurations')
      .selectAll()
      .where('name', '=', name)
      .executeTakeFirstOrThrow();
    const { ownedSecrets } = test.server.services;
    const { signal } = new AbortController();
    const later = Date.now() + 600_001;
    await ownedSecrets.sweep(signal, later);
    expect(await owned(name)).toHaveLength(1);
    // As it is between the secret and its configuration.
    const change = { id: row.id, revision: 1, by: 'test', document: row.document, bundleId: row.bundle_id };
    const nothing = { managedBy: null, uniqueKey: null, uses: [], consumptions: [], secretIds: [] };
    await test.server.store.execute('surfaces.update', { ...change, ...nothing });
    await ownedSecrets.sweep(signal);
    const path = `${base}/secrets/storage-config.${name}.secretKey`;
    expect((await test.request('GET', path)).status).toBe(200);
    await ownedSecrets.sweep(signal, later);
    expect((await test.request('GET', path)).status).toBe(404);
  });
});

describe('storage configurations', () => {
  const all = pathOf('storage-config');

  it('are one for each place; the other is named to who may see it', async () => {
    const [name, form] = [freshName(), storage()];
    await test.call('POST', all, { body: { name, ...form, basePath: '/in/' } });
    const body = { name: freshName(), ...form, endpoint: 'http://127.0.0.1:9/', basePath: 'in' };
    const refused = await test.request('POST', all, { body });
    expect([refused.status, refused.body]).toMatchObject([409, { detail: `${name} is for the same place.` }]);
  });

  it.each([
    [
      'https://minio.example.org/',
      ['https://MinIO.Example.org', 'https://minio.example.org:443', 'https://minio.example.org.'],
    ],
    ['http://127.0.0.1', ['http://127.1:80', 'http://2130706433/', 'http://0x7f.0.0.1']],
    ['http://[::1]:9000', ['http://[0:0:0:0:0:0:0:1]:9000/']],
    [undefined, ['https://s3.eu-west-1.amazonaws.com', 'https://S3.dualstack.eu-west-1.amazonaws.com:443/']],
  ])('are one for each place however it is written: %s', async (endpoint, others) => {
    const [name, { endpoint: _endpoint, ...form }] = [freshName(), storage()];
    const place = (written: string | undefined) =>
      written === undefined ? { provider: 'aws', region: 'eu-west-1' } : { endpoint: written };
    await test.call('POST', all, { body: { name, ...form, ...place(endpoint), basePath: 'a/b' } });
    for (const [index, other] of [endpoint, ...others].entries()) {
      const basePath = ['/a/b/', 'a/b', '//a/b//'][index % 3];
      const provider = index % 2 === 0 ? form.provider : 'aws';
      const body = { name: freshName(), ...form, provider, ...place(other), basePath };
      expect([other, (await test.request('POST', all, { body })).status]).toEqual([other, 409]);
    }
    const elsewhere = { name: freshName(), ...form, ...place(endpoint), basePath: 'A/b' };
    expect((await test.request('POST', all, { body: elsewhere })).status).toBe(201);
    const there = { ...form, ...place(endpoint), basePath: 'a/b/' };
    expect((await test.request('PUT', `${all}/${elsewhere.name}`, { body: there })).status).toBe(409);
    expect((await test.request('PUT', `${all}/${name}`, { body: there })).status).toBe(200);
  });

  it.each([
    'http://storage.example.org',
    'https://user:pass@storage.example.org',
    'https://storage.example.org/path',
    'https://storage.example.org?x=1',
    'ftp://127.0.0.1',
    'https://${secrets.host}',
    'https://a\\b',
  ])('refuse the endpoint %s', async (endpoint) => {
    const body = { name: freshName(), ...storage(), endpoint };
    expect((await test.request('POST', all, { body })).status).toBe(422);
  });

  it('are consumed by name and id: one made anew is not inherited, and CONSUME is needed', async () => {
    const [name, cluster] = [freshName(), freshName()];
    const key = canaries.plain('key of what is consumed');
    const form = { name, ...storage(), secretKey: { set: key } };
    await test.call('POST', all, { body: form });
    const clusters = pathOf('compute-cluster');
    await test.call('POST', clusters, { body: { name: cluster, storageConfigs: [name] } });
    const fine = await test.call('POST', `${clusters}/${cluster}/preflight`);
    expect(fine).toMatchObject({
      ok: true,
      references: [{ name: `${name} secretKey`, pointer: '/storageConfigs/0/secretKey/secret', outcome: 'resolved' }],
    });
    const viewer = await test.createUser(freshName(), {
      domains: { finance: 'VIEWER' },
      grants: { finance: ['CREATE_COMPUTE'] },
    });
    const options = { token: viewer.token, body: { name: freshName(), storageConfigs: [name] } };
    expect((await test.request('POST', clusters, options)).status).toBe(403);
    const absent = { body: { name: freshName(), storageConfigs: ['nowhere'] } };
    expect((await test.request('POST', clusters, absent)).status).toBe(422);
    expect((await test.request('DELETE', `${all}/${name}`)).status).toBe(409);
    await test.call('DELETE', `${all}/${name}?force=true`);
    await test.call('POST', all, { body: form });
    const refused = await test.request('POST', `${clusters}/${cluster}/preflight`);
    expect(refused.body).toMatchObject({ code: 'launch_refused' });
  });
});

describe('what runs until it is stopped', () => {
  it('has one run at a time', async () => {
    const [notebooks, name] = [pathOf('notebook'), freshName()];
    await test.call('POST', notebooks, { body: { name } });
    const [first, second] = await Promise.all([
      test.request('POST', `${notebooks}/${name}/runs`),
      test.request('POST', `${notebooks}/${name}/runs`),
    ]);
    expect([first.status, second.status].toSorted()).toEqual([202, 409]);
  });
});

it('no value is in any answer, log or file of the server', () => {
  canaries.watchDirectory(test.dataDir);
  canaries.saw('log', JSON.stringify(test.logged));
  expect(canaries.leaks()).toEqual([]);
});
