import { expect, it } from 'vitest';
import { laneOf, LaneTimes } from './lanes.ts';

it('all mail is one lane, and each scope’s webhook another', () => {
  expect(laneOf({ channel: 'mail', scope_id: 'dom_a' })).toBe(laneOf({ channel: 'mail', scope_id: 'dom_b' }));
  const [one, other] = ['dom_a', 'dom_b'].map((scope) => laneOf({ channel: 'webhook', scope_id: scope }));
  expect(one).not.toBe(other);
});

it('a lane is done for a round when it kept others waiting twice, whether it answered or not; who is quick goes on', async () => {
  let now = 0;
  const times = new LaneTimes(() => now);
  const taking = (milliseconds: number, lane: string) =>
    times.count(lane, async () => {
      now += milliseconds;
      if (lane === 'failing') throw new Error('no answer');
    });
  for (let sent = 0; sent < 1000; sent += 1) await taking(900, 'quick');
  await taking(10_000, 'slow');
  expect(times.spent).toEqual([]);
  await taking(10_000, 'slow');
  for (let attempt = 0; attempt < 2; attempt += 1) await expect(taking(10_000, 'failing')).rejects.toThrow('no answer');
  expect(times.spent.toSorted()).toEqual(['failing', 'slow']);
  expect(times.isSpent('quick')).toBe(false);
});
