import { beforeAll, describe, expect, it } from 'vitest';
import type { OpenStoreForTest } from '../../../testing/stores.ts';
import { AccessWorld, codeOf } from './access-world.ts';

export function domainsSuite(openStore: OpenStoreForTest): void {
  describe('domains', () => {
    let world: AccessWorld;
    beforeAll(async () => {
      world = await AccessWorld.open(openStore, 'domains');
    });

    it('are made whole: the creator as OWNER, the default bundle, the managed source', async () => {
      const { domains, test } = world;
      const root = await world.caller('root');
      const view = await domains.create(root, { name: 'sales', displayName: 'Sales', description: 'Sells' });
      expect(view).toMatchObject({ name: 'sales', displayName: 'Sales', description: 'Sells', revision: 1 });
      expect(view.actions.find((each) => each.action === 'secret.manage')).toEqual({
        action: 'secret.manage',
        allowed: true,
      });
      expect((await world.caller('root')).snapshot.domains.get(view.id)?.presets).toEqual(['OWNER']);
      const source = await test.store.db
        .selectFrom('sources')
        .select(['name', 'type'])
        .where('scope_id', '=', view.id)
        .execute();
      expect(source).toEqual([{ name: 'managed', type: 'DATABASE' }]);
      const { items } = await world.bundles.list(root, { id: view.id, kind: 'domain', name: 'sales' }, {});
      expect(items.map((item) => [item.name, item.isDefault])).toEqual([['default', true]]);
      expect(await codeOf(domains.create(root, { name: 'sales' }))).toBe('already_exists');
      expect(await codeOf(domains.create(root, { name: 'global' }))).toBe('already_exists');
      expect((await world.audit('domain.create')).at(-1)).toMatchObject({
        object: { name: 'sales' },
        because: ['create', 'preset:OWNER'],
      });
    });

    it('make one of two that are created at once', async () => {
      const root = await world.caller('root');
      const both = await Promise.allSettled([
        world.domains.create(root, { name: 'twin' }),
        world.domains.create(root, { name: 'twin' }),
      ]);
      expect(both.map((each) => each.status).sort()).toEqual(['fulfilled', 'rejected']);
    });

    it('are listed to who sees them', async () => {
      const names = async (name: string, request = {}) =>
        (await world.domains.list(await world.caller(name), request)).items.map((item) => item.name);
      expect(await names('ann', { q: '-domains' })).toEqual(['finance-domains']);
      expect(await names('zed')).toEqual([]);
      expect(await names('root', { q: '-domains' })).toEqual(['finance-domains', 'other-domains']);
      expect(await names('root', { q: 'SALE' })).toEqual(['sales']);
      expect(await names('root', { q: '%' })).toEqual([]);
      const root = await world.caller('root');
      const page = await world.domains.list(root, { q: '-domains', limit: 1 });
      expect(
        (await world.domains.list(root, { q: '-DOMAINS', limit: 1, cursor: page.nextCursor ?? '' })).items.map(
          (item) => item.name,
        ),
      ).toEqual(['other-domains']);
      expect(
        await codeOf(world.domains.list(await world.caller('ann'), { q: '-domains', cursor: page.nextCursor ?? '' })),
      ).toBe('cursor_invalid');
    });

    it('change under If-Match', async () => {
      const { domains, finance } = world;
      const olga = await world.caller('olga');
      expect((await domains.update(olga, finance, { displayName: 'Finance' }, 1)).revision).toBe(2);
      expect(await codeOf(domains.update(olga, finance, { description: 'x' }, 1))).toBe('revision_mismatch');
      expect(await codeOf(domains.update(await world.caller('mia'), finance, { description: 'x' }))).toBe(
        'permission_missing',
      );
      expect(await domains.get(olga, finance)).toMatchObject({ displayName: 'Finance', description: '', revision: 2 });
    });

    it('are deleted by an owner, with content only when forced, and take their keys and accounts along', async () => {
      const { domains, other, members, test } = world;
      const eve = await world.caller('eve');
      await world.addSecret(other, 'a-key');
      await world.addJob(other, 'a-job');
      await world.addServiceAccount('robot', other);
      await members.add(eve, other, { principal: 'user:ann', preset: 'MEMBER' });
      await members.addGrant(eve, other, { principal: 'user:ann', permission: 'MANAGE_ACCESS' });
      await test.keys.prepareScope(other.id);
      expect(await codeOf(domains.delete(await world.caller('ann'), other, { force: true }))).toBe(
        'permission_missing',
      );
      expect(await codeOf(domains.delete(eve, other, { force: false }))).toBe('in_use');
      expect(await codeOf(domains.delete(eve, other, { force: true, expectedRevision: 9 }))).toBe('revision_mismatch');
      await domains.delete(eve, other, { force: true });
      expect(world.deletedScopes).toEqual([other.id]);
      const terms = await test.store.db
        .selectFrom('key_terms')
        .select(['state', 'wrapped'])
        .where('scope_id', '=', other.id)
        .execute();
      expect(terms.length).toBeGreaterThan(0);
      expect(terms.every((term) => term.state === 'destroyed' && term.wrapped === null)).toBe(true);
      expect((await world.caller('eve')).snapshot.domains.has(other.id)).toBe(false);
      expect(await world.access.snapshot(world.id('other-domains/robot'))).toBeNull();
      expect(await codeOf(domains.get(await world.caller('root'), other))).toBe('not_found');
      expect(await codeOf(domains.delete(await world.caller('root'), other, { force: true }))).toBe('not_found');
      expect((await world.audit('domain.manage')).at(-1)).toMatchObject({
        because: ['delete', 'forced'],
        detail: { configurations: 1, secrets: 1, integrations: 0 },
      });
      // The name is free, the id is not.
      const again = await domains.create(await world.caller('root'), { name: other.name });
      expect(again.id).not.toBe(other.id);
    });
  });
}
