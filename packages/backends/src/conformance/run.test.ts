import { SecretValue } from '@strongroom/crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { referenceCapabilities } from '../../testing/reference/backend.ts';
import { ReferenceFixture } from '../../testing/reference/fixture.ts';
import { conformanceChecks, type ConformanceResult, placeThrough, runConformance } from './index.ts';

const { signal } = new AbortController();
let fixture: ReferenceFixture;

beforeAll(async () => {
  fixture = await ReferenceFixture.start();
  for (const key of ['app/db', 'app/mail', 'team/token']) {
    fixture.seed(key, { value: SecretValue.fromText(`canary-${key}`), shape: 'text' });
  }
});
afterAll(() => fixture.stop());

function everything(): string {
  return JSON.stringify(
    ['entries', 'contents'].map((table) =>
      fixture.store.database
        .prepare(`SELECT * FROM ${table} ORDER BY 1`)
        .all()
        .map((row) => Object.values(row).map(String)),
    ),
  );
}

const namesOf = (results: readonly ConformanceResult[], outcome: string) =>
  results.filter((result) => result.outcome === outcome).map(({ name }) => name);

test('without a place it writes nothing, and says by name what it did not try', async () => {
  const before = everything();
  let writes = 0;
  const open = () => {
    const backend = fixture.open();
    const refuse = () => {
      writes += 1;
      return Promise.reject(new Error('a write'));
    };
    return Promise.resolve({ ...backend, put: refuse, delete: refuse });
  };
  const requests = fixture.server.requests;
  const results = await runConformance({ open, existingKeys: ['app/db', 'team/token'] }, { signal });
  expect(namesOf(results, 'failed')).toEqual([]);
  expect(writes).toBe(0);
  expect(everything()).toBe(before);
  expect(fixture.server.requests - requests).toBeLessThan(150);
  const needing = conformanceChecks.filter(({ needs }) =>
    needs.some((need) => need === 'place' || need === 'unknownVersion' || need.startsWith('fault ')),
  );
  const untried = results.filter(({ outcome }) => outcome === 'not-applicable');
  const expected = new Set([...needing.map(({ name }) => name), 'error-without-answer']);
  expect(new Set(untried.map(({ name }) => name))).toEqual(expected);
  expect(untried.every(({ reason }) => reason !== undefined && reason !== '')).toBe(true);
  expect(results.map(({ name }) => name)).toEqual(conformanceChecks.map(({ name }) => name));
  expect(JSON.stringify(results)).not.toContain('canary');
});

test('without known keys they come from the list; without a list it says that there are none', async () => {
  const only = ['get-entry-consistent', 'get-many-absent'];
  const listed = await runConformance({ open: () => Promise.resolve(fixture.open()) }, { signal, only });
  expect(namesOf(listed, 'passed')).toEqual(only);
  const open = () => Promise.resolve(fixture.open({ ...referenceCapabilities, list: false }));
  const [result] = await runConformance({ open }, { signal, only });
  expect(result).toMatchObject({
    outcome: 'not-applicable',
    reason: 'no existing key was given, and the backend cannot list',
  });
});

test('a backend that is written through itself', async () => {
  const before = fixture.store.list(null, 100);
  const writer = fixture.open();
  const context = {
    open: () => Promise.resolve(fixture.open()),
    place: placeThrough(writer, signal),
    keyPrefix: 'scratch/',
  };
  const results = await runConformance(context, {
    signal,
    only: ['get-text', 'put-version', 'names-taken', 'cas-intent'],
  });
  expect(namesOf(results, 'passed')).toEqual(['get-text', 'put-version', 'cas-intent']);
  expect(namesOf(results, 'not-applicable')).toEqual(['names-taken']);
  expect(fixture.store.list(null, 100)).toEqual(before);
});

test('a check that hangs is a result, and the next one runs', async () => {
  const open = () => Promise.resolve({ ...fixture.open(), get: () => Promise.withResolvers<never>().promise });
  const told: string[] = [];
  const results = await runConformance(
    { open, existingKeys: ['app/db'], sizes: { checkMs: 1_500 } },
    { signal, only: ['get-absent', 'get-many-none'], onResult: ({ name }) => told.push(name) },
  );
  expect(results).toMatchObject([
    { outcome: 'failed', reason: 'it did not end within 1650 ms' },
    { outcome: 'passed' },
  ]);
  expect(told).toEqual(['get-absent', 'get-many-none']);
});

test('what a check leaves behind fails it', async () => {
  const context = fixture.context();
  const place = { ...context.place!, remove: () => Promise.reject(new Error('locked')) };
  const [result] = await runConformance({ ...context, place }, { signal, only: ['get-text'] });
  expect(result).toMatchObject({
    outcome: 'failed',
    reason: expect.stringContaining('could not be taken away') as string,
  });
});

test('it ends when its signal aborts, with the results so far', async () => {
  const aborter = new AbortController();
  const results = await runConformance(fixture.context(), { signal: aborter.signal, onResult: () => aborter.abort() });
  expect(results).toHaveLength(1);
});

test('a backend that can not be opened is thrown', async () => {
  const open = () => Promise.reject(new Error('no such integration'));
  await expect(runConformance({ open }, { signal })).rejects.toThrow('no such integration');
});
