import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';
import { freshName } from '../../testing/samples.ts';
import { surfaceSamples } from '../../testing/surface-samples.ts';
import type { ImpactView } from './gather.ts';

let test: TestServer;
let olga: TestUser;
const base = '/v1/domains/finance';

const impactOf = (path: string, token = test.adminToken): Promise<ImpactView> =>
  test.call<ImpactView>('GET', path, { token });

beforeAll(async () => {
  test = await startTestServer();
  await test.createDomain('finance');
  await test.createDomain('sales');
  olga = await test.createUser('olga', { domains: { finance: 'OWNER' } });
});
afterAll(() => test.close());

describe('a member that is removed', () => {
  it('is told with what it keeps: single grants, grants on bundles, and bundles of its own', async () => {
    const person = await test.createUser(freshName(), { domains: { finance: 'MEMBER', sales: 'MEMBER' } });
    const path = `${base}/members/${person.name}/impact`;
    expect((await impactOf(path)).remains).toBeUndefined();

    const [shared, own] = [freshName(), freshName()];
    const grant = await test.call<{ id: string }>('POST', `${base}/grants`, {
      body: { principal: person.name, permission: 'CREATE_NOTEBOOK' },
    });
    await test.call('POST', `${base}/bundles`, { body: { name: shared } });
    await test.call('POST', `${base}/bundles`, { body: { name: own, owner: person.name } });
    const onBundle = await test.call<{ id: string }>('POST', `${base}/bundles/${shared}/grants`, {
      body: { principal: person.name, assetType: 'secret', permissions: ['USE'] },
    });
    // What it has elsewhere, and what others have here, is no part of it.
    await test.call('POST', '/v1/domains/sales/grants', {
      body: { principal: person.name, permission: 'CREATE_NOTEBOOK' },
    });
    await test.call('POST', `${base}/grants`, { body: { principal: 'user:olga', permission: 'CREATE_NOTEBOOK' } });

    const remains = {
      grants: [{ id: grant.id, permission: 'CREATE_NOTEBOOK' }],
      bundleGrants: [{ id: onBundle.id, bundle: shared, assetType: 'secret', permissions: ['USE'] }],
      bundles: [own],
    };
    expect((await impactOf(path, olga.token)).remains).toEqual(remains);
    // It stays beside a lesser preset as well.
    expect((await impactOf(`${path}?preset=VIEWER`)).remains).toEqual(remains);
    expect((await test.request('GET', path, { token: person.token })).status).toBe(403);

    // It is still there, as was told, and ends as was told.
    await test.call('DELETE', `${base}/members/${person.name}`);
    const { items } = await test.call<{ items: { id: string }[] }>('GET', `${base}/grants`);
    expect(items.map(({ id }) => id)).toContain(grant.id);
  });
});

describe('a storage configuration that is deleted', () => {
  it('is told with what uses it, to who may delete it; of what they may not see, how many', async () => {
    const [storage, job, name] = [freshName(), freshName(), freshName()];
    await test.call('POST', `${base}/secrets`, { body: { key: 'db-password', value: 'value of db-password' } });
    const path = `${base}/storage-configs/${storage}/impact`;
    await test.call('POST', `${base}/storage-configs`, {
      body: { name: storage, ...surfaceSamples['storage-config']() },
    });
    expect(await impactOf(path)).toMatchObject({
      change: 'delete',
      effect: 'launches-fail',
      configurations: [],
      hidden: { configurations: 0 },
      isComplete: true,
    });
    expect((await impactOf(path, olga.token)).configurations).toEqual([]);
    const viewer = await test.createUser(freshName(), { domains: { finance: 'VIEWER' } });
    expect((await test.request('GET', path, { token: viewer.token })).status).toBe(403);

    const person = await test.createUser(freshName());
    const bundle = freshName();
    await test.call('POST', `${base}/bundles`, { body: { name: bundle } });
    await test.call('POST', `${base}/bundles/${bundle}/grants`, {
      body: { principal: person.name, assetType: 'storage-config', permissions: ['VIEW', 'DELETE'] },
    });
    const { id } = await test.call<{ id: string }>('GET', `${base}/storage-configs/${storage}`);
    await test.call('POST', `${base}/bundles/default/assets/${id}/move`, { body: { bundle } });
    await test.call('POST', `${base}/spark-jobs`, {
      body: { name: job, command: ['true'], storageConfigs: [storage] },
    });
    await test.call('POST', `${base}/notebooks`, { body: { name, storageConfigs: [storage] } });
    expect((await impactOf(path)).configurations).toMatchObject([
      { domain: 'finance', surface: 'notebook', configuration: name, via: [`storage-config/${storage}`] },
      { domain: 'finance', surface: 'spark-job', configuration: job, via: [`storage-config/${storage}`] },
    ]);
    const theirs = await impactOf(path, person.token);
    expect(theirs).toMatchObject({ configurations: [], hidden: { configurations: 2 } });
    expect(JSON.stringify(theirs)).not.toContain(job);
    const stranger = await test.createUser(freshName());
    expect((await test.request('GET', path, { token: stranger.token })).status).toBe(404);
  });
});
