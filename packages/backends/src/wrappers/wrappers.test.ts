import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import { SecretValue } from '@strongroom/crypto';
import { describe, expect, test } from 'vitest';
import type { Backend, Entry } from '../backend.ts';
import { faulty } from './faulty.ts';
import { limited, type LimitedOptions } from './limited.ts';
import { RetryBudget } from './retry-budget.ts';
import { traced, type TracedCall } from './traced.ts';

const { signal } = new AbortController();
const any = { signal, expect: { kind: 'any' }, intentId: 'i' } as const;
const content = { value: SecretValue.fromText('canary'), shape: 'text' } as const;

/** A backend of which only what is given can be called. */
function backendOf(methods: Partial<Backend>, batch = 1): Backend {
  const missing = () => Promise.reject(new Error('not part of this test'));
  return {
    type: 'test',
    capabilities: {
      list: true,
      put: true,
      delete: true,
      cas: true,
      versions: true,
      batch,
      fields: 'native',
      limits: { valueBytes: 9 },
    },
    get: missing,
    getMany: missing,
    check: missing,
    list: missing,
    put: missing,
    delete: missing,
    close: () => Promise.resolve(),
    ...methods,
  };
}

/** A backend that fails each request, and how many there were. */
function failing(
  code: ErrorCode,
  retryAfterSeconds?: number,
): { readonly backend: Backend; readonly count: () => number } {
  let requests = 0;
  const fail = () => {
    requests += 1;
    return Promise.reject(new StrongroomError(code, retryAfterSeconds === undefined ? {} : { retryAfterSeconds }));
  };
  return {
    backend: backendOf({ get: fail, getMany: fail, list: fail, put: fail, delete: fail, check: fail }),
    count: () => requests,
  };
}

const quick: LimitedOptions = { backoffMs: 1, maxBackoffMs: 1 };
const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'no error';
  } catch (error) {
    return error instanceof StrongroomError ? error.code : String(error);
  }
};

describe('limited: retries', () => {
  test.each(['backend_throttled', 'backend_unavailable'] as const)(
    'at most 1.2 requests a call when everything is %s, over all calls together',
    async (code) => {
      const { backend, count } = failing(code);
      const guarded = limited(backend, { ...quick, maxConcurrent: 8 });
      let calls = 0;
      for (let round = 0; round < 10; round += 1) {
        const work = Array.from({ length: 17 }, (_, index) => {
          if (index % 3 === 0) return guarded.getMany(['a', 'b', 'c'], { signal });
          return index % 3 === 1 ? guarded.get('a', { signal }) : guarded.list({ signal, limit: 1 });
        });
        calls += 6 * 3 + 11;
        for (const outcome of await Promise.allSettled(work)) expect(outcome.status).toBe('rejected');
        expect(count()).toBeLessThanOrEqual(calls * 1.2);
      }
      expect(count()).toBeGreaterThan(calls * 1.15);
    },
  );

  test('a budget that is shared holds for both backends together', async () => {
    const [one, other] = [failing('backend_throttled'), failing('backend_throttled')];
    const budget = new RetryBudget();
    const backends = [one, other].map(({ backend }) => limited(backend, { ...quick, budget }));
    for (let call = 0; call < 50; call += 1) await codeOf(backends[call % 2]!.get('a', { signal }));
    expect(one.count() + other.count()).toBe(60);
  });

  test('a quiet hour does not pay for a storm', () => {
    const budget = new RetryBudget();
    for (let call = 0; call < 10_000; call += 1) budget.earn();
    let retries = 0;
    while (budget.spend()) retries += 1;
    expect(retries).toBe(20);
  });

  test.each([
    'backend_denied',
    'backend_sealed',
    'backend_malformed',
    'backend_limit',
    'version_conflict',
    'not_supported',
    'egress_denied',
    'validation_failed',
  ] as const)('none on %s', async (code) => {
    const { backend, count } = failing(code);
    const guarded = limited(backend, { ...quick, budget: savedUp() });
    expect(await codeOf(guarded.get('a', { signal }))).toBe(code);
    expect(count()).toBe(1);
  });

  test('none of what writes, and none of what tries the connection', async () => {
    const { backend, count } = failing('backend_unavailable');
    const guarded = limited(backend, { ...quick, budget: savedUp() });
    await codeOf(guarded.put('a', content, any));
    await codeOf(guarded.delete('a', any));
    await codeOf(guarded.check({ signal }));
    expect(count()).toBe(3);
  });

  test('as many attempts as are allowed, then the backend’s own error', async () => {
    const { backend, count } = failing('backend_throttled');
    const guarded = limited(backend, { ...quick, maxAttempts: 4, budget: savedUp() });
    expect(await codeOf(guarded.list({ signal, limit: 1 }))).toBe('backend_throttled');
    expect(count()).toBe(4);
  });

  test('the pause grows and is a random part of itself', async () => {
    const drawn: number[] = [];
    const random = () => (drawn.push(1), 0.5);
    const { backend } = failing('backend_unavailable');
    const startedAt = performance.now();
    await codeOf(limited(backend, { backoffMs: 40, random, budget: savedUp() }).get('a', { signal }));
    // Half of 40, then half of 80.
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(58);
    expect(drawn).toHaveLength(2);
  });

  test('the pause that the backend asks for is kept', async () => {
    const { backend, count } = failing('backend_throttled', 0.05);
    const startedAt = performance.now();
    await codeOf(limited(backend, { ...quick, maxAttempts: 2, budget: savedUp() }).get('a', { signal }));
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(49);
    expect(count()).toBe(2);
  });

  test('a pause beyond the deadline is not begun', async () => {
    const { backend, count } = failing('backend_throttled', 60);
    const startedAt = performance.now();
    const guarded = limited(backend, { deadlineMs: 50_000, budget: savedUp() });
    expect(await codeOf(guarded.get('a', { signal }))).toBe('backend_throttled');
    expect(performance.now() - startedAt).toBeLessThan(40_000);
    expect(count()).toBe(1);
  });

  test('a caller that gives up during the pause hears so at once', async () => {
    const { backend } = failing('backend_throttled', 60);
    const startedAt = performance.now();
    const guarded = limited(backend, { deadlineMs: 90_000, budget: savedUp() });
    expect(await codeOf(guarded.get('a', { signal: AbortSignal.timeout(30) }))).toBe('deadline_exceeded');
    expect(performance.now() - startedAt).toBeLessThan(40_000);
  });
});

describe('limited: requests at once', () => {
  test('never more than allowed, also of many keys', async () => {
    let [under, most] = [0, 0];
    const ask = async () => {
      most = Math.max(most, (under += 1));
      await new Promise((resolve) => setTimeout(resolve, 2));
      under -= 1;
    };
    const getMany: Backend['getMany'] = async (keys) => {
      await ask();
      return new Map(keys.map((key) => [key, null]));
    };
    const get = () => ask().then(() => null);
    const guarded = limited(backendOf({ get, getMany }), { maxConcurrent: 3 });
    const keys = Array.from({ length: 20 }, (_, index) => `key-${index}`);
    const [answers] = await Promise.all([
      guarded.getMany(keys, { signal }),
      ...keys.map((key) => guarded.get(key, { signal })),
    ]);
    expect([...answers.keys()]).toEqual(keys);
    expect(most).toBe(3);
  });

  test('many keys go in requests of the batch size, each key once', async () => {
    const asked: (readonly string[])[] = [];
    const getMany: Backend['getMany'] = (keys) => {
      asked.push(keys);
      return Promise.resolve(new Map(keys.map((key) => [key, null])));
    };
    await limited(backendOf({ getMany }, 2)).getMany(['a', 'b', 'a', 'c', 'b', 'd', 'e'], { signal });
    expect(asked).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  });

  test('a request that ignores its signal keeps its place; those who wait are told in time and ask for nothing', async () => {
    let requests = 0;
    const { promise, resolve } = Promise.withResolvers<Entry | null>();
    const get = () => {
      requests += 1;
      return requests === 1 ? promise : Promise.resolve(null);
    };
    const guarded = limited(backendOf({ get }), { maxConcurrent: 1, deadlineMs: 30 });
    const codes = await Promise.all([1, 2, 3].map(() => codeOf(guarded.get('a', { signal }))));
    expect(codes).toEqual(['deadline_exceeded', 'deadline_exceeded', 'deadline_exceeded']);
    resolve(null);
    expect(await guarded.get('a', { signal })).toBeNull();
    expect(requests).toBe(2);
  });
});

describe('limited: many keys, some of which fail', () => {
  const partly = (isFailing: (key: string) => boolean, code: ErrorCode): Backend =>
    backendOf({
      getMany: ([key = '']) =>
        isFailing(key) ? Promise.reject(new StrongroomError(code)) : Promise.resolve(new Map([[key, null]])),
    });

  test('they have the error as their answer, the others theirs', async () => {
    const guarded = limited(
      partly((key) => key === 'b', 'backend_unavailable'),
      quick,
    );
    const answers = await guarded.getMany(['a', 'b', 'c'], { signal });
    expect(answers.get('a')).toBeNull();
    expect(answers.get('c')).toBeNull();
    expect(answers.get('b')).toMatchObject({ code: 'backend_unavailable' });
  });

  test('when all fail it is thrown', async () => {
    const guarded = limited(
      partly(() => true, 'backend_denied'),
      quick,
    );
    expect(await codeOf(guarded.getMany(['a', 'b', 'c'], { signal }))).toBe('backend_denied');
  });

  test('a deadline is of all of them', async () => {
    const guarded = limited(
      partly((key) => key === 'b', 'deadline_exceeded'),
      quick,
    );
    expect(await codeOf(guarded.getMany(['a', 'b', 'c'], { signal }))).toBe('deadline_exceeded');
  });
});

describe('limited: a tried connection', () => {
  test('has its own lines when it ends with its signal', async () => {
    const check: Backend['check'] = async ({ signal: given }) => {
      await new Promise((resolve) => given.addEventListener('abort', resolve, { once: true }));
      return [{ step: 'tls', outcome: 'failed', code: 'deadline_exceeded', message: 'Too slow' }];
    };
    const lines = await limited(backendOf({ check }), { deadlineMs: 10 }).check({ signal });
    expect(lines).toMatchObject([{ step: 'tls', message: 'Too slow' }]);
  });

  test('has a line when it does not', async () => {
    const check = () => Promise.withResolvers<never>().promise;
    const lines = await limited(backendOf({ check }), { deadlineMs: 10 }).check({ signal });
    expect(lines).toMatchObject([{ step: 'reachable', outcome: 'failed', code: 'deadline_exceeded' }]);
  });
});

describe('traced', () => {
  test('tells method, outcome and duration of each call, and no key', async () => {
    const told: TracedCall[] = [];
    const plan = [null, 'backend_denied', 'internal'];
    const get = () => {
      const next = plan.shift();
      if (next === 'backend_denied') return Promise.reject(new StrongroomError(next));
      return next === null ? Promise.resolve(null) : Promise.reject(new TypeError('canary'));
    };
    const getMany = () => Promise.resolve(new Map());
    const watched = traced(backendOf({ get, getMany }), (call) => told.push(call));
    await watched.get('team/key-canary', { signal });
    await codeOf(watched.get('team/key-canary', { signal }));
    await codeOf(watched.get('team/key-canary', { signal }));
    await watched.getMany(['team/key-canary', 'b'], { signal });
    expect(told.map(({ method, outcome, keyCount }) => [method, outcome, keyCount])).toEqual([
      ['get', 'absent', 1],
      ['get', 'backend_denied', 1],
      ['get', 'internal', 1],
      ['getMany', 'ok', 2],
    ]);
    expect(told.every(({ type, durationMs }) => type === 'test' && durationMs >= 0)).toBe(true);
    expect(JSON.stringify(told)).not.toContain('canary');
  });
});

describe('faulty', () => {
  test('each fault, for the calls that the plan names', async () => {
    let writes = 0;
    const put = () => Promise.resolve({ version: String((writes += 1)) });
    const get = () => Promise.resolve(null);
    const troubled = faulty(backendOf({ get, put }), ({ method, keys: [key] }) => {
      if (method === 'put')
        return { kind: key === 'cut' ? 'cut' : 'throw', code: 'backend_throttled', retryAfterSeconds: 7 };
      if (key === 'slow') return { kind: 'delay', ms: 20 };
      return key === 'hang' ? { kind: 'hang' } : null;
    });
    const startedAt = performance.now();
    expect(await troubled.get('slow', { signal })).toBeNull();
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(19);
    expect(await codeOf(troubled.get('hang', { signal: AbortSignal.timeout(10) }))).toBe('deadline_exceeded');
    await expect(troubled.put('other', content, any)).rejects.toMatchObject({
      code: 'backend_throttled',
      retryAfterSeconds: 7,
    });
    expect(writes).toBe(0);
    expect(await codeOf(troubled.put('cut', content, any))).toBe('backend_unavailable');
    expect(writes).toBe(1);
  });
});

function savedUp(): RetryBudget {
  const budget = new RetryBudget();
  for (let call = 0; call < 100; call += 1) budget.earn();
  return budget;
}
