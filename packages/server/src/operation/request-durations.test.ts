import { Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { RequestDurations } from './request-durations.ts';

test('reads as the library’s own histogram does', async () => {
  const ours = new Registry();
  const theirs = new Registry();
  const durations = new RequestDurations(ours);
  const { name, help } = await durations.get();
  const histogram = new Histogram({
    name,
    help,
    labelNames: ['route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [theirs],
  });
  const seen: [string, number, number][] = [
    ['a', 200, 0],
    ['a', 200, 0.001],
    ['a', 200, 0.0011],
    ['b', 200, 10],
    ['b', 200, 11],
    ['b', 503, 0.3],
  ];
  for (const [route, status, seconds] of seen) {
    durations.count(route, status, seconds);
    histogram.labels(route, String(status)).observe(seconds);
  }
  expect(await ours.metrics()).toBe(await theirs.metrics());
});
