import { beforeAll, describe, expect, it } from 'vitest';
import type { OpenStoreForTest } from '../../../testing/stores.ts';
import { Members } from '../members.ts';
import { AccessWorld, codeOf } from './access-world.ts';

export function membersSuite(openStore: OpenStoreForTest): void {
  describe('members and grants', () => {
    let world: AccessWorld;
    beforeAll(async () => {
      world = await AccessWorld.open(openStore, 'members');
    });

    it('adds, replaces and removes a member, each in the audit', async () => {
      const { members, finance } = world;
      const olga = await world.caller('olga');
      const added = await members.add(olga, finance, { principal: 'user:Zed', preset: 'MEMBER' });
      expect(added).toMatchObject({ principal: 'user:zed', preset: 'MEMBER', createdBy: 'user:olga' });
      expect(await codeOf(members.add(olga, finance, { principal: 'user:zed', preset: 'VIEWER' }))).toBe(
        'already_exists',
      );
      expect((await members.put(olga, finance, 'user:zed', 'VIEWER')).preset).toBe('VIEWER');
      await members.delete(olga, finance, 'user:zed');
      expect(await codeOf(members.delete(olga, finance, 'user:zed'))).toBe('not_found');
      const lines = (await world.audit('access.manage')).filter((line) => line.object?.name === 'user:zed');
      expect(lines.map((line) => line.because)).toEqual([
        ['put-member', 'preset:MEMBER'],
        ['put-member', 'preset:VIEWER', 'was:MEMBER'],
        ['delete-member', 'was:VIEWER'],
      ]);
    });

    it.each(['user:nobody', 'user:__proto__', 'group:finance', 'service-account:absent', 'user:ann/x', 'nobody', ''])(
      'does not know the principal %j',
      async (principal) => {
        const { members, finance } = world;
        expect(await codeOf(members.add(await world.caller('olga'), finance, { principal, preset: 'VIEWER' }))).toBe(
          'validation_failed',
        );
      },
    );

    it('takes service accounts of the platform and its own, not those of another domain', async () => {
      const { members, finance, other } = world;
      const olga = await world.caller('olga');
      await world.addServiceAccount('etl', finance);
      await world.addServiceAccount('bot');
      await world.addServiceAccount('bot', other);
      expect((await members.add(olga, finance, { principal: 'service-account:etl', preset: 'MEMBER' })).principal).toBe(
        'service-account:finance-members/etl',
      );
      expect((await members.put(olga, finance, 'service-account:finance-members/etl', 'VIEWER')).preset).toBe('VIEWER');
      expect((await members.add(olga, finance, { principal: 'service-account:bot', preset: 'VIEWER' })).principal).toBe(
        'service-account:bot',
      );
      expect(
        await codeOf(members.add(olga, finance, { principal: 'service-account:other-members/bot', preset: 'VIEWER' })),
      ).toBe('validation_failed');
      expect((await world.caller('other-members/bot')).snapshot.domains.size).toBe(0);
    });

    it('lists in pages; a cursor is good for its caller, list and search alone', async () => {
      const { members, finance, other } = world;
      const ann = await world.caller('ann');
      const all = await members.list(ann, finance, {});
      const names = all.items.map((item) => item.principal);
      expect(names).toEqual([...names].sort());
      expect(
        all.items.every((item) => item.actions[0]?.allowed === false && item.actions[0].reason !== undefined),
      ).toBe(true);
      const collected: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await members.list(ann, finance, { limit: 2, ...(cursor === undefined ? {} : { cursor }) });
        expect(page.items.length).toBeLessThanOrEqual(2);
        collected.push(...page.items.map((item) => item.principal));
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      expect(collected).toEqual(names);

      const { nextCursor = '' } = await members.list(ann, finance, { limit: 1 });
      expect(nextCursor).not.toBe('');
      const bob = await world.caller('bob');
      const root = await world.caller('root');
      const forged = `${nextCursor.slice(0, -2)}${nextCursor.endsWith('AA') ? 'BB' : 'AA'}`;
      expect(await codeOf(members.list(bob, finance, { cursor: nextCursor }))).toBe('cursor_invalid');
      expect(await codeOf(members.list(ann, other, { cursor: nextCursor }))).toBe('cursor_invalid');
      expect(await codeOf(members.list(ann, finance, { cursor: nextCursor, q: 'a' }))).toBe('cursor_invalid');
      expect(await codeOf(members.listGrants(ann, finance, { cursor: nextCursor }))).toBe('cursor_invalid');
      expect(await codeOf(members.list(root, finance, { cursor: forged }))).toBe('cursor_invalid');
      expect(await codeOf(members.list(ann, finance, { cursor: '' }))).toBe('cursor_invalid');
    });

    it('searches for what is typed, wildcards included', async () => {
      const { members, finance } = world;
      const ann = await world.caller('ann');
      expect((await members.list(ann, finance, { q: 'OLG' })).items.map((item) => item.principal)).toEqual([
        'user:olga',
      ]);
      for (const q of ['%', '_', '\\', "'", '__proto__'])
        expect((await members.list(ann, finance, { q })).items).toEqual([]);
    });

    it('gives RESOLVE to people only when that is acknowledged, warns, and records it', async () => {
      const { members, finance } = world;
      const olga = await world.caller('olga');
      await world.addGroup('etl', ['ann']);
      for (const principal of ['user:bob', 'group:etl']) {
        expect(await codeOf(members.addGrant(olga, finance, { principal, permission: 'RESOLVE' }))).toBe(
          'validation_failed',
        );
        expect(
          await codeOf(members.addGrant(olga, finance, { principal, permission: 'RESOLVE', acknowledge: false })),
        ).toBe('validation_failed');
        const grant = await members.addGrant(olga, finance, { principal, permission: 'RESOLVE', acknowledge: true });
        expect(grant.warning).toContain('receive the values');
        const line = (await world.audit('access.manage')).at(-1);
        expect(line).toMatchObject({
          because: ['add-grant', 'permission:RESOLVE', 'acknowledged'],
          detail: { receivesValues: true },
        });
      }
      const account = await members.addGrant(olga, finance, {
        principal: 'service-account:finance-members/etl',
        permission: 'RESOLVE',
      });
      expect(account.warning).toBeUndefined();
      const listed = await members.listGrants(olga, finance, {});
      expect(listed.items.map((item) => [item.principal, item.warning !== undefined])).toEqual([
        ['user:bob', true],
        ['group:etl', true],
        ['service-account:finance-members/etl', false],
      ]);
      expect(
        await codeOf(
          members.addGrant(olga, finance, { principal: 'user:bob', permission: 'RESOLVE', acknowledge: true }),
        ),
      ).toBe('already_exists');
      for (const { id } of listed.items) await members.deleteGrant(olga, finance, id);
      expect(await codeOf(members.deleteGrant(olga, finance, listed.items[0]?.id ?? ''))).toBe('not_found');
    });

    it('does not find a grant through another domain', async () => {
      const { members, finance, other } = world;
      const grant = await members.addGrant(await world.caller('olga'), finance, {
        principal: 'user:bob',
        permission: 'CREATE_BUNDLE',
      });
      expect(await codeOf(members.deleteGrant(await world.caller('eve'), other, grant.id))).toBe('not_found');
      expect(await codeOf(members.deleteGrant(await world.caller('eve'), finance, grant.id))).toBe('not_found');
    });

    it.each(['ann', 'mia', 'vic'])('lets %s change nothing', async (name) => {
      const { members, finance } = world;
      const caller = await world.caller(name);
      expect(await codeOf(members.put(caller, finance, `user:${name}`, 'OWNER'))).toBe('permission_missing');
      expect(
        await codeOf(members.addGrant(caller, finance, { principal: `user:${name}`, permission: 'MANAGE_ACCESS' })),
      ).toBe('permission_missing');
      expect(await codeOf(members.delete(caller, finance, 'user:olga'))).toBe('permission_missing');
    });

    it('lets somebody with a single MANAGE_ACCESS raise nobody above itself, alone or through a group', async () => {
      const { members, finance } = world;
      const olga = await world.caller('olga');
      await members.addGrant(olga, finance, { principal: 'user:bob', permission: 'MANAGE_ACCESS' });
      await world.addGroup('bobs', ['bob']);
      const bob = await world.caller('bob');
      for (const principal of ['user:bob', 'group:bobs', 'user:con']) {
        expect(await codeOf(members.put(bob, finance, principal, 'OWNER'))).toBe('permission_missing');
        expect(await codeOf(members.put(bob, finance, principal, 'MAINTAINER'))).toBe('permission_missing');
        expect(await codeOf(members.addGrant(bob, finance, { principal, permission: 'MANAGE_SECRETS' }))).toBe(
          'permission_missing',
        );
        expect(
          await codeOf(members.addGrant(bob, finance, { principal, permission: 'RESOLVE', acknowledge: true })),
        ).toBe('permission_missing');
      }
      expect(await codeOf(members.delete(bob, finance, 'user:olga'))).toBe('permission_missing');
      expect(await codeOf(members.put(bob, finance, 'user:mia', 'VIEWER'))).toBe('permission_missing');
      // What bob has, bob may share.
      expect((await members.put(bob, finance, 'user:con', 'MEMBER')).preset).toBe('MEMBER');
      expect(
        (await members.addGrant(bob, finance, { principal: 'user:con', permission: 'MANAGE_ACCESS' })).permission,
      ).toBe('MANAGE_ACCESS');
      await members.delete(bob, finance, 'user:con');
    });

    it('holds so many and no more; what replaces one always fits', async () => {
      const { access, other } = world;
      const most = { bundles: 0, members: 1, grants: 1, bundle_grants: 0, bundle_assets: 0 };
      const members = new Members(world.test.store, access, world.test.keys, most);
      const eve = await world.caller('eve');
      const zed = { principal: 'user:zed', preset: 'VIEWER' } as const;
      const refused = { code: 'limit_exceeded', message: 'A domain has at most 1 members.' };
      for (const add of [members.add.bind(members), members.preview.bind(members)])
        await expect(add(eve, other, zed)).rejects.toMatchObject(refused);
      await expect(members.put(eve, other, 'user:zed', 'VIEWER')).rejects.toMatchObject(refused);
      expect((await members.put(eve, other, 'user:eve', 'OWNER')).preset).toBe('OWNER');
      const grant = await members.addGrant(eve, other, { principal: 'user:zed', permission: 'LIST_SECRETS' });
      for (const add of [members.addGrant.bind(members), members.previewGrant.bind(members)])
        expect(await codeOf(add(eve, other, { principal: 'user:zed', permission: 'CREATE_BUNDLE' }))).toBe(
          'limit_exceeded',
        );
      await members.deleteGrant(eve, other, grant.id);
    });

    it('lets the last OWNER go: domain managers remain', async () => {
      const { members, other } = world;
      await members.delete(await world.caller('eve'), other, 'user:eve');
      expect((await world.caller('eve')).snapshot.domains.has(other.id)).toBe(false);
      const root = await world.caller('root');
      expect((await members.add(root, other, { principal: 'user:eve', preset: 'OWNER' })).preset).toBe('OWNER');
    });
  });
}
