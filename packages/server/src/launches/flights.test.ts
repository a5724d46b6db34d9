import { type ErrorCode, StrongroomError } from '@strongroom/contract';
import { SecretValue } from '@strongroom/crypto';
import { describe, expect, it } from 'vitest';
import { Fetcher } from './fetcher.ts';
import { Flights } from './flights.ts';
import { LaunchValues } from './launch-values.ts';
import type { Progress } from './progress.ts';
import { SharedDeadline } from './shared-deadline.ts';
import type { Fetched } from './sources/source.ts';

describe('flights', () => {
  const value = (text: string): Fetched => ({
    kind: 'value',
    value: SecretValue.fromText(text),
    version: '1',
    fingerprint: null,
  });
  const textOf = (fetched: Fetched): string =>
    fetched.kind === 'value' ? fetched.value.revealText() : fetched.failure;

  it('ask once for many, and give each its own copy', async () => {
    const flights = new Flights();
    const { promise, resolve } = Promise.withResolvers<Fetched>();
    const signals = [new AbortController().signal];
    flights.start('k', promise);
    const waiting = Promise.all([1, 2, 3].map(() => flights.join('k', signals)));
    resolve(value('v'));
    const landed = await waiting;
    if (landed[0]?.kind === 'value') landed[0].value.destroy();
    expect(landed.slice(1).map(textOf)).toEqual(['v', 'v']);
    expect(flights.isFlying('k')).toBe(false);
  });

  it('go on when the one who began them leaves', async () => {
    const flights = new Flights();
    const { promise, resolve } = Promise.withResolvers<Fetched>();
    const leader = new AbortController();
    flights.start('k', promise);
    const first = flights.join('k', [new AbortController().signal, leader.signal]);
    const second = flights.join('k', []);
    leader.abort();
    expect(textOf(await first)).toBe('deadline');
    resolve(value('v'));
    expect(textOf(await second)).toBe('v');
  });

  it('leave nothing behind when all have left', async () => {
    const flights = new Flights();
    const { promise, resolve } = Promise.withResolvers<Fetched>();
    const caller = new AbortController();
    flights.start('k', promise);
    const waiting = flights.join('k', [caller.signal]);
    caller.abort();
    expect(textOf(await waiting)).toBe('deadline');
    expect(textOf(await flights.join('k', [caller.signal]))).toBe('deadline');
    const landed = value('v');
    resolve(landed);
    await promise;
    expect(() => textOf(landed)).toThrow(TypeError);
  });

  it('fail for all who wait when the fetch does', async () => {
    const flights = new Flights();
    flights.start('k', Promise.reject(new TypeError('broken')));
    await expect(Promise.all([flights.join('k', []), flights.join('k', [])])).rejects.toThrow('broken');
    expect(flights.size).toBe(0);
  });

  it('share the end of their time, so many of them', async () => {
    const deadline = new SharedDeadline(5, 5);
    const { signal } = deadline;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    expect(deadline.signal.aborted).toBe(false);
    const patient = new SharedDeadline(60_000, 60_000);
    const signals = new Set(Array.from({ length: 250 }, () => patient.signal));
    expect(signals.size).toBe(3);
  });
});

describe('a source that throws', () => {
  async function failureBy(cause: Error) {
    const reported: unknown[] = [];
    const source = { kind: 'remote', flightPrefix: () => 'broken', fetch: () => Promise.reject(cause) } as const;
    const fetcher = new Fetcher(
      () => source,
      (_, error) => reported.push(error),
    );
    const wanted = { reference: { key: 'a' } } as Progress['wanted'];
    const target = { source: { id: 'src_1' }, secret: null } as Progress['target'];
    const results = { failure: null, detail: undefined, version: null, fingerprint: null, milliseconds: 0 };
    const step: Progress = { wanted, target, because: [], ...results };
    await fetcher.fetch([step], new LaunchValues(), { signal: undefined, beforeAsking: undefined });
    return { failure: step.failure, detail: step.detail, reported };
  }

  it('what is no error of ours is an outage for the launch, and is reported', async () => {
    const broken = new TypeError('no such property');
    expect(await failureBy(broken)).toEqual({ failure: 'source-unavailable', detail: undefined, reported: [broken] });
  });

  it.each<readonly [ErrorCode, string]>([
    ['backend_unavailable', 'source-unavailable'],
    ['backend_denied', 'source-denied'],
    ['backend_sealed', 'source-sealed'],
    ['backend_throttled', 'source-throttled'],
    ['backend_malformed', 'source-malformed'],
    ['deadline_exceeded', 'deadline'],
    ['egress_denied', 'source-denied'],
    ['key_unavailable', 'key-unavailable'],
    // Never that what it has is not there.
    ['validation_failed', 'source-unavailable'],
    ['backend_deleted', 'source-unavailable'],
    ['not_found', 'source-unavailable'],
    ['backend_limit', 'source-unavailable'],
  ])('%s is %s, in its words', async (code, failure) => {
    const error = new StrongroomError(code, { detail: 'Words of its own.' });
    expect(await failureBy(error)).toEqual({ failure, detail: 'Words of its own.', reported: [] });
  });
});
