import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeEachStore } from '../../testing/stores.ts';
import type { Caller } from '../access/types.ts';
import {
  addUser,
  auditTrail,
  codeOf,
  codesOf,
  goodPassword,
  here,
  type IdentityWorld,
  openWorld,
  signInByLink,
} from './testing/world.ts';
import { UserService } from './users.ts';

describeEachStore('managing identities', (openStore) => {
  let world: IdentityWorld;
  let admin: Caller;
  let count = 0;

  beforeAll(async () => {
    world = await openWorld(await openStore());
    admin = await world.admin();
  });
  afterAll(() => world.close());

  function newName(): string {
    count += 1;
    return `user-${count}`;
  }
  async function rolesOf(id: string): Promise<readonly string[]> {
    return [...((await world.access.snapshot(id))?.roles ?? [])];
  }
  async function isEmptyOfNames(name: string): Promise<boolean> {
    return (await world.users.list(admin, { name })).items.length === 0;
  }

  // First: here the installation has one administrator.
  describe('the last administrator', () => {
    it('can’t be demoted, disabled or deleted', async () => {
      for (const act of [
        () => world.users.change(admin, admin.id, { roles: ['AUDITOR'] }),
        () => world.users.change(admin, admin.id, { isDisabled: true }),
        () => world.users.delete(admin, admin.id),
      ]) {
        expect(await codeOf(act())).toBe('last_admin');
      }
      expect((await world.users.get(admin.id)).roles).toEqual(['PLATFORM_ADMIN']);
    });

    it('is not saved by somebody disabled or deleted', async () => {
      const disabled = await addUser(world, 'disabled');
      await world.users.change(admin, disabled.id, { roles: ['PLATFORM_ADMIN'], isDisabled: true });
      const deleted = await addUser(world, 'deleted');
      await world.users.change(admin, deleted.id, { roles: ['PLATFORM_ADMIN'] });
      await world.users.delete(admin, deleted.id);
      expect(await codeOf(world.users.change(admin, admin.id, { roles: [] }))).toBe('last_admin');
    });

    it('may be one by a group, which then can’t lose the role, the member or itself', async () => {
      const member = await addUser(world, 'member');
      const group = await world.groups.create(admin, { name: 'admins', roles: ['PLATFORM_ADMIN'] });
      expect(await codeOf(world.users.change(admin, admin.id, { roles: [] }))).toBe('last_admin');
      await world.groups.addMember(admin, group.id, member.id);
      await world.users.change(admin, admin.id, { roles: [] });
      const { token } = await signInByLink(await asManager(member.id), member.id);
      const caller = await world.callerOf(token);
      for (const act of [
        () => world.groups.change(caller, group.id, { roles: ['AUDITOR'] }),
        () => world.groups.removeMember(caller, group.id, member.id),
        () => world.groups.delete(caller, group.id),
        () => world.users.change(caller, member.id, { isDisabled: true }),
        () => world.users.delete(caller, member.id),
      ]) {
        expect(await codeOf(act())).toBe('last_admin');
      }
      await world.users.change(caller, admin.id, { roles: ['PLATFORM_ADMIN'] });
      await world.groups.delete(await world.admin(), group.id);
    });

    it('may be a service account', async () => {
      const account = await world.accounts.create(admin, { name: 'robot', roles: ['PLATFORM_ADMIN'] });
      await world.users.change(admin, admin.id, { roles: [] });
      const robot = await callerFor(account.id);
      expect(await codeOf(world.accounts.change(robot, account.id, { isDisabled: true }))).toBe('last_admin');
      expect(await codeOf(world.accounts.delete(robot, account.id))).toBe('last_admin');
      await world.users.change(robot, admin.id, { roles: ['PLATFORM_ADMIN'] });
      await world.accounts.delete(await world.admin(), account.id);
    });

    it('stays when all are demoted at once', async () => {
      const others = await Promise.all(['one', 'two', 'three', 'four'].map((name) => addUser(world, name)));
      for (const { id } of others) await world.users.change(admin, id, { roles: ['PLATFORM_ADMIN'] });
      const everybody = [admin.id, ...others.map(({ id }) => id)];
      const outcomes = await Promise.allSettled(
        everybody.map(async (id) => {
          const { roles } = await world.users.change(await callerFor(id), id, { roles: [] });
          return roles;
        }),
      );
      expect(outcomes.filter((outcome) => outcome.status === 'rejected')).toHaveLength(1);
      const users = await Promise.all(everybody.map((id) => world.users.get(id)));
      const left = users.filter((user) => user.roles.includes('PLATFORM_ADMIN'));
      expect(left).toHaveLength(1);
      await world.users.change(await callerFor(left[0]?.id ?? ''), admin.id, { roles: ['PLATFORM_ADMIN'] });
      for (const { id } of others) await world.users.change(await world.admin(), id, { roles: [] });
    });

    async function callerFor(id: string): Promise<Caller> {
      const snapshot = await world.access.snapshot(id);
      if (snapshot === null) throw new Error('There is no such principal');
      return { ...admin, id, snapshot };
    }

    async function asManager(id: string): Promise<IdentityWorld> {
      const caller = await callerFor(id);
      return { ...world, admin: () => Promise.resolve(caller) };
    }
  });

  describe('users', () => {
    it('are created with a folded name, roles in one order, and no password in what is shown', async () => {
      const { user, link } = await world.users.create(admin, {
        name: 'Ann.Example',
        email: 'ann@example.org',
        roles: ['AUDITOR', 'SECRETS_ADMIN'],
        password: goodPassword,
        signInLink: true,
      });
      expect(user).toMatchObject({
        name: 'ann.example',
        displayName: 'ann.example',
        email: 'ann@example.org',
        roles: ['SECRETS_ADMIN', 'AUDITOR'],
        hasPassword: true,
        isDisabled: false,
        revision: 1,
      });
      expect(JSON.stringify(user)).not.toContain('argon2');
      expect(link?.token).toMatch(/^srl_/);
      expect(await codeOf(world.users.create(admin, { name: 'ANN.example' }))).toBe('already_exists');
    });

    it.each(['\u212aim', 'an\u017f', 'a b', '__proto__', ''])('are not created as %j', async (name) => {
      expect(await codeOf(world.users.create(admin, { name }))).toBe('validation_failed');
    });

    it.each(['constructor', 'tostring'])('may be called %s', async (name) => {
      const { user } = await world.users.create(admin, { name });
      expect((await world.users.list(admin, { name })).items).toEqual([user]);
    });

    it('are created once by one idempotency key; a link is shown once', async () => {
      const key = { subject: admin.id, route: 'createUser', bodyHmac: world.keys.bodyHmac(Buffer.from('body')) };
      const plain = { ...key, key: 'plain' };
      const name = newName();
      const first = await world.users.create(admin, { name }, plain);
      expect(await world.users.create(admin, { name }, plain)).toEqual(first);
      const linked = { ...key, key: 'linked' };
      const other = newName();
      await world.users.create(admin, { name: other, signInLink: true }, linked);
      expect(await codeOf(world.users.create(admin, { name: other, signInLink: true }, linked))).toBe('replayed_issue');
    });

    it('are changed at the revision that was read', async () => {
      const { id } = await addUser(world, newName());
      const changed = await world.users.change(admin, id, { displayName: 'A', email: 'a@example.org' }, 1);
      expect(changed).toMatchObject({ displayName: 'A', email: 'a@example.org', revision: 2 });
      expect(await codeOf(world.users.change(admin, id, { displayName: 'B' }, 1))).toBe('revision_mismatch');
      expect((await world.users.change(admin, id, { email: null }, 2)).email).toBeNull();
      expect((await world.users.change(admin, id, {}, 3)).revision).toBe(3);
      expect(await codeOf(world.users.delete(admin, id, 1))).toBe('revision_mismatch');
    });

    it('leave their name but not their id', async () => {
      const name = newName();
      const old = await addUser(world, name);
      await world.users.change(admin, old.id, { roles: ['AUDITOR'] });
      await world.users.delete(admin, old.id);
      expect(await isEmptyOfNames(name)).toBe(true);
      const { user } = await world.users.create(admin, { name });
      expect(user.id).not.toBe(old.id);
      expect(user.roles).toEqual([]);
      const codes = await codesOf([
        world.users.get(old.id),
        world.users.change(admin, old.id, { isDisabled: false }),
        world.users.delete(admin, old.id),
        world.users.createSignInLink(admin, old.id, false),
        world.users.revokeSessions(admin, old.id),
      ]);
      expect(new Set(codes)).toEqual(new Set(['not_found']));
    });

    it('are not found as something else', async () => {
      const group = await world.groups.create(admin, { name: 'some-group' });
      expect(await codeOf(world.users.get(group.id))).toBe('not_found');
      expect(await codeOf(world.users.change(admin, group.id, { roles: ['PLATFORM_ADMIN'] }))).toBe('not_found');
    });

    it('are listed in pages, by prefix, with cursors of one caller and one filter', async () => {
      const names = ['page-a', 'page-b', 'page-c', 'page-d', 'page-e'];
      for (const name of names) await addUser(world, name);
      const first = await world.users.list(admin, { q: ' PAGE-', limit: 2 });
      const second = await world.users.list(admin, { q: 'PAGE-', limit: 2, cursor: first.nextCursor });
      const third = await world.users.list(admin, { q: 'PAGE-', limit: 2, cursor: second.nextCursor });
      expect([first, second, third].flatMap((page) => page.items.map((user) => user.name))).toEqual(names);
      expect(third.nextCursor).toBeUndefined();
      const cursor = first.nextCursor ?? '';
      const other = { ...admin, id: 'usr_other' };
      const codes = await codesOf([
        world.users.list(admin, { q: 'page', limit: 2, cursor }),
        world.users.list(other, { q: 'PAGE-', limit: 2, cursor }),
        world.groups.list(admin, { q: 'PAGE-', limit: 2, cursor }),
        world.users.list(admin, { q: 'PAGE-', cursor: `${cursor}A` }),
        world.users.list(admin, { q: 'PAGE-', cursor: '' }),
      ]);
      expect(new Set(codes)).toEqual(new Set(['cursor_invalid']));
      expect((await world.users.list(admin, { q: 'page\u017f' })).items).toEqual([]);
      expect((await world.users.list(admin, { q: '%' })).items).toEqual([]);
    });

    it('have their changes recorded in the words of the change', async () => {
      const { id, name } = await addUser(world, newName());
      await world.users.change(admin, id, { roles: ['AUDITOR'], isDisabled: true });
      expect((await auditTrail(world.store)).at(-1)).toMatchObject({
        principal: { id: admin.id, name: 'user:admin' },
        action: 'identity.manage',
        outcome: 'allowed',
        object: { type: 'user', id, name },
        because: ['roles', 'disable', 'role:AUDITOR'],
        network: here.network,
        requestId: here.requestId,
      });
    });
  });

  describe('the right to manage', () => {
    it('is asked again when the write happens', async () => {
      const deputy = await addUser(world, newName());
      await world.users.change(admin, deputy.id, { roles: ['PLATFORM_ADMIN'] });
      const { token } = await signInByLink(world, deputy.id);
      const stale = await world.callerOf(token);
      await world.users.create(stale, { name: newName() });
      await world.users.change(admin, deputy.id, { roles: [] });
      const refused = newName();
      // The caller's own snapshot still says PLATFORM_ADMIN.
      expect(await codeOf(world.users.create(stale, { name: refused, roles: ['PLATFORM_ADMIN'] }))).toMatch(
        /^(?:permission_missing|not_found)$/,
      );
      expect(await isEmptyOfNames(refused)).toBe(true);
    });

    it('is bound to the write: losing it in between refuses', async () => {
      const deputy = await addUser(world, newName());
      await world.users.change(admin, deputy.id, { roles: ['PLATFORM_ADMIN'] });
      const { token } = await signInByLink(world, deputy.id);
      let isDemoted = false;
      const users = new UserService(world.store, world.keys, {
        ...world.access,
        require: async (...args) => {
          const decision = await world.access.require(...args);
          if (!isDemoted) {
            isDemoted = true;
            await world.users.change(admin, deputy.id, { roles: ['AUDITOR'] });
          }
          return decision;
        },
      });
      const name = newName();
      expect(await codeOf(users.create(await world.callerOf(token), { name }))).toBe('permission_missing');
      expect(await isEmptyOfNames(name)).toBe(true);
    });

    it('is of administrators only: nobody else gives roles, to groups neither', async () => {
      const { id } = await addUser(world, newName());
      await world.users.change(admin, id, { roles: ['DOMAIN_MANAGER', 'SECRETS_ADMIN', 'READ_ONLY_ADMIN', 'AUDITOR'] });
      const group = await world.groups.create(admin, { name: 'escalation', roles: ['PLATFORM_ADMIN'] });
      const { token } = await signInByLink(world, id);
      const caller = await world.callerOf(token);
      const codes = await codesOf([
        world.users.change(caller, id, { roles: ['PLATFORM_ADMIN'] }),
        world.users.create(caller, { name: newName(), roles: ['PLATFORM_ADMIN'] }),
        world.users.createSignInLink(caller, admin.id, false),
        world.groups.addMember(caller, group.id, id),
        world.groups.create(caller, { name: 'mine', roles: ['PLATFORM_ADMIN'] }),
        world.groups.change(caller, group.id, { roles: [] }),
        world.accounts.create(caller, { name: 'mine', roles: ['PLATFORM_ADMIN'] }),
      ]);
      expect(new Set(codes)).toEqual(new Set(['permission_missing']));
      await world.groups.delete(admin, group.id);
    });
  });

  describe('groups', () => {
    it('give their roles to their members, who sign in anew when that changes', async () => {
      const group = await world.groups.create(admin, { name: 'auditors', roles: ['AUDITOR'] });
      const { id } = await addUser(world, newName());
      const steps = [
        () => world.groups.addMember(admin, group.id, id),
        () => world.groups.change(admin, group.id, { roles: ['AUDITOR', 'DOMAIN_MANAGER'] }),
        () => world.groups.removeMember(admin, group.id, id),
        () => world.groups.addMember(admin, group.id, id),
        () => world.groups.delete(admin, group.id),
      ];
      const seen: string[] = [];
      for (const step of steps) {
        const { token } = await signInByLink(world, id);
        await step();
        expect(await codeOf(world.callerOf(token))).toBe('unauthenticated');
        seen.push((await rolesOf(id)).toSorted().join(' '));
      }
      expect(seen).toEqual(['AUDITOR', 'AUDITOR DOMAIN_MANAGER', '', 'AUDITOR DOMAIN_MANAGER', '']);
    });

    it('without roles leave sessions alone', async () => {
      const group = await world.groups.create(admin, { name: 'analysts' });
      const { id } = await addUser(world, newName());
      const { token } = await signInByLink(world, id);
      await world.groups.addMember(admin, group.id, id);
      await world.groups.addMember(admin, group.id, id);
      const caller = await world.callerOf(token);
      expect(caller.snapshot.actorIds).toEqual(new Set([id, group.id]));
      const members = await world.groups.listMembers(admin, group.id, {});
      expect(members.items.map((member) => member.id)).toEqual([id]);
      await world.groups.removeMember(admin, group.id, id);
      expect(await codeOf(world.groups.removeMember(admin, group.id, id))).toBe('not_found');
    });

    it('hold no groups, nobody deleted, and no strangers', async () => {
      const group = await world.groups.create(admin, { name: 'outer' });
      const inner = await world.groups.create(admin, { name: 'inner' });
      const gone = await addUser(world, newName());
      await world.users.delete(admin, gone.id);
      for (const id of [inner.id, group.id, gone.id, 'usr_00000000000000000000000000']) {
        expect(await codeOf(world.groups.addMember(admin, group.id, id))).toBe('not_found');
      }
      expect(await codeOf(world.groups.create(admin, { name: 'outer' }))).toBe('already_exists');
    });
  });
});
