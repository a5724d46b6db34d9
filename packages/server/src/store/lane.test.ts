import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WriteLane } from './lane.ts';

describe('a command with patience', () => {
  let batches: string[][];
  let lane: WriteLane;
  const submit = (name: string, patienceMilliseconds = 0): Promise<unknown> =>
    lane.submit(name, undefined, { patienceMilliseconds });
  /** Patient commands come so often that each can count on another. */
  const warmUp = async (): Promise<void> => {
    for (let command = 0; command < 80; command += 1) {
      void submit('earlier', 4);
      await vi.advanceTimersByTimeAsync(1);
    }
    await vi.advanceTimersByTimeAsync(4);
    batches.length = 0;
  };
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance'] });
    batches = [];
    lane = new WriteLane(async (requests) => {
      batches.push(requests.map(({ name }) => name));
      return requests.map(() => ({ ok: true, result: undefined }));
    });
  });
  afterEach(() => vi.useRealTimers());

  it('goes at once while others come seldom', async () => {
    for (const name of ['a', 'b', 'c']) {
      void submit(name, 4);
      await vi.advanceTimersByTimeAsync(1);
      expect(batches.at(-1)).toEqual([name]);
      await vi.advanceTimersByTimeAsync(500);
    }
  });

  it('waits for those that come meanwhile, and no longer than it said', async () => {
    await warmUp();
    for (const name of ['a', 'b', 'c']) {
      void submit(name, 4);
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(batches).toEqual([]);
    await vi.advanceTimersByTimeAsync(2);
    expect(batches).toEqual([['a', 'b', 'c']]);
  });

  it('goes with one that has none, and with as many as are enough', async () => {
    await warmUp();
    void submit('patient', 4);
    void submit('urgent');
    await vi.advanceTimersByTimeAsync(0);
    expect(batches).toEqual([['patient', 'urgent']]);
    for (let command = 0; command < 16; command += 1) void submit('one of many', 4);
    await vi.advanceTimersByTimeAsync(0);
    expect(batches.at(-1)).toHaveLength(16);
  });

  it('is done when the lane closes', async () => {
    await warmUp();
    const done = submit('last', 4);
    const closing = lane.close();
    await vi.advanceTimersByTimeAsync(5);
    await Promise.all([done, closing]);
    expect(batches).toEqual([['last']]);
  });
});
