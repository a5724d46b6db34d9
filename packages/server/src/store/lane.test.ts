import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { LaneOutcome, LaneRequest } from './lane-protocol.ts';
import { WriteLane } from './lane.ts';

/** A writer that is done with a batch when it is told to be. */
function heldWriter() {
  const sizes: number[] = [];
  const order: unknown[] = [];
  let release: (() => void) | undefined;
  const execute = async (requests: readonly LaneRequest[]): Promise<LaneOutcome<never>[]> => {
    sizes.push(requests.length);
    order.push(...requests.map(({ args }) => args));
    await new Promise<void>((resolve) => (release = resolve));
    return requests.map(({ args }) => ({ ok: true, result: args }));
  };
  const finish = async (): Promise<void> => {
    const done = release;
    release = undefined;
    done?.();
    // The answers, and what their callers ask next.
    await turn();
    await turn();
  };
  const finishUntil = async (isOver: () => boolean): Promise<void> => {
    while (!isOver()) await finish();
  };
  return { sizes, order, execute, finishUntil };
}

describe('the write lane', () => {
  it('gives the writer half of what is on its way, so that it is never all with one side', async () => {
    const { sizes, execute, finishUntil } = heldWriter();
    const lane = new WriteLane(execute);
    let asked = 0;
    const callers = Array.from({ length: 32 }, async (_, caller) => {
      for (let round = 0; round < 10; round += 1) {
        asked += 1;
        expect(await lane.submit('test', `${caller}.${round}`)).toBe(`${caller}.${round}`);
      }
    });
    await turn();
    await turn();
    await finishUntil(() => asked === 320);
    expect(sizes.slice(0, 15)).toEqual(Array.from({ length: 15 }, () => 16));
    let isOver = false;
    void Promise.all(callers).then(() => (isOver = true));
    await finishUntil(() => isOver);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(320);
  });

  it('writes a few together, and all in the order they came', async () => {
    const { sizes, order, execute, finishUntil } = heldWriter();
    const lane = new WriteLane(execute);
    const writes = Array.from({ length: 8 }, (_, n) => lane.submit('test', n));
    await turn();
    expect(sizes).toEqual([8]);
    const later = Array.from({ length: 40 }, (_, n) => lane.submit('test', 8 + n));
    const all = Promise.all([...writes, ...later]);
    let isOver = false;
    void all.then(() => (isOver = true));
    await finishUntil(() => isOver);
    expect(await all).toEqual(Array.from({ length: 48 }, (_, n) => n));
    expect(order).toEqual(Array.from({ length: 48 }, (_, n) => n));
    expect(sizes).toEqual([8, 24, 16]);
  });
});
