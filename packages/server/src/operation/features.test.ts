import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, startTestServer, type TestServer } from '../../testing/app.ts';

const inFinance = '/v1/domains/finance';
const reference = { scope: 'domain', source: 'managed', key: 'own' };
const typed = { name: 'B', value: '${secrets.shared}' };
let test: TestServer;

beforeAll(async () => {
  test = await startTestServer();
  await test.createDomain('finance');
  await test.call('POST', '/v1/global/secrets', { body: { key: 'shared', value: 'value of all' } });
  await test.call('POST', `${inFinance}/secrets`, { body: { key: 'own', value: 'value of one' } });
  await saveJob('legacy', [typed]);
});
afterAll(() => test.close());

const saveJob = (name: string, environment: readonly object[]) =>
  test.call('POST', `${inFinance}/spark-jobs`, { body: { name, command: ['true'], environment } });
const turn = (enabled: boolean, query = '') =>
  test.request('PATCH', `/v1/settings${query}`, { body: { features: { secretsV2: { enabled } } } });
const doctor = async () => {
  const { checks } = await test.call<{ checks: { id: string; status: string }[] }>('GET', '/v1/doctor');
  return checks.find(({ id }) => id === 'feature')?.status;
};

async function endOf(name: string): Promise<unknown> {
  const { id } = await test.call<{ id: string }>('POST', `${inFinance}/spark-jobs/${name}/runs`);
  for (;;) {
    const run = await test.call<{ state: string }>('GET', `${inFinance}/runs/${id}`);
    if (run.state !== 'queued' && run.state !== 'running') return run;
    await delay(20);
  }
}

describe('secretsV2, turned off by the API', () => {
  it('goes off while nothing holds a reference, and back', async () => {
    expect([(await turn(false)).status, await doctor()]).toEqual([200, 'ok']);
    expect(await endOf('legacy')).toMatchObject({ state: 'succeeded' });
    expect((await turn(true)).status).toBe(200);
  });

  it('stays on while configurations hold references, and names them, unless forced', async () => {
    await saveJob('modern', [{ name: 'A', secret: reference }, typed]);
    const refused = await turn(false);
    expect([refused.status, codeOf(refused)]).toEqual([409, 'in_use']);
    expect(refused.body).toMatchObject({ errors: [{ message: 'spark-job modern of finance holds references' }] });
    expect((await test.request('GET', `${inFinance}/secrets`)).status).toBe(200);
    const forced = await turn(false, '?force=true');
    expect([forced.status, forced.body]).toMatchObject([200, { features: { secretsV2: { enabled: false } } }]);
    // It is off already.
    expect((await turn(false)).status).toBe(200);
    const { items } = await test.call<{ items: object[] }>('GET', '/v1/audit?action=settings.manage&limit=2');
    expect(items[1]).toMatchObject({ detail: { enabled: false, forced: true } });
    expect(await doctor()).toBe('red');
  });

  it('fails each launch that needs a reference, and says so; placeholders and Global go on', async () => {
    const failed = await endOf('modern');
    expect(failed).toMatchObject({ state: 'failed' });
    expect(JSON.stringify(failed)).toContain('feature-disabled');
    const preflight = await test.call('POST', `${inFinance}/spark-jobs/modern/preflight`);
    expect(preflight).toMatchObject({ ok: false });
    expect(await endOf('legacy')).toMatchObject({ state: 'succeeded' });
    await test.call('PUT', '/v1/global/secrets/shared/value', { body: { value: 'another' } });
    const imported = { from: { integration: 'vault' } };
    expect(codeOf(await test.request('POST', '/v1/global/secrets/import', { body: imported }))).toBe(
      'feature_disabled',
    );
  });

  it('saves no reference that was not there, and leaves those that were', async () => {
    const body = { name: 'new', command: ['true'], environment: [{ name: 'A', secret: reference }] };
    const refused = await test.request('POST', `${inFinance}/spark-jobs`, { body });
    expect([refused.status, codeOf(refused)]).toEqual([403, 'feature_disabled']);
    const denied = await test.call('GET', '/v1/audit?action=secret.use&outcome=denied&limit=1');
    expect(denied).toMatchObject({ items: [{ because: ['feature-disabled'] }] });
    const storage = { provider: 's3-compatible', endpoint: 'http://127.0.0.1:9', bucket: 'bucket' };
    const owned = await test.request('POST', `${inFinance}/storage-configs`, {
      body: { name: 'typed', ...storage, secretKey: { set: 'typed into a field' } },
    });
    expect(codeOf(owned)).toBe('feature_disabled');
    await test.call('PUT', `${inFinance}/spark-jobs/modern`, {
      body: { command: ['false'], environment: [{ name: 'A', secret: reference }, typed] },
    });
  });

  it('leaves USE to be checked at the save and at the launch of what holds a placeholder', async () => {
    const { token } = await test.createUser('mia', { domains: { finance: 'MEMBER' } });
    const bundle = `${inFinance}/bundles/mail`;
    const actor = { principal: 'user:mia', assetType: 'secret', permissions: ['USE'] };
    await test.call('POST', `${inFinance}/bundles`, { body: { name: 'mail' } });
    await test.call('POST', `${bundle}/assets`, { body: { type: 'secret', scope: 'global', key: 'shared' } });
    const body = { name: 'mias', command: ['true'], environment: [typed] };
    const save = () => test.request('POST', `${inFinance}/spark-jobs`, { token, body });
    const refused = await save();
    expect([refused.status, codeOf(refused)]).toEqual([403, 'permission_missing']);
    const granted = await test.call<{ id: string }>('POST', `${bundle}/grants`, { body: actor });
    expect((await save()).status).toBe(201);
    expect(await endOf('mias')).toMatchObject({ state: 'succeeded' });
    await test.call('DELETE', `${bundle}/grants/${granted.id}`);
    expect(JSON.stringify(await endOf('mias'))).toContain('use-missing');
    await test.call('DELETE', `${inFinance}/spark-jobs/mias`);
    await test.call('DELETE', `${bundle}?force=true`);
  });

  it('is migrated to by nobody, and left by undo', async () => {
    expect(await test.call('POST', `${inFinance}/placeholders/scan`, { body: {} })).toMatchObject({
      items: [{ configuration: 'legacy' }, { configuration: 'modern' }],
    });
    const migrate = () => test.request('POST', `${inFinance}/placeholders/migrate`, { body: {} });
    expect(codeOf(await migrate())).toBe('feature_disabled');
    await turn(true);
    expect((await migrate()).body).toMatchObject({ items: [{ outcome: 'changed' }, { outcome: 'changed' }] });
    await turn(false, '?force=true');
    expect(await endOf('legacy')).toMatchObject({ state: 'failed' });
    await test.call('POST', `${inFinance}/placeholders/undo`, { body: {} });
    expect(await endOf('legacy')).toMatchObject({ state: 'succeeded' });
    await turn(true);
    await test.call('PUT', `${inFinance}/spark-jobs/modern`, {
      body: { command: ['true'], environment: [{ name: 'A', secret: reference }] },
    });
    expect([await endOf('modern'), await doctor()]).toMatchObject([{ state: 'succeeded' }, 'ok']);
  });
});

describe('secretsV2, turned off by the configuration', () => {
  it('is what the API can not change, whatever is held', async () => {
    await test.restart({ STRONGROOM_FEATURES_SECRETSV2_ENABLED: 'false' });
    expect(await test.call('GET', '/v1/settings')).toMatchObject({
      features: { secretsV2: { enabled: false, setBy: 'configuration' } },
    });
    for (const enabled of [true, false]) expect(codeOf(await turn(enabled, '?force=true'))).toBe('state_conflict');
    expect(codeOf(await test.request('GET', `${inFinance}/secrets`))).toBe('feature_disabled');
    expect(await endOf('modern')).toMatchObject({ state: 'failed' });
    expect(await endOf('legacy')).toMatchObject({ state: 'succeeded' });
    expect(await doctor()).toBe('red');
  });
});
