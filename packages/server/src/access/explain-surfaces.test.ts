import { setTimeout as delay } from 'node:timers/promises';
import { actionTable, type DomainSurface, routes } from '@strongroom/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, codeOf, startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';
import { connectionForm, integrationForm } from '../../testing/bodies.ts';
import { freshName } from '../../testing/samples.ts';
import {
  domainSurfaces,
  platformSamples,
  platformSurfaces,
  storageSample,
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
      const allowed = await explain({ ...question, principal: olga.name });
      expect(allowed.verdict).toBe('allow');
      const said = (kind: string) => allowed.links.filter(({ link }) => link === kind);
      expect(said('permission')[0]?.detail).toBe('As OWNER of the domain, on the default bundle');
      // As receipts, drift and lists write it.
      for (const { name: version } of said('version')) expect(version).toBe('version 1.1');
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
    const mark = await test.createUser('mark', { domains: { finance: 'MEMBER' } });
    const left = await saved('spark-job', mark);
    await test.call('DELETE', `${base}/members/${mark.name}`);
    expect(denying(await ask(left.asset, 'run'))).toMatchObject([
      { link: 'authoriser', name: mark.name, because: ['no-standing'], fixableBy: expect.arrayContaining([olga.name]) },
    ]);
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
      const reference = 'secret://domain/managed/db-password';
      const alone = await explain({ action: 'use', domain: 'finance', reference, principal: olga.name });
      expect(denying(alone)).toMatchObject([{ link: 'feature', fixableBy: ['role:PLATFORM_ADMIN'] }]);
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

  it('says of a reference alone that its secret is deleted, to who lists secrets', async () => {
    const key = freshName();
    await test.call('POST', `${base}/secrets`, { body: { key, value: 'a value' } });
    await test.call('DELETE', `${base}/secrets/${key}`);
    const body = { action: 'use', domain: 'finance', reference: `secret://domain/managed/${key}` };
    const told = await test.call<ExplanationView>('POST', '/v1/explain', { body, token: olga.token });
    expect(denying(told)).toMatchObject([
      { link: 'catalogue', because: ['deleted'], detail: expect.stringContaining('can be restored') },
    ]);
    expectFixable(told);
    const stranger = await test.createUser(freshName());
    await test.call('POST', `${base}/grants`, { body: { principal: stranger.name, permission: 'CREATE_NOTEBOOK' } });
    const asStranger = await test.call<ExplanationView>('POST', '/v1/explain', { body, token: stranger.token });
    expect(denying(asStranger)).toMatchObject([{ link: 'catalogue', because: ['not-found'] }]);
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

describe('USE of what a configuration refers to', () => {
  const bundle = 'vaulted';
  const placeholder = '${secrets.narrow-key}';
  /** Where each kind takes a text. */
  const withText: Readonly<Record<DomainSurface, object>> = {
    'spark-job': { command: ['true'], environment: [{ name: 'A', value: placeholder }] },
    'compute-cluster': { sparkConfig: [{ name: 'spark.a', value: placeholder }] },
    notebook: { environment: [{ name: 'A', value: placeholder }] },
    'storage-config': { ...storageSample(), accessKey: { set: placeholder } },
    connection: { ...connectionForm, config: { ...connectionForm.config, password: { set: placeholder } } },
  };
  const references = {
    secret: 'secret://domain/managed/narrow-key',
    'key of an integration': 'secret://domain/narrow-vault/app/db#password',
    placeholder: null,
  } as const;
  const refusedAs = (what: string) =>
    what === 'key of an integration'
      ? { save: 'reference_unresolved', outcome: 'source-unknown', fixers: 2 }
      : { save: 'permission_missing', outcome: 'use-missing', fixers: 1 };
  let ann: TestUser;

  beforeAll(async () => {
    ann = await test.createUser('ann', { domains: { finance: 'MEMBER' } });
    await test.call('POST', `${base}/bundles`, { body: { name: bundle } });
    await test.call('POST', `${base}/integrations`, { body: { name: 'narrow-vault', ...integrationForm, bundle } });
    for (const [place, scope] of [
      [base, 'domain'],
      ['/v1/global', 'global'],
    ] as const) {
      await test.call('POST', `${place}/secrets`, { body: { key: 'narrow-key', value: `value of ${scope}` } });
      const body = { type: 'secret', prefix: 'narrow-', scope };
      await test.call('POST', `${base}/bundles/${bundle}/assets`, { body });
    }
  });

  const asked = (path: string, token: string, body?: object): Promise<Answer> =>
    test.request('POST', path, { token, ...(body === undefined ? {} : { body }) });
  const outcomeOf = async (path: string, token: string) => {
    const { references: found } = (await asked(`${path}/preflight`, token)).body as PreflightAnswer;
    return found.map(({ outcome }) => outcome);
  };
  const endOf = async (path: string, token: string): Promise<RunAnswer> => {
    const { id } = (await asked(`${path}/runs`, token)).body as { id: string };
    for (;;) {
      const run = await test.call<RunAnswer>('GET', `${base}/runs/${id}`);
      if (run.state !== 'queued' && run.state !== 'running') return run;
      await delay(5);
    }
  };

  it.each(
    domainSurfaces.flatMap((type) =>
      Object.entries(references).map(([what, reference]) => ({ type, what, reference })),
    ),
  )('of a $type is checked at save, at its test and at its launch, and ends with the grant: $what', async (each) => {
    const { type, what, reference } = each;
    const [all, name] = [surfacePath(type), freshName()];
    const form = reference === null ? withText[type] : surfaceSamples[type](reference);
    const { save, outcome, fixers } = refusedAs(what);
    const tested = routes.some(({ path }) => path === `${surfacePath(type, '{domain}')}/test`);
    const unresolved = { ok: false, steps: [{ outcome: 'failed', cause: 'unresolved' }] };
    expect(codeOf(await asked(all, ann.token, { name, ...form }))).toBe(save);
    if (tested) expect((await asked(`${all}/test`, ann.token, form)).body).toMatchObject(unresolved);

    const assetType = what === 'key of an integration' ? 'integration' : 'secret';
    const body = { principal: ann.name, assetType, permissions: ['USE'] };
    const grant = await test.call<{ id: string }>('POST', `${base}/bundles/${bundle}/grants`, { body });
    await test.call('POST', all, { token: ann.token, body: { name, ...form } });
    expect(await outcomeOf(`${all}/${name}`, ann.token)).not.toContain(outcome);
    await test.call('DELETE', `${base}/bundles/${bundle}/grants/${grant.id}`);

    // Also for who has USE: it is on the authority of who put it there.
    for (const token of [ann.token, test.adminToken])
      expect(await outcomeOf(`${all}/${name}`, token)).toEqual([outcome]);
    if (tested) expect((await asked(`${all}/${name}/test`, ann.token, form)).body).toMatchObject(unresolved);
    if (launchables.some((launchable) => launchable.type === type)) {
      const { state, variables } = await endOf(`${all}/${name}`, test.adminToken);
      expect([state, variables]).toMatchObject(['failed', [{ outcome }]]);
      for (const { fixableBy } of variables) expect(fixableBy).toHaveLength(fixers);
    }
  });
});

it('a Global secret that is assigned to other domains alone is like one that is not there, whoever asks in whichever way', async () => {
  await test.createDomain('sales');
  const keys = { there: 'of-others-1', deleted: 'of-others-2', absent: 'of-others-3' };
  for (const key of [keys.there, keys.deleted]) {
    await test.call('POST', '/v1/global/secrets', { body: { key, value: 'a value' } });
    await test.call('PUT', `/v1/global/secrets/${key}/assignments`, { body: { domains: ['sales'] } });
  }
  await test.call('DELETE', `/v1/global/secrets/${keys.deleted}`);
  const viewer = await test.createUser('vivian', { domains: { finance: 'VIEWER' } });
  const told = async (key: string): Promise<string> => {
    const body = { name: key, command: ['true'], environment: [{ name: 'A', value: `\${secrets.${key}}` }] };
    const answers: unknown[] = [await test.call('POST', surfacePath('spark-job'), { body, token: olga.token })];
    const reference = `secret://global/managed/${key}`;
    for (const { token } of [olga, viewer, nina])
      for (const asked of [
        { action: 'use', reference },
        { action: 'run', asset: `spark-job/${key}` },
      ])
        answers.push(await test.call('POST', '/v1/explain', { token, body: { domain: 'finance', ...asked } }));
    answers.push(await test.call('POST', `${surfacePath('spark-job')}/${key}/preflight`, { token: olga.token }));
    const { id } = await test.call<{ id: string }>('POST', `${surfacePath('spark-job')}/${key}/runs`);
    for (let state = 'queued'; state === 'queued' || state === 'running'; await delay(5))
      ({ state } = await test.call<RunAnswer>('GET', `${base}/runs/${id}`));
    for (const path of [`runs/${id}`, 'inventory?finding=used-but-missing', 'audit?limit=200']) {
      const answer = await test.call<{ items?: object[] }>('GET', `${base}/${path}`, { token: olga.token });
      answers.push(answer.items?.filter((item) => JSON.stringify(item).includes(key)) ?? answer);
    }
    const changing =
      /"(?:chain|sequence|at|hash|id|requestId|launch|[a-z]+At|took|[a-z]*[mM]illiseconds)":(?:"(?:[a-z]+_)?[^"]*"|\d+)/g;
    return JSON.stringify(answers)
      .replaceAll(key, 'KEY')
      .replaceAll(changing, '')
      .replaceAll(/sec_\w+/g, '<id>');
  };
  const absent = await told(keys.absent);
  expect(absent).not.toContain('<id>');
  expect(await told(keys.there)).toBe(absent);
  expect(await told(keys.deleted)).toBe(absent);
  const question = { action: 'use', domain: 'finance', reference: `secret://global/managed/${keys.there}` };
  const { links } = await explain({ ...question, principal: olga.name });
  expect(links.find(({ link }) => link === 'assignment')).toMatchObject({ because: ['not-assigned'] });
  const { items } = await test.call<{ items: { key: string; cause: string }[] }>('GET', `${base}/inventory?limit=200`);
  const causes = items.flatMap(({ key, cause }) => (key.startsWith('of-others') ? [`${key} ${cause}`] : []));
  expect(causes.toSorted()).toEqual([`${keys.there} not-assigned`, `${keys.deleted} deleted`, `${keys.absent} absent`]);
});

interface PreflightAnswer {
  readonly references: readonly { readonly outcome: string }[];
}

interface RunAnswer {
  readonly state: string;
  readonly variables: readonly { readonly outcome: string; readonly fixableBy?: readonly string[] }[];
}
