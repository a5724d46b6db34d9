import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ReferenceFixture } from '../../testing/reference/fixture.ts';
import { otherDefects } from '../../testing/reference/other-defects.ts';
import { readDefects } from '../../testing/reference/read-defects.ts';
import { writeDefects } from '../../testing/reference/write-defects.ts';
import { conformanceChecks, runConformance } from './index.ts';

const defects = [...readDefects, ...writeDefects, ...otherDefects];

let fixture: ReferenceFixture;
beforeEach(async () => {
  fixture = await ReferenceFixture.start();
});
afterEach(() => fixture.stop());

describe('each planted defect is caught by the checks that are there for it', () => {
  test.for(defects)('$title', async ({ caughtBy, plant, adjust }, { signal }) => {
    const context = fixture.context((backend) => plant(backend, fixture));
    const adjusted = adjust?.(context, fixture) ?? context;
    const results = await runConformance(adjusted, { signal, only: Object.keys(caughtBy) });
    const found = Object.fromEntries(results.map(({ name, outcome, reason }) => [name, { outcome, reason }]));
    const expected = Object.entries(caughtBy).map(
      ([name, says]) => [name, { outcome: 'failed', reason: expect.stringContaining(says) as string }] as const,
    );
    expect(found).toEqual(Object.fromEntries(expected));
  });
});

test('every check catches a defect', () => {
  const catching = new Set(defects.flatMap(({ caughtBy }) => Object.keys(caughtBy)));
  const names = conformanceChecks.map(({ name }) => name);
  expect(names.filter((name) => !catching.has(name))).toEqual([]);
  expect([...catching].filter((name) => !names.includes(name))).toEqual([]);
  expect(new Set(names).size).toBe(names.length);
});
