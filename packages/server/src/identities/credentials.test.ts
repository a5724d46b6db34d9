import { StrongroomError } from '@strongroom/contract';
import { createToken } from '@strongroom/crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nextMillisecond } from '../../testing/next-millisecond.ts';
import { describeEachStore } from '../../testing/stores.ts';
import type { Caller } from '../access/types.ts';
import { maxLiveTokens } from './service-account-commands.ts';
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

const day = 24 * 60 * 60_000;

describeEachStore('credentials', (openStore) => {
  let world: IdentityWorld;
  let admin: Caller;
  let count = 0;

  beforeAll(async () => {
    world = await openWorld(await openStore());
    admin = await world.admin();
  });
  afterAll(() => world.close());

  /** A user of its own per test, so that throttles don't meet. */
  function newUser() {
    count += 1;
    return addUser(world, `user-${count}`);
  }
  function newAccount() {
    count += 1;
    return world.accounts.create(admin, { name: `robot-${count}` });
  }
  const from = (network: string) => ({ requestId: 'req-test', network });
  const tryIn = (name: string, password: string, network = here.network) =>
    world.signIn.withPassword({ name, password, transport: 'bearer' }, from(network));
  const codeFor = (token: string) => codeOf(Promise.try(() => world.authentication.byBearer(token, here)));

  describe('signing in', () => {
    /**
     * Fails with these names in turn until there is a wait of two seconds or more. The first one is after five failures, and
     * may be over where a try takes that long; each further failure doubles it.
     */
    async function failUntilThrottled(names: readonly string[], network: string): Promise<void> {
      let failures = 0;
      let lastFailureAt = 0;
      while (failures < 12) {
        const startedAt = performance.now();
        const name = names[failures % names.length] ?? '';
        const error: unknown = await tryIn(name, 'wrong wrong wrong', network).catch((caught: unknown) => caught);
        if (!(error instanceof StrongroomError)) throw new Error('It was let in', { cause: error });
        if (error.code === 'throttled' && failures >= 5) {
          if ((error.retryAfterSeconds ?? 0) >= 2) return;
          continue;
        }
        expect(error.code).toBe('credentials_invalid');
        if (failures >= 5) expect(performance.now() - lastFailureAt).toBeGreaterThan(1_900 * 2 ** (failures - 5));
        failures += 1;
        lastFailureAt = startedAt;
      }
      throw new Error('It was never throttled');
    }

    it('slows guessing down after five attempts, whatever the spelling, and not elsewhere', async () => {
      const { name } = await newUser();
      const spellings = [name, name.toUpperCase(), ` ${name}`, `${name}\t`, name];
      await failUntilThrottled(spellings, '2001:db8:5:5::1');
      // The right password from a rotated address of the same /64 waits as well.
      await expect(tryIn(name, goodPassword, '2001:db8:5:5:dead:beef:0:1')).rejects.toMatchObject({
        code: 'throttled',
        retryAfterSeconds: expect.any(Number),
      });
      await tryIn(name, goodPassword, '2001:db8:5:6::1');
    });

    it('throttles unknown accounts as it does known ones', async () => {
      await expect(failUntilThrottled(['phantom'], '198.51.100.3')).resolves.toBeUndefined();
    });

    it('counts attempts that are made at once', async () => {
      const { name } = await newUser();
      const attempts = Array.from({ length: 12 }, () => codeOf(tryIn(name, 'wrong wrong wrong', '198.51.100.4')));
      const codes = await Promise.all(attempts);
      expect(codes.filter((code) => code === 'credentials_invalid')).toHaveLength(5);
    });

    it('takes its own count back when the password is right', async () => {
      const { name } = await newUser();
      for (let attempt = 0; attempt < 4; attempt += 1) await codeOf(tryIn(name, 'wrong wrong wrong', '198.51.100.5'));
      await tryIn(name, goodPassword, '198.51.100.5');
      const codes = [];
      for (let attempt = 0; attempt < 5; attempt += 1) {
        codes.push(await codeOf(tryIn(name, 'wrong wrong wrong', '198.51.100.5')));
      }
      expect(new Set(codes)).toEqual(new Set(['credentials_invalid']));
    });

    it('takes a link once, also when it is used twice at once', async () => {
      const { id } = await newUser();
      const { token, path } = await world.users.createSignInLink(await world.admin(), id, false);
      expect(path).toBe(`/signin#${token}`);
      const tries = [1, 2, 3].map(() => world.signIn.withLink({ token, transport: 'bearer' }, here));
      const outcomes = await Promise.allSettled(tries);
      expect(outcomes.map((outcome) => outcome.status).toSorted()).toEqual(['fulfilled', 'rejected', 'rejected']);
      expect(await codeOf(world.signIn.withLink({ token, transport: 'bearer' }, here))).toBe('credentials_invalid');
    });

    it('keeps at most fifty sessions: the oldest ends', async () => {
      const { id } = await newUser();
      const { token } = await signInByLink(world, id);
      await nextMillisecond();
      const more = Array.from({ length: 50 }, () => signInByLink(world, id));
      await Promise.all(more);
      expect(await codeOf(world.callerOf(token))).toBe('unauthenticated');
    });

    it('changes a password once when changed twice at once', async () => {
      const { id } = await newUser();
      const caller = await world.callerOf((await signInByLink(world, id)).token);
      const change = (text: string) =>
        world.signIn.setOwnPassword(caller, { currentPassword: goodPassword, newPassword: text }, from('203.0.113.4'));
      const outcomes = await Promise.allSettled([change('first new password'), change('second new password')]);
      expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1);
    });
  });

  describe('service accounts', () => {
    it('call with a token that is shown once and stored as a keyed hash', async () => {
      const account = await newAccount();
      const issued = await world.accounts.issueToken(admin, account.id, { description: 'nightly' });
      expect(issued.token).toMatch(/^srt_[0-9A-Za-z]{49}$/);
      expect(issued.lastFour).toBe(issued.token.slice(-4));
      expect(issued.expiresAt).toBeGreaterThan(Date.now() + 89 * day);
      const caller = await world.callerOf(issued.token);
      expect(caller).toMatchObject({
        id: account.id,
        kind: 'service-account',
        name: `service-account:${account.name}`,
        credential: { type: 'token', id: issued.id },
      });
      const { items: listed } = await world.accounts.listTokens(admin, account.id, {});
      expect(listed).toMatchObject([{ id: issued.id, description: 'nightly', revokedAt: null }]);
      const rows = await world.store.db.selectFrom('tokens').selectAll().execute();
      expect(JSON.stringify([listed, rows, await auditTrail(world.store)])).not.toContain(issued.token.slice(4, 30));
    });

    it('live as long as asked for: ninety days by default, at will, or for ever', async () => {
      const account = await newAccount();
      const issue = (expiresInDays?: number | null) =>
        world.accounts.issueToken(admin, account.id, expiresInDays === undefined ? {} : { expiresInDays });
      const [byDefault, week, never] = await Promise.all([issue(), issue(7), issue(null)]);
      const codesAfter = async (days: number) => {
        world.clock.offsetMilliseconds = days * day;
        const codes = await codesOf([byDefault, week, never].map(({ token }) => world.callerOf(token)));
        world.clock.offsetMilliseconds = 0;
        return codes;
      };
      expect(never.expiresAt).toBeNull();
      expect(await codesAfter(6.9)).toEqual([undefined, undefined, undefined]);
      expect(await codesAfter(7.1)).toEqual([undefined, 'unauthenticated', undefined]);
      expect(await codesAfter(90.1)).toEqual(['unauthenticated', 'unauthenticated', undefined]);
      expect(await codesAfter(3650)).toEqual(['unauthenticated', 'unauthenticated', undefined]);
    });

    it('stop at once when the token is revoked, and only then the account’s other tokens', async () => {
      const account = await newAccount();
      const one = await world.accounts.issueToken(admin, account.id, {});
      const two = await world.accounts.issueToken(admin, account.id, {});
      await world.accounts.revokeToken(admin, account.id, one.id);
      await world.accounts.revokeToken(admin, account.id, one.id);
      expect(await codeFor(one.token)).toBe('unauthenticated');
      await world.callerOf(two.token);
      await world.accounts.change(admin, account.id, { isDisabled: true });
      expect(await codeFor(two.token)).toBe('unauthenticated');
      expect(await codeOf(world.accounts.issueToken(admin, account.id, {}))).toBe('state_conflict');
      await world.accounts.change(admin, account.id, { isDisabled: false });
      await world.callerOf(two.token);
      await world.accounts.delete(admin, account.id);
      expect(await codeFor(two.token)).toBe('unauthenticated');
      const verbs = (await auditTrail(world.store)).map((record) => record['action']);
      expect(verbs.filter((verb) => verb === 'token.revoke')).toHaveLength(1);
    });

    it('refuse every credential that is not one, in the same words', async () => {
      const account = await newAccount();
      const revoked = await world.accounts.issueToken(admin, account.id, {});
      await world.accounts.revokeToken(admin, account.id, revoked.id);
      const good = await world.accounts.issueToken(admin, account.id, {});
      const texts = [
        revoked.token,
        createToken('srt_'),
        createToken('srs_'),
        createToken('srl_'),
        `${good.token.slice(0, -1)}${good.token.endsWith('a') ? 'b' : 'a'}`,
        good.token.toLowerCase(),
        `${good.token} `,
        `${good.token}\u0000`,
        good.token.replace('srt_', 'srs_'),
        'srt_',
        '',
        'x'.repeat(10_000),
      ];
      const errors = await Promise.all(
        texts.map((text) =>
          Promise.try(() => world.authentication.byBearer(text, here)).then(
            () => null,
            (error: unknown) => JSON.stringify(error, ['code', 'detail', 'hint', 'errors']),
          ),
        ),
      );
      expect(new Set(errors).size).toBe(1);
      expect(errors[0]).toContain('unauthenticated');
      await world.callerOf(good.token);
    });

    it('have their last use noted by the minute, off the path of the call', async () => {
      const account = await newAccount();
      const { token } = await world.accounts.issueToken(admin, account.id, {});
      await world.callerOf(token);
      const used = async () => (await world.accounts.listTokens(admin, account.id, {})).items[0]?.lastUsedAt;
      expect(await used()).toBeNull();
      await world.activity.flush();
      const first = await used();
      expect(first).toBeGreaterThan(Date.now() - 60_000);
      world.clock.offsetMilliseconds = 30_000;
      await world.callerOf(token);
      await world.activity.flush();
      expect(await used()).toBe(first);
      world.clock.offsetMilliseconds = 90_000;
      await world.callerOf(token);
      await world.activity.flush();
      expect(await used()).toBeGreaterThan((first ?? 0) + 60_000);
      world.clock.offsetMilliseconds = 0;
    });

    it('have at most fifty usable tokens', async () => {
      const account = await newAccount();
      const issue = () => world.accounts.issueToken(admin, account.id, { expiresInDays: 1 });
      const codes = await codesOf(Array.from({ length: maxLiveTokens + 2 }, issue));
      expect(codes.filter((code) => code === 'limit_exceeded')).toHaveLength(2);
      const { items, ...whole } = await world.accounts.listTokens(admin, account.id, {});
      expect([items.length, whole]).toEqual([maxLiveTokens, {}]);
      await world.accounts.revokeToken(admin, account.id, items[0]?.id ?? '');
      await nextMillisecond();
      const { id: newest } = await issue();
      const pages: string[][] = [];
      for (let cursor: string | undefined; ;) {
        const page = await world.accounts.listTokens(admin, account.id, { limit: 20, ...(cursor && { cursor }) });
        pages.push(page.items.map(({ id }) => id));
        ({ nextCursor: cursor } = page);
        if (cursor === undefined) break;
        const other = world.accounts.listTokens(admin, (await newAccount()).id, { cursor });
        await expect(other).rejects.toMatchObject({ code: 'cursor_invalid' });
      }
      expect(pages.map(({ length }) => length)).toEqual([20, 20, 11]);
      expect(pages.flat()).toEqual([newest, ...items.map(({ id }) => id)]);
    });

    it('get a token once by one idempotency key', async () => {
      const account = await newAccount();
      const idempotency = {
        subject: admin.id,
        route: 'issueToken',
        key: 'once',
        bodyHmac: world.keys.bodyHmac(Buffer.from('{}')),
      };
      const issued = await world.accounts.issueToken(admin, account.id, {}, undefined, idempotency);
      const repeat = world.accounts.issueToken(admin, account.id, {}, undefined, idempotency);
      await expect(repeat).rejects.toMatchObject({
        code: 'replayed_issue',
        detail: expect.stringContaining(issued.id),
      });
      expect((await world.accounts.listTokens(admin, account.id, {})).items).toHaveLength(1);
    });

    it('don’t find each other’s tokens', async () => {
      const mine = await newAccount();
      const other = await newAccount();
      const { id, token } = await world.accounts.issueToken(admin, other.id, {});
      expect(await codeOf(world.accounts.revokeToken(admin, mine.id, id))).toBe('not_found');
      await world.callerOf(token);
    });
  });
});
