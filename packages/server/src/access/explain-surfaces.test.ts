import { actionTable } from '@strongroom/contract';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { codeOf, startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';
import { freshName } from '../../testing/samples.ts';
import { domainSurfaces, platformSurfaces, surfacePath, surfaceSamples } from '../../testing/surface-samples.ts';
import { launchables, surfaces } from '../surfaces/registry.ts';
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

it.each(launchables.map(({ type }) => type))(
  'preflight of a %s names what would stop it, why, and who can change it',
  async (type) => {
    const [name, key] = [freshName(), freshName()];
    const surface = domainSurfaces.find((each) => each === type);
    if (surface === undefined) throw new Error(`${type} is no surface of a domain`);
    await test.call('POST', `${base}/secrets`, { body: { key, value: 'a value' } });
    const body = { name, ...surfaceSamples[surface](`secret://domain/managed/${key}`) };
    await test.call('POST', surfacePath(type), { body });
    const path = `${surfacePath(type)}/${name}/preflight`;
    expect(await test.call('POST', path)).toMatchObject({ ok: true, references: [{ outcome: 'resolved' }] });
    await test.call('DELETE', `${base}/secrets/${key}?force=true`);
    expect(await test.call('POST', path)).toMatchObject({
      ok: false,
      references: [
        { outcome: 'deleted', cause: expect.stringMatching(/\w/), fixableBy: ['MANAGE_SECRETS in finance'] },
      ],
    });
  },
);
