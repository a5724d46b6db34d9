import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Store } from '../store/store.ts';
import { createLog } from './log.ts';
import { Scheduler } from './scheduler.ts';

const hour = 3_600_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A store in which somebody else has every lease until `freeAt`, as `Date.now()` says it. */
function leased(freeAt: number): Pick<Store, 'execute'> {
  const execute = (name: string): Promise<unknown> =>
    Promise.resolve(name === 'lease.acquire' ? { epoch: Date.now() < freeAt ? null : 1 } : { isHeld: true });
  return { execute: execute as Store['execute'] };
}

it('asks again soon for a lease that a server which was killed still has', async () => {
  const startedAt = Date.now();
  const rounds: number[] = [];
  const scheduler = new Scheduler(leased(startedAt + 30_000), 'second', createLog('error'));
  const run = (): Promise<void> => {
    rounds.push(Date.now() - startedAt);
    return Promise.resolve();
  };
  scheduler.start([{ name: 'sample', everyMilliseconds: 6 * hour, run }]);
  await vi.advanceTimersByTimeAsync(5 * hour);
  expect(rounds).toHaveLength(1);
  expect(rounds[0]).toBeLessThan(60_000);
  await vi.advanceTimersByTimeAsync(3 * hour);
  expect(rounds).toHaveLength(2);
  await scheduler.stop();
});

it('asks no more often than there is work', async () => {
  let asked = 0;
  const execute = (name: string): Promise<unknown> => {
    if (name === 'lease.acquire') asked += 1;
    return Promise.resolve({ epoch: null });
  };
  const scheduler = new Scheduler({ execute: execute as Store['execute'] }, 'second', createLog('error'));
  const run = (): Promise<void> => Promise.reject(new Error('The lease is somebody else’s'));
  scheduler.start([{ name: 'sample', everyMilliseconds: 1_000, run }]);
  await vi.advanceTimersByTimeAsync(10_600);
  expect([asked > 8, asked < 12]).toEqual([true, true]);
  await scheduler.stop();
});
