import { actionTable, type DomainSurface, routes } from '@strongroom/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';
import { freshName } from '../../testing/samples.ts';
import {
  domainSurfaces,
  platformSamples,
  platformSurfaces,
  surfacePath,
  surfaceSamples,
} from '../../testing/surface-samples.ts';
import { type AnySurface, launchables, surfaces, useActionOf } from '../surfaces/registry.ts';
import type { ExplanationView } from './explain.ts';

let test: TestServer;
let nina: TestUser;
let olga: TestUser;
const base = '/v1/domains/finance';

beforeAll(async () => {
  test = await startTestServer();
  await test.createDomain('finance');
  nina = await test.createUser('nina', { grants: { finance: ['LIST_SECRETS'] } });
  olga = await test.createUser('olga', { domains: { finance: 'OWNER' } });
});
afterAll(() => test.close());

const explain = (question: object): Promise<ExplanationView> =>
  test.call<ExplanationView>('POST', '/v1/explain', { body: question });

/** Every link that denies says why in words, and who can change it. */
function expectFixable({ links }: ExplanationView): void {
  const denying = links.filter(({ outcome }) => outcome === 'deny');
  expect(denying).not.toEqual([]);
  for (const { detail, because, fixableBy } of denying)
    expect([detail, because.length > 0, fixableBy.length > 0]).toEqual([expect.stringMatching(/\w/), true, true]);
}

/** What beyond the permission is walked when something is used that holds one reference to a managed secret. */
function linksOfUse({ actions, credentials, launch }: AnySurface): string[] {
  return [
    ...(actions.suspend === undefined ? [] : ['state']),
    'feature',
    'authoriser',
    'catalogue',
    'version',
    'permission',
    'bundle',
    ...(credentials === undefined ? [] : ['destination']),
    'backend',
    ...(launch === undefined ? [] : ['runner']),
  ];
}

it.each(domainSurfaces)(
  'each action on a %s is explained link by link, with who can change what denies',
  async (type) => {
    const [name, key] = [freshName(), freshName()];
    await test.call('POST', `${base}/secrets`, { body: { key, value: 'a value' } });
    const body = { name, ...surfaceSamples[type](`secret://domain/managed/${key}`) };
    await test.call('POST', surfacePath(type), { body });
    const own = Object.values(surfaces[type].actions).filter((action) => actionTable[action].on === 'asset');
    for (const action of new Set(own)) {
      const question = { action, domain: 'finance', asset: `${type}/${name}` };
      const denied = await explain({ ...question, principal: nina.name });
      expect([action, denied.verdict]).toEqual([action, 'deny']);
      expect(denied.links.map(({ link }) => link)).toEqual([
        'principal',
        'domain',
        'catalogue',
        'permission',
        'bundle',
        ...(action === useActionOf(surfaces[type]) ? linksOfUse(surfaces[type]) : []),
      ]);
      expectFixable(denied);
      expect(denied.links.find(({ link }) => link === 'permission')?.fixableBy).toContain(olga.name);
      expect(await explain({ ...question, principal: olga.name })).toMatchObject({ verdict: 'allow' });
    }
  },
);

it.each(platformSurfaces)(
  'each action on the %s of the platform is explained, with the role that can change it',
  async (type) => {
    const asset = `${type}/${type}`;
    for (const action of ['view', 'manage', ...new Set(Object.values(surfaces[type].actions))]) {
      const denied = await explain({ action, asset, principal: nina.name });
      expect([action, denied.verdict, denied.subject]).toEqual([action, 'deny', asset]);
      expectFixable(denied);
      expect(await explain({ action, asset })).toMatchObject({ verdict: 'allow' });
    }
    for (const question of [
      { action: 'run', asset },
      { action: 'view', asset: `${type}/other` },
      { action: 'secret.use', asset },
    ]) {
      const answer = await test.request('POST', '/v1/explain', { body: question });
      expect(codeOf(answer)).toBe('validation_failed');
    }
  },
);

it.each(domainSurfaces)('preflight of a %s names what would stop it, why, and who can change it', async (type) => {
  const [name, key] = [freshName(), freshName()];
  await test.call('POST', `${base}/secrets`, { body: { key, value: 'a value' } });
  const body = { name, ...surfaceSamples[type](`secret://domain/managed/${key}`) };
  await test.call('POST', surfacePath(type), { body });
  const path = `${surfacePath(type)}/${name}/preflight`;
  expect(await test.call('POST', path)).toMatchObject({ ok: true, references: [{ outcome: 'resolved' }] });
  await test.call('DELETE', `${base}/secrets/${key}?force=true`);
  expect(await test.call('POST', path)).toMatchObject({
    ok: false,
    references: [{ outcome: 'deleted', cause: expect.stringMatching(/\w/), fixableBy: ['MANAGE_SECRETS in finance'] }],
  });
});

it('every surface that is registered has a preflight, for who may use it', () => {
  for (const surface of Object.values<AnySurface>(surfaces)) {
    const place =
      surface.scope === 'admin' ? `/v1/platform/${surface.type}` : `${surfacePath(surface.type, '{domain}')}/{name}`;
    const found = routes.find(({ method, path }) => method === 'POST' && path === `${place}/preflight`);
    expect([surface.type, found?.access]).toMatchObject([surface.type, { action: useActionOf(surface) }]);
  }
});

describe('a configuration that is used', () => {
  const saved = async (type: DomainSurface, by: TestUser, more: object = {}) => {
    const [name, key] = [freshName(), freshName()];
    await test.call('POST', `${base}/secrets`, { body: { key, value: 'a value' } });
    const body = { name, ...surfaceSamples[type](`secret://domain/managed/${key}`), ...more };
    await test.call('POST', surfacePath(type), { body, token: by.token });
    return { name, key, asset: `${type}/${name}` };
  };
  const ask = (asset: string, action: string, token?: string) =>
    test.call<ExplanationView>('POST', '/v1/explain', {
      body: { action, domain: 'finance', asset },
      ...(token === undefined ? {} : { token }),
    });
  const denying = ({ links }: ExplanationView) => links.filter(({ outcome }) => outcome === 'deny');

  it.each(domainSurfaces)('of kind %s: each link of its reference that fails, at its field', async (type) => {
    const word = launchables.some((each) => each.type === type) ? 'run' : 'use';
    const { key, asset } = await saved(type, olga);
    const before = await ask(asset, word, olga.token);
    expect([before.verdict, denying(before)]).toEqual(['allow', []]);
    await test.call('DELETE', `${base}/secrets/${key}?force=true`);
    const after = await ask(asset, word, olga.token);
    expect(denying(after)).toMatchObject([
      {
        link: 'catalogue',
        because: ['deleted'],
        detail: 'The secret is deleted; it can be restored.',
        fixableBy: expect.arrayContaining([olga.name]),
        at: { reference: `secret://domain/managed/${key}`, field: expect.any(String), pointer: expect.any(String) },
      },
    ]);
  });

  it('names who put a reference there and is gone, to who may know, and who can save it again', async () => {
    const paul = await test.createUser('paul', { domains: { finance: 'MEMBER' } });
    const { asset } = await saved('spark-job', paul);
    await test.call('PATCH', `/v1/users/${paul.id}`, { body: { isDisabled: true } });
    const [found] = denying(await ask(asset, 'run', olga.token));
    expect(found).toMatchObject({
      link: 'authoriser',
      name: 'user:paul',
      because: ['disabled'],
      fixableBy: expect.arrayContaining([olga.name]),
      at: { field: 'PGPASSWORD' },
    });
  });

  it('names a storage configuration that is gone, a runner that is not there, and the feature flag', async () => {
    const storage = freshName();
    const body = { name: storage, ...surfaceSamples['storage-config']() };
    await test.call('POST', `${base}/secrets`, { body: { key: 'db-password', value: 'a value' } });
    await test.call('POST', surfacePath('storage-config'), { body });
    const { asset } = await saved('spark-job', olga, {
      storageConfigs: [storage],
      runner: 'kubernetes',
      image: 'spark',
    });
    const before = await ask(asset, 'run', olga.token);
    expect(before.links.map(({ link }) => link)).toContain('storage');
    expect(before.links.filter(({ at }) => at?.pointer.startsWith('/storageConfigs/0/')).length).toBeGreaterThan(3);
    expect(denying(before)).toMatchObject([{ link: 'runner', because: ['runner_unavailable'] }]);
    await test.call('DELETE', `${surfacePath('storage-config')}/${storage}?force=true`);
    await test.call('PATCH', `${surfacePath('spark-job')}/${asset.split('/')[1]}`, { body: { suspended: true } });
    await test.call('PATCH', '/v1/settings?force=true', { body: { features: { secretsV2: { enabled: false } } } });
    try {
      const after = await ask(asset, 'run', olga.token);
      expect(denying(after).map(({ link }) => link)).toEqual(['state', 'feature', 'storage', 'runner']);
      expectFixable(after);
    } finally {
      await test.call('PATCH', '/v1/settings', { body: { features: { secretsV2: { enabled: true } } } });
    }
  });

  it('says nothing of what the asker may not see: absent, deleted and there are alike', async () => {
    const vera = await test.createUser('vera');
    const bundle = freshName();
    await test.call('POST', `${base}/bundles`, { body: { name: bundle } });
    const grant = { principal: vera.name, assetType: 'spark-job', permissions: ['VIEW'] };
    await test.call('POST', `${base}/bundles/${bundle}/grants`, { body: grant });
    const { key, asset } = await saved('spark-job', olga);
    const move = surfaceSamples['spark-job'](`secret://domain/managed/${key}`);
    await test.call('PUT', `${surfacePath('spark-job')}/${asset.split('/')[1]}`, { body: { ...move, bundle } });
    const there = await ask(asset, 'run', vera.token);
    const ofReference = there.links.filter(({ at }) => at !== undefined);
    expect(ofReference).toMatchObject([
      { link: 'authoriser', name: olga.name },
      { link: 'catalogue', outcome: 'unknown', because: ['not-found'], fixableBy: [] },
    ]);
    expect(there.links.filter(({ link }) => link === 'backend')).toEqual([]);
    await test.call('DELETE', `${base}/secrets/${key}?force=true`);
    expect((await ask(asset, 'run', vera.token)).links).toEqual(there.links);
    await test.call('POST', `${base}/secrets/${key}/purge`);
    expect((await ask(asset, 'run', vera.token)).links).toEqual(there.links);
    // Who may run it is told what a preflight tells.
    await test.call('POST', `${base}/bundles/${bundle}/grants`, { body: { ...grant, permissions: ['RUN'] } });
    expect(denying(await ask(asset, 'run', vera.token))).toMatchObject([{ link: 'catalogue', because: ['missing'] }]);
  });

  it.each(platformSurfaces)('of the platform: %s', async (type) => {
    const key = freshName();
    await test.call('POST', '/v1/admin/secrets', { body: { key, value: 'a value' } });
    const question = { action: 'use', asset: `${type}/${type}` };
    expect(denying(await explain(question))).toMatchObject([{ because: ['not-found'] }]);
    await test.call('PUT', `/v1/platform/${type}`, { body: platformSamples[type](`secret://admin/managed/${key}`) });
    expect(await explain(question)).toMatchObject({ verdict: 'allow' });
    const preflight = `/v1/platform/${type}/preflight`;
    expect(await test.call('POST', preflight)).toMatchObject({ ok: true, references: [{ outcome: 'resolved' }] });
    await test.call('DELETE', `/v1/admin/secrets/${key}?force=true`);
    expect(await test.call('POST', preflight)).toMatchObject({
      ok: false,
      references: [{ outcome: 'deleted', fixableBy: expect.anything() }],
    });
    const after = await explain(question);
    expect(denying(after)).toMatchObject([{ link: 'catalogue', because: ['deleted'] }]);
    expectFixable(after);
    const { links } = await test.call<ExplanationView>('POST', '/v1/explain', { body: question, token: olga.token });
    expect(links.map(({ link }) => link)).toEqual(['principal', 'permission', 'catalogue']);
    expect(links[2]).toMatchObject({ outcome: 'unknown', because: ['not-listed'] });
  });
});
