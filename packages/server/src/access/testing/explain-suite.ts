import { beforeAll, describe, expect, it } from 'vitest';
import type { OpenStoreForTest } from '../../../testing/stores.ts';
import { DriftService } from '../../launches/drift.ts';
import { secretKnowledge } from '../../secrets/knowledge.ts';
import { globalScopeId } from '../../store/ids.ts';
import { AccessWorld, codeOf } from './access-world.ts';
import type { ExplanationView } from '../explain.ts';

const reference = 'secret://domain/managed/db-password';
const denied = (view: ExplanationView) =>
  view.links.filter((link) => link.outcome !== 'allow').map((link) => [link.link, link.because[0]]);

export function explainSuite(openStore: OpenStoreForTest): void {
  describe('explain', () => {
    let world: AccessWorld;
    beforeAll(async () => {
      world = await AccessWorld.open(openStore, 'explain');
      await world.addSecret(world.finance, 'db-password');
      await world.addJob(world.finance, 'nightly');
    });

    it('walks an allowed chain', async () => {
      const view = await world.explain.explain(await world.caller('ann'), {
        action: 'use',
        domain: 'finance-explain',
        reference,
      });
      expect(view).toMatchObject({
        principal: 'user:ann',
        action: 'use',
        domain: 'finance-explain',
        subject: reference,
        verdict: 'allow',
      });
      expect(view.links.map((link) => [link.link, link.name, link.because.join(' ')])).toEqual([
        ['principal', 'user:ann', 'enabled'],
        ['domain', 'finance-explain', 'preset:MEMBER'],
        ['catalogue', reference, 'found'],
        ['permission', 'USE', 'preset:MEMBER bundle:default'],
        ['bundle', 'default', 'preset:MEMBER bundle:default'],
        ['backend', 'DATABASE', 'embedded'],
      ]);
      expect(view.links.map(({ detail }) => detail)).toContain('As MEMBER of the domain, on the default bundle');
      const [line] = await world.audit('explain');
      expect(line).toMatchObject({
        principal: { name: 'user:ann' },
        object: { name: 'user:ann' },
        reference,
        because: ['verdict:allow'],
        detail: { action: 'use' },
      });
    });

    it.each<[string, string, object, [string, string | undefined][]]>([
      [
        'vic',
        'use',
        { reference },
        [
          ['permission', 'missing:USE'],
          ['bundle', 'missing:USE'],
        ],
      ],
      ['ann', 'manage', { reference }, [['permission', 'missing:MANAGE_SECRETS']]],
      ['ann', 'resolve', { reference }, [['permission', 'missing:RESOLVE']]],
      [
        'vic',
        'run',
        { asset: 'spark-job/nightly' },
        [
          ['permission', 'missing:RUN'],
          ['bundle', 'missing:RUN'],
        ],
      ],
      ['vic', 'view', { asset: 'spark-job/nightly' }, []],
      ['ann', 'use', { asset: 'secret/db-password' }, []],
      ['ann', 'access.manage', {}, [['permission', 'missing:MANAGE_ACCESS']]],
      ['ann', 'list', {}, []],
      ['ann', 'use', { reference: 'secret://domain/managed/absent' }, [['catalogue', 'not-found']]],
      ['ann', 'use', { reference: 'secret://domain/managed/DB-password' }, [['catalogue', 'not-found']]],
      ['ann', 'use', { reference: 'secret://domain/vault-prod/app/db#password' }, [['integration', 'not-configured']]],
      ['ann', 'use', { reference: 'secret://admin/managed/root' }, [['catalogue', 'not-found']]],
    ])('%s, %s %j', async (name, action, subject, expected) => {
      const view = await world.explain.explain(await world.caller(name), {
        action,
        domain: 'finance-explain',
        ...subject,
      });
      expect(denied(view)).toEqual(expected);
      expect(view.verdict).toBe(expected.length === 0 ? 'allow' : 'deny');
    });

    it('says who can fix a link, as far as the caller may list them', async () => {
      const { explain, bundles, assets, finance } = world;
      const view = await explain.explain(await world.caller('vic'), {
        action: 'use',
        domain: 'finance-explain',
        reference,
      });
      expect(view.links.find((link) => link.link === 'permission')?.fixableBy).toEqual([
        'user:olga',
        'role:DOMAIN_MANAGER',
      ]);
      const byRoot = await explain.explain(await world.caller('root'), {
        principal: 'user:vic',
        action: 'use',
        domain: 'finance-explain',
        reference,
      });
      expect(byRoot.links.find((link) => link.link === 'permission')?.fixableBy).toEqual([
        'user:olga',
        'user:root',
        'role:DOMAIN_MANAGER',
      ]);
      const mia = await world.caller('mia');
      await bundles.create(mia, finance, { name: 'mias' });
      await assets.add(await world.caller('olga'), finance, 'mias', { type: 'secret', key: 'db-password' });
      const narrowed = await explain.explain(await world.caller('ann'), {
        action: 'use',
        domain: 'finance-explain',
        reference,
      });
      expect(narrowed.links.find((link) => link.link === 'bundle')).toMatchObject({
        name: 'mias',
        outcome: 'deny',
        fixableBy: ['user:mia', 'user:olga', 'role:DOMAIN_MANAGER'],
      });
      await bundles.delete(await world.caller('olga'), finance, 'mias', { force: true });
    });

    it('says who could make what is not found, or show it: alike of what is absent and what is hidden', async () => {
      const { explain, finance } = world;
      const olga = await world.caller('olga');
      const foundBy = async (name: string, subject: object) => {
        const question = { action: 'view', domain: 'finance-explain', ...subject };
        return (await explain.explain(await world.caller(name), question)).links.at(-1);
      };
      const use = (reference: string) => ({ action: 'use', reference });
      for (const absent of [
        use('secret://domain/managed/absent'),
        use('secret://domain/vault-absent/app'),
        { asset: 'spark-job/absent' },
      ]) {
        const last = await foundBy('olga', absent);
        expect(last?.detail).toBe('Not found, or not yours');
        expect(last?.fixableBy).toEqual(expect.arrayContaining(['user:mia', 'user:olga']));
        expect(last?.fixableBy.at(-1)).toBe('role:DOMAIN_MANAGER');
      }
      expect((await foundBy('ann', use('secret://admin/managed/root')))?.fixableBy).toEqual([]);
      await world.bundles.create(olga, finance, { name: 'hidden' });
      await world.addJob(finance, 'hidden-job');
      await world.assets.add(olga, finance, 'hidden', { type: 'spark-job', name: 'hidden-job' });
      const hidden = await foundBy('ann', { asset: 'spark-job/hidden-job' });
      const absent = await foundBy('ann', { asset: 'spark-job/absent' });
      expect(hidden?.fixableBy.length).toBeGreaterThan(0);
      expect({ ...hidden, name: '' }).toEqual({ ...absent, name: '' });
      await world.bundles.delete(olga, finance, 'hidden', { force: true });
    });

    it('shows the assignment of a Global secret', async () => {
      const secretId = await world.addSecret('global', 'smtp');
      const question = { action: 'use', domain: 'finance-explain', reference: 'secret://global/managed/smtp' };
      const before = await world.explain.explain(await world.caller('ann'), question);
      expect(before.links.find((link) => link.link === 'assignment')).toMatchObject({
        outcome: 'allow',
        because: ['assigned'],
      });
      await world.test.store.execute('test.assign', { secretId, scopeId: world.other.id });
      for (const [name, link, because] of [
        ['root', 'assignment', 'not-assigned'],
        ['ann', 'catalogue', 'not-found'],
      ]) {
        const after = await world.explain.explain(await world.caller(name ?? ''), question);
        expect(denied(after)).toEqual([[link, because]]);
        expect(after.links.at(-1)?.fixableBy).toEqual(['role:SECRETS_ADMIN']);
      }
    });

    it('answers about others only with access.view, and tells the absent from the unlisted to nobody', async () => {
      const { explain } = world;
      const ann = await world.caller('ann');
      expect(
        (await explain.explain(ann, { principal: 'user:vic', action: 'use', domain: 'finance-explain', reference }))
          .verdict,
      ).toBe('deny');
      const stranger = await explain.explain(ann, {
        principal: 'user:zed',
        action: 'use',
        domain: 'finance-explain',
        reference,
      });
      const nobody = await explain.explain(ann, {
        principal: 'user:nobody',
        action: 'use',
        domain: 'finance-explain',
        reference,
      });
      expect(stranger.verdict).toBe('unknown');
      expect(JSON.stringify(stranger).replaceAll('user:zed', 'X')).toBe(
        JSON.stringify(nobody).replaceAll('user:nobody', 'X'),
      );
      expect(
        (
          await explain.explain(await world.caller('root'), {
            principal: 'user:zed',
            action: 'use',
            domain: 'finance-explain',
            reference,
          })
        ).verdict,
      ).toBe('deny');
      expect(
        await codeOf(
          explain.explain(await world.caller('zed'), { action: 'use', domain: 'finance-explain', reference }),
        ),
      ).toBe('not_found');
      expect(
        await codeOf(explain.explain(await world.caller('zed'), { action: 'use', domain: 'absent', reference })),
      ).toBe('not_found');
      expect(await codeOf(explain.explain(ann, { principal: 'user:root', action: 'domain.create' }))).toBe(
        'permission_missing',
      );
      expect((await explain.explain(ann, { action: 'domain.create' })).links.at(-1)?.fixableBy).toEqual([
        'role:PLATFORM_ADMIN',
      ]);
    });

    it.each([
      { action: 'use' },
      { action: 'use', domain: 'finance-explain' },
      { action: 'fly', domain: 'finance-explain', reference },
      { action: '__proto__', domain: 'finance-explain', reference },
      { action: 'constructor', domain: 'finance-explain', reference },
      { action: 'use', reference },
      { action: 'use', domain: 'finance-explain', reference, asset: 'spark-job/nightly' },
      { action: 'spark-job.run', domain: 'finance-explain', reference },
      { action: 'run', domain: 'finance-explain', asset: 'constructor/nightly' },
      { action: 'use', domain: 'finance-explain', reference, principal: 'nobody' },
    ])('refuses %j', async (question) => {
      expect(await codeOf(world.explain.explain(await world.caller('ann'), question))).toBe('validation_failed');
    });

    it('names the words that fit what is asked about', async () => {
      const { explain } = world;
      const asked = explain.explain(await world.caller('ann'), {
        action: 'use',
        domain: 'finance-explain',
        asset: 'spark-job/nightly',
      });
      await expect(asked).rejects.toMatchObject({
        errors: [{ pointer: '/action', message: expect.stringContaining('run, view, manage, list') as string }],
      });
    });

    it('never repeats a malformed reference', async () => {
      const canary = 'canary-4f0c2b77d1';
      const refused = world.explain.explain(await world.caller('ann'), {
        action: 'use',
        domain: 'finance-explain',
        reference: canary,
      });
      await expect(refused).rejects.toThrow(expect.not.stringContaining(canary));
    });

    it('tells a disabled account', async () => {
      await world.addUser('don');
      await world.members.add(await world.caller('olga'), world.finance, { principal: 'user:don', preset: 'MEMBER' });
      const actor = { principal: 'system', principalName: 'system' };
      await world.test.store.execute('identities.changePrincipal', {
        actor,
        kind: 'user',
        id: world.id('don'),
        isDisabled: true,
      });
      const view = await world.explain.explain(await world.caller('olga'), {
        principal: 'user:don',
        action: 'use',
        domain: 'finance-explain',
        reference,
      });
      expect(view.links[0]).toMatchObject({
        link: 'principal',
        outcome: 'deny',
        because: ['disabled'],
        fixableBy: ['role:PLATFORM_ADMIN'],
      });
    });

    it('lists who may, groups as one', async () => {
      const { whoMay, access, finance } = world;
      await world.addGroup('loaders', ['ann']);
      await world.members.add(await world.caller('olga'), finance, { principal: 'group:loaders', preset: 'MEMBER' });
      const asset = await access.secretAsset(finance, { scope: 'domain', secretId: 'sec_x', key: 'db-password' });
      const may = async (name: string) =>
        (
          await whoMay.list(
            await world.caller(name),
            finance,
            [{ action: 'secret.use', resource: { kind: 'asset', asset } }],
            { after: null, limit: 100 },
          )
        ).map(({ principal, decision }) => `${principal.label} ${decision.because[0]}`);
      const ofFinance = [
        'group:loaders preset:MEMBER',
        'user:ann preset:MEMBER',
        'user:bob preset:MEMBER',
        'user:mia preset:MAINTAINER',
        'user:olga preset:OWNER',
      ];
      expect(await may('vic')).toEqual(ofFinance);
      expect(await may('root')).toEqual([...ofFinance, 'user:root role:PLATFORM_ADMIN']);
      // Who lists nobody is told of itself.
      await world.addUser('sal', ['SECRETS_ADMIN']);
      const global = { id: globalScopeId, kind: 'global', name: 'global' } as const;
      const manage = { action: 'secret.manage', resource: { kind: 'scope', scope: global } } as const;
      const managers = await whoMay.list(await world.caller('sal'), global, [manage], { after: null, limit: 100 });
      expect(managers.map(({ principal }) => principal.label)).toEqual(['user:sal']);
    });

    it('lists who may page by page: everybody, nobody twice, and to nobody else', async () => {
      const { access, whoMay, finance, test } = world;
      const drift = new DriftService(test.store, access, test.keys);
      const knowledge = secretKnowledge(access, whoMay, drift, test.keys);
      const secret = { id: 'sec_x', key: 'db-password' };
      const vic = await world.caller('vic');
      // Somebody who may neither list secrets nor use this one is not told that it is there.
      const olga = await world.caller('olga');
      await world.addUser('nik');
      await world.members.addGrant(olga, finance, { principal: 'user:nik', permission: 'CREATE_NOTEBOOK' });
      expect(await codeOf(knowledge.access(await world.caller('nik'), finance, secret, {}))).toBe('not_found');
      await world.members.addGrant(olga, finance, { principal: 'user:nik', permission: 'MANAGE_ACCESS' });
      expect((await knowledge.access(await world.caller('nik'), finance, secret, {})).items).not.toEqual([]);
      const whole = await knowledge.access(vic, finance, secret, {});
      expect(whole).not.toHaveProperty('nextCursor');
      const users = whole.items.filter(({ action }) => action === 'secret.use').map(({ principal }) => principal);
      expect(users).toContain('user:olga');
      const found: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await knowledge.access(vic, finance, secret, {
          limit: 2,
          ...(cursor === undefined ? {} : { cursor }),
        });
        expect(page.items.length).toBeLessThanOrEqual(2);
        found.push(...page.items.map(({ principal, action }) => `${principal} ${action}`));
        const mine = cursor;
        ({ nextCursor: cursor } = page);
        if (mine === undefined) {
          const foreign = { cursor: cursor ?? '' };
          const others = [
            [await world.caller('olga'), secret],
            [vic, { id: 'sec_y', key: 'db-password' }],
          ] as const;
          for (const [caller, other] of others)
            expect(await codeOf(knowledge.access(caller, finance, other, foreign))).toBe('cursor_invalid');
        }
      } while (cursor !== undefined);
      expect(found).toEqual(whole.items.map(({ principal, action }) => `${principal} ${action}`));
    });
  });
}
