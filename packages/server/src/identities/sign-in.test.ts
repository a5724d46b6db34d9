import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nextMillisecond } from '../../testing/next-millisecond.ts';
import { openTestStore, type TestStore } from '../../testing/stores.ts';
import { sessionIdleMilliseconds, sessionMilliseconds } from './credentials.ts';
import { PasswordPlaces } from './password-places.ts';
import { hashNewPassword, SignInService } from './sign-in.ts';
import {
  addUser,
  auditTrail,
  codeOf,
  goodPassword,
  here,
  type IdentityWorld,
  openWorld,
  signInByLink,
} from './testing/world.ts';

describe('signing in', () => {
  let test: TestStore;
  let world: IdentityWorld;
  let count = 0;

  beforeAll(async () => {
    test = await openTestStore();
    world = await openWorld(test);
  });
  afterAll(async () => {
    await world.close();
    await test.close();
  });

  /** A user of its own per test, so that throttles don't meet. */
  async function newUser(password: string | null = goodPassword) {
    count += 1;
    const name = `user-${count}`;
    if (password === goodPassword) return addUser(world, name);
    const { user } = await world.users.create(await world.admin(), password === null ? { name } : { name, password });
    return { name, id: user.id };
  }
  const from = (network: string) => ({ requestId: 'req-test', network });
  const tryIn = (name: string, password: string, network = here.network) =>
    world.signIn.withPassword({ name, password, transport: 'bearer' }, from(network));

  describe('with a password', () => {
    it('opens a session that a bearer token proves', async () => {
      const { name, id } = await newUser();
      const opened = await tryIn(` ${name.toUpperCase()} `, goodPassword);
      expect(opened.token).toMatch(/^srs_[0-9A-Za-z]{49}$/);
      expect(opened.principal).toEqual({ id, name, displayName: name });
      const caller = await world.callerOf(opened.token);
      expect(caller).toMatchObject({ id, kind: 'user', name: `user:${name}`, credential: { type: 'session' } });
    });

    it('hashes a password anew when its hash is weaker than today’s', async () => {
      const { name, id } = await newUser();
      const hashOf = async () => {
        const rows = world.store.db.selectFrom('principals').select('password_hash').where('id', '=', id);
        return (await rows.executeTakeFirstOrThrow()).password_hash;
      };
      const weak = await hashOf();
      await codeOf(tryIn(name, 'wrong wrong wrong', '198.51.100.9'));
      expect(await hashOf()).toBe(weak);
      await tryIn(name, goodPassword, '198.51.100.9');
      const strong = await hashOf();
      expect(strong).toContain('$m=19456,t=2,p=1$');
      await tryIn(name, goodPassword, '198.51.100.9');
      expect(await hashOf()).toBe(strong);
    });

    it('accepts the same password typed in another Unicode form', async () => {
      const { name } = await newUser('caf\u00e9 caf\u00e9 caf\u00e9');
      expect(await codeOf(tryIn(name, 'cafe\u0301 cafe\u0301 cafe\u0301'))).toBeUndefined();
    });

    it('answers unknown, wrong, without a password and disabled alike', async () => {
      const known = await newUser();
      const without = await newUser(null);
      const disabled = await newUser();
      await world.users.change(await world.admin(), disabled.id, { isDisabled: true });
      const refusals = [
        tryIn('nobody', goodPassword, '198.51.100.1'),
        tryIn('no name at all', goodPassword, '198.51.100.1'),
        tryIn('\u212aim', goodPassword, '198.51.100.1'),
        tryIn(known.name, `${goodPassword} `, '198.51.100.1'),
        tryIn(known.name, '', '198.51.100.1'),
        tryIn(without.name, goodPassword, '198.51.100.1'),
        tryIn(disabled.name, goodPassword, '198.51.100.1'),
      ];
      const errors = await Promise.all(
        refusals.map((refusal) =>
          refusal.then(
            () => null,
            (error: unknown) => error,
          ),
        ),
      );
      const answers = errors.map((error) => JSON.stringify(error, ['code', 'detail', 'hint', 'errors']));
      expect(new Set(answers).size).toBe(1);
      expect(answers[0]).toContain('credentials_invalid');
    });

    it('records the refusal of a known account, and counts that of an unknown one', async () => {
      const { name, id } = await newUser();
      const before = await auditTrail(world.store);
      const counted = await denials();
      await codeOf(tryIn(name, 'wrong wrong wrong', '198.51.100.2'));
      await codeOf(tryIn('nobody', 'wrong wrong wrong', '198.51.100.2'));
      const [record, ...more] = (await auditTrail(world.store)).slice(before.length);
      expect(more).toEqual([]);
      expect(record).toMatchObject({
        action: 'sign-in',
        outcome: 'denied',
        principal: { id: 'anonymous' },
        object: { type: 'user', id, name },
        network: '198.51.100.2',
      });
      expect(await denials()).toBe(counted + 1);
    });

    it('tells strangers to come again while others fill the places, known or not, and keeps nobody from where they usually are', async () => {
      const { name } = await newUser();
      await tryIn(name, goodPassword, '198.51.100.7');
      const places = new PasswordPlaces({ places: 2 });
      const signIn = new SignInService(world.store, world.keys, world.activity, world.clock.read, undefined, places);
      const tryBusy = (user: string, network: string) =>
        signIn.withPassword({ name: user, password: goodPassword, transport: 'bearer' }, from(network));
      const taken = [places.take('stranger'), places.take('stranger')];
      const refusals = await Promise.allSettled(
        [name, 'nobody', 'no name'].map((user) => tryBusy(user, '198.51.100.8')),
      );
      const answers = refusals.map((refusal) =>
        refusal.status === 'rejected'
          ? JSON.stringify(refusal.reason, ['code', 'detail', 'hint', 'retryAfterSeconds'])
          : '',
      );
      expect(new Set(answers).size).toBe(1);
      expect(answers[0]).toContain('throttled');
      const counted = world.store.db.selectFrom('throttles').select('bucket').where('bucket', 'like', '%198.51.100.8');
      expect(await counted.execute()).toEqual([]);
      expect((await tryBusy(name, '198.51.100.7')).principal.name).toBe(name);
      for (const place of taken) place.leave();
      expect((await tryBusy(name, '198.51.100.8')).principal.name).toBe(name);
      // Whoever has come and gone leaves a place.
      expect(() => [places.take('stranger'), places.take('familiar')]).not.toThrow();
      expect(() => [places.take('stranger'), places.take('familiar')]).not.toThrow();
    });

    async function denials(): Promise<number> {
      const rows = await world.store.db
        .selectFrom('denial_counts')
        .selectAll()
        .where('action', '=', 'sign-in')
        .execute();
      return rows.reduce((sum, row) => sum + row.count, 0);
    }
  });

  describe('with a one-time link', () => {
    it('is over after ten minutes', async () => {
      const { id } = await newUser(null);
      world.clock.offsetMilliseconds = -10 * 60_000;
      const { token } = await world.users.createSignInLink(await world.admin(), id, false);
      world.clock.offsetMilliseconds = 0;
      expect(await codeOf(world.signIn.withLink({ token, transport: 'bearer' }, here))).toBe('credentials_invalid');
    });

    it('is void once its user is disabled, deleted, or has a new password', async () => {
      const admin = await world.admin();
      for (const end of [
        (id: string) => world.users.change(admin, id, { isDisabled: true }),
        (id: string) => world.users.delete(admin, id),
        (id: string) => world.users.revokeSessions(admin, id),
        (id: string) => world.users.createSignInLink(admin, id, true),
      ]) {
        const { id } = await newUser();
        const { token } = await world.users.createSignInLink(admin, id, false);
        await end(id);
        expect(await codeOf(world.signIn.withLink({ token, transport: 'bearer' }, here))).toBe('credentials_invalid');
      }
    });

    it('refuses anything else in its place', async () => {
      const { name } = await newUser();
      const { token } = await tryIn(name, goodPassword);
      for (const text of [token, token.replace('srs_', 'srl_'), '', 'srl_', "srl_' or 1=1 --", 'x'.repeat(256)]) {
        expect(await codeOf(world.signIn.withLink({ token: text, transport: 'bearer' }, here))).toBe(
          'credentials_invalid',
        );
      }
    });

    it('is not kept from anybody by failed passwords', async () => {
      const { name, id } = await newUser();
      for (let attempt = 0; attempt < 6; attempt += 1) await codeOf(tryIn(name, 'wrong wrong wrong', '198.51.100.6'));
      const { token } = await world.users.createSignInLink(await world.admin(), id, false);
      const opened = await world.signIn.withLink({ token, transport: 'bearer' }, from('198.51.100.6'));
      expect(opened.principal.id).toBe(id);
    });
  });

  describe('a session', () => {
    async function open(transport: 'bearer' | 'cookie' = 'bearer') {
      const user = await newUser();
      return { ...user, ...(await signInByLink(world, user.id, transport)) };
    }
    const codeFor = (token: string) => codeOf(world.callerOf(token));

    it('ends after an hour without a call', async () => {
      const { token } = await open();
      world.clock.offsetMilliseconds = sessionIdleMilliseconds - 1000;
      await world.callerOf(token);
      world.clock.offsetMilliseconds = 2 * sessionIdleMilliseconds - 2000;
      await world.callerOf(token);
      await world.activity.flush();
      world.clock.offsetMilliseconds = 3 * sessionIdleMilliseconds;
      expect(await codeFor(token)).toBe('unauthenticated');
      world.clock.offsetMilliseconds = 0;
    });

    it('ends after twelve hours however busy', async () => {
      const { token } = await open();
      for (let hour = 0.5; hour < 12; hour += 0.5) {
        world.clock.offsetMilliseconds = hour * 60 * 60_000;
        await world.callerOf(token);
      }
      world.clock.offsetMilliseconds = sessionMilliseconds + 1000;
      expect(await codeFor(token)).toBe('unauthenticated');
      world.clock.offsetMilliseconds = 0;
    });

    it('of a cookie needs the token of its tab', async () => {
      const mine = await open('cookie');
      const other = await open('cookie');
      const byCookie = (tab: string | undefined) => world.authentication.byCookie(mine.token, tab, here);
      expect((await byCookie(mine.tabToken)).id).toBe(mine.id);
      for (const tab of [undefined, '', other.tabToken, mine.token, `${mine.tabToken}x`]) {
        expect(await codeOf(byCookie(tab))).toBe('csrf_failed');
      }
      expect(await codeOf(world.authentication.byCookie(other.tabToken, other.tabToken, here))).toBe('unauthenticated');
    });

    it('does not change its transport', async () => {
      const cookie = await open('cookie');
      const bearer = await open('bearer');
      expect(await codeFor(cookie.token)).toBe('unauthenticated');
      expect(await codeOf(world.authentication.byCookie(bearer.token, bearer.tabToken, here))).toBe('unauthenticated');
    });

    it('ends with sign-out, at once and recorded', async () => {
      const { token } = await open();
      const caller = await world.callerOf(token);
      await world.signIn.signOut(caller);
      expect(await codeFor(token)).toBe('unauthenticated');
      expect((await auditTrail(world.store)).at(-1)).toMatchObject({
        action: 'sign-out',
        object: { type: 'session', id: caller.credential.id },
      });
    });

    it('is listed and revoked by its owner only', async () => {
      const mine = await open();
      await nextMillisecond();
      const again = await signInByLink(world, mine.id, 'cookie');
      const other = await open();
      const caller = await world.callerOf(mine.token);
      const sessions = await world.signIn.listOwnSessions(caller);
      expect(sessions.map((session) => session.transport)).toEqual(['cookie', 'bearer']);
      const otherId = (await world.callerOf(other.token)).credential.id;
      expect(await codeOf(world.signIn.revokeOwnSession(caller, otherId))).toBe('not_found');
      await world.signIn.revokeOwnSession(caller, sessions[0]?.id ?? '');
      expect(await codeOf(world.authentication.byCookie(again.token, again.tabToken, here))).toBe('unauthenticated');
      await world.callerOf(other.token);
    });

    it('ends when its user gets other roles, is disabled or deleted', async () => {
      const admin = await world.admin();
      for (const end of [
        (id: string) => world.users.change(admin, id, { roles: ['AUDITOR'] }),
        (id: string) => world.users.change(admin, id, { isDisabled: true }),
        (id: string) => world.users.delete(admin, id),
        (id: string) => world.users.revokeSessions(admin, id),
        (id: string) => world.users.createSignInLink(admin, id, true),
      ]) {
        const { id, token } = await open();
        await world.callerOf(token);
        await end(id);
        expect(await codeFor(token)).toBe('unauthenticated');
      }
    });

    it('lives on when only the display name changes', async () => {
      const { id, token } = await open();
      await world.users.change(await world.admin(), id, { displayName: 'Somebody' });
      expect(await codeFor(token)).toBeUndefined();
    });
  });

  describe('one’s own password', () => {
    async function open(password: string | null = goodPassword) {
      const { name, id } = await newUser(password);
      const opened = await signInByLink(world, id);
      return { name, id, token: opened.token, caller: await world.callerOf(opened.token) };
    }
    const newPassword = 'another good password';

    it('is set without a current one when there is none, and ends the other sessions', async () => {
      const { name, caller, token } = await open(null);
      const { caller: _, ...stranger } = await open();
      const opened = await world.signIn.setOwnPassword(caller, { newPassword }, here);
      expect(await codeOf(world.callerOf(token))).toBe('unauthenticated');
      await world.callerOf(opened.token);
      await world.callerOf(stranger.token);
      await tryIn(name, newPassword, '203.0.113.1');
    });

    it('needs the current one, and counts wrong ones', async () => {
      const { name, caller } = await open();
      const change = (currentPassword?: string) =>
        world.signIn.setOwnPassword(
          caller,
          { newPassword, ...(currentPassword === undefined ? {} : { currentPassword }) },
          from('203.0.113.2'),
        );
      expect(await codeOf(change())).toBe('credentials_invalid');
      expect(await codeOf(change(newPassword))).toBe('credentials_invalid');
      await change(goodPassword);
      expect(await codeOf(tryIn(name, goodPassword, '203.0.113.3'))).toBe('credentials_invalid');
    });
  });
});

describe('a new password', () => {
  it.each(['short', 'aaaaaaaaaaaaaaaa', 'ann-ann-ann-ann', `${'a'.repeat(20)}\ud800 bc`, 'päß'.repeat(341)])(
    'refuses %j',
    async (password) => {
      expect(await codeOf(hashNewPassword(password, 'ann', '/newPassword'))).toBe('validation_failed');
    },
  );
});
