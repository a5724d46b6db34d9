import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import { describe, expect, it } from 'vitest';
import type { IssuedToken, SignIn } from './sign-in.ts';
import { TokenCache } from './token-cache.ts';

/** Gives numbered tokens with a lease, after the caller of `answer` says so. */
function fakeSignIn({ leaseSeconds = 3600, uses = 0, isRenewable = true } = {}) {
  let logIns = 0;
  let gate = Promise.resolve();
  const signIn: SignIn = {
    isRenewable,
    async obtain(): Promise<IssuedToken> {
      logIns += 1;
      const number = logIns;
      await gate;
      return { value: SecretValue.fromText(`token-${number}`), leaseSeconds, uses };
    },
  };
  return {
    signIn,
    count: () => logIns,
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      gate = promise.then(() => undefined);
      return () => resolve(undefined);
    },
  };
}

const signal = new AbortController().signal;
const call = () => ({ hasLoggedInAgain: false });

describe('a token', () => {
  it.each([
    [3600, 60_000],
    [10, 8000],
    [0, 60_000],
  ])('with a lease of %i s is kept for %i ms', async (leaseSeconds, milliseconds) => {
    const fake = fakeSignIn({ leaseSeconds });
    let now = 1000;
    const cache = new TokenCache(fake.signIn, () => now);
    await cache.current(signal);
    now += milliseconds - 1;
    await cache.current(signal);
    expect(fake.count()).toBe(1);
    now += 1;
    await cache.current(signal);
    expect(fake.count()).toBe(2);
  });

  it('is one log-in for all who wait, also when the first of them leaves', async () => {
    const fake = fakeSignIn();
    const open = fake.hold();
    const cache = new TokenCache(fake.signIn);
    const leaving = new AbortController();
    const first = cache.current(leaving.signal);
    const others = [cache.current(signal), cache.current(signal)];
    leaving.abort();
    await expect(first).rejects.toMatchObject({ code: 'deadline_exceeded' });
    open();
    expect((await Promise.all(others)).map(({ value }) => value.revealText())).toEqual(['token-1', 'token-1']);
    expect(fake.count()).toBe(1);
  });

  it('that failed to come is asked for again by the next one', async () => {
    let tries = 0;
    const cache = new TokenCache({
      isRenewable: true,
      obtain: () => {
        tries += 1;
        if (tries === 1) return Promise.reject(new StrongroomError('backend_unavailable'));
        return Promise.resolve({ value: SecretValue.fromText('token'), leaseSeconds: 0, uses: 0 });
      },
    });
    await expect(cache.current(signal)).rejects.toMatchObject({ code: 'backend_unavailable' });
    expect((await cache.current(signal)).value.revealText()).toBe('token');
  });

  it('that is refused is had anew once in a call, and for a denied path once in its life', async () => {
    const fake = fakeSignIn();
    const cache = new TokenCache(fake.signIn);
    const first = await cache.current(signal);
    const one = call();
    const second = await cache.afterRefusal(first, 'a', one, signal);
    expect(second?.value.revealText()).toBe('token-2');
    if (second === null) throw new Error('no token');
    expect(await cache.afterRefusal(second, 'a', one, signal)).toBeNull();
    cache.noteDenied('a', second);
    expect(await cache.afterRefusal(second, 'a', call(), signal)).toBeNull();
    // Who still has the first token gets the second one without a log-in.
    expect((await cache.afterRefusal(first, 'b', call(), signal))?.number).toBe(second.number);
    expect(fake.count()).toBe(2);
    expect((await cache.afterRefusal(second, 'b', call(), signal))?.value.revealText()).toBe('token-3');
  });

  it('that somebody made is not had anew', async () => {
    const fake = fakeSignIn({ isRenewable: false });
    const cache = new TokenCache(fake.signIn);
    expect(await cache.afterRefusal(await cache.current(signal), 'a', call(), signal)).toBeNull();
    expect(fake.count()).toBe(1);
  });

  it('is left when its uses are up', async () => {
    const fake = fakeSignIn({ uses: 2 });
    const cache = new TokenCache(fake.signIn);
    for (let use = 0; use < 5; use += 1) await cache.current(signal);
    expect(fake.count()).toBe(3);
  });

  it('is gone when the cache is closed, and so is who waits for one', async () => {
    const fake = fakeSignIn();
    const cache = new TokenCache(fake.signIn);
    const { value } = await cache.current(signal);
    cache.close();
    expect(() => value.reveal()).toThrow(TypeError);
    await expect(cache.current(signal)).rejects.toMatchObject({ code: 'shutting_down' });

    fake.hold();
    const waiting = new TokenCache(fake.signIn);
    const pending = waiting.current(signal);
    waiting.close();
    await expect(pending).rejects.toMatchObject({ code: 'shutting_down' });
  });
});
