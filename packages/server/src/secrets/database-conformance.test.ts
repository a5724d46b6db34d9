import { randomUUID } from 'node:crypto';
import { checksNeeding, describeConformance } from '@strongroom/backends/testing/conformance.ts';
import { afterAll, beforeAll } from 'vitest';
import { DatabaseBackend } from '../../testing/database-backend.ts';
import { openTestStore, type TestStore } from '../../testing/stores.ts';

let test: TestStore;
beforeAll(async () => {
  test = await openTestStore();
});
afterAll(() => test.close());

const signal = AbortSignal.timeout(600_000);
const backend = () => new DatabaseBackend(test.store, test.keys);

describeConformance(
  'the managed store in the database',
  () => ({
    open: () => Promise.resolve(backend()),
    place: {
      seed: async (key, content) => {
        await backend().put(key, content, { signal, expect: { kind: 'any' }, intentId: randomUUID() });
      },
      remove: (key) => backend().delete(key, { signal, expect: { kind: 'any' } }),
      softDelete: async (key) => {
        const { id } = await test.store.db
          .selectFrom('secrets')
          .select('id')
          .where('key', '=', key)
          .executeTakeFirstOrThrow();
        const args = { secretId: id, expectedRevision: null, force: true, retentionMilliseconds: 60_000, by: 'system' };
        await test.store.execute('secret.delete', args);
      },
    },
    keyKinds: ['upper-case', 'underscore', 'dot', 'constructor', 'long'],
    shapes: ['text', 'binary', 'fields'],
    unknownVersion: 'sec_none@1.99',
  }),
  {
    // It has no network, and nobody else's things: whoever writes the database is out of scope (docs/design/002-keys.md).
    expectedSkips: [
      ...checksNeeding(
        'asked versions',
        'fault unreachable',
        'fault cut',
        'fault hanging',
        'fault failing',
        'fault throttled',
        'fault denied',
        'fault sealed',
        'fault malformed',
        'foreign.beside',
        'foreign.inPlaceOf',
      ),
      'list-known-keys',
      'limit-of-container',
      'error-without-answer',
      'error-without-value-at-rest',
    ],
  },
);
