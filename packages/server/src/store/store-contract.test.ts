import { randomBytes } from 'node:crypto';
import { StrongroomError } from '@strongroom/contract';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Hold } from '../../testing/hold.ts';
import { testEvent, type TestCommands, type TestQueries } from '../../testing/store-program.ts';
import { allDatabases, describeEachStore, type TestStore } from '../../testing/stores.ts';
import { readAnchorTail } from '../audit/anchor.ts';
import { dataFiles } from './data-directory.ts';
import { hotStatement, type IdempotencyKey, type OpenStore } from './store.ts';

const program = new URL('../../testing/store-program.ts', import.meta.url);
type TestedStore = TestStore<TestCommands, TestQueries>;

/** A key of its own per test, so that tests share one database. */
function freshKey(name = 'key'): string {
  return `${name}-${randomBytes(6).toString('hex')}`;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (error instanceof StrongroomError) return error.code;
    throw error;
  }
}

const readSetting = hotStatement(
  'contract.setting',
  (db) => db.selectFrom('settings').select('value').where('key', '=', '').compile(),
  { isRemembered: true },
);

async function valueOf(store: OpenStore<TestCommands, TestQueries>, key: string): Promise<string | undefined> {
  return (await store.first(readSetting, [key]))?.value;
}

async function recordsOf(test: TestedStore, name: string): Promise<number> {
  const rows = await test.store.db.selectFrom('audit_records').select('record').execute();
  return rows.filter((row) => Buffer.from(row.record).includes(`"${name}`)).length;
}

describeEachStore(
  'the store contract',
  (openStore) => {
    let t: TestedStore;
    beforeAll(async () => {
      t = await openStore<TestCommands, TestQueries>({ program });
    });

    describe('a command', () => {
      test('is readable once it is answered, by key, by query and by statement', async () => {
        const key = freshKey('read');
        const { now, epoch } = await t.store.execute('test.insert', { key, value: 'one' });
        expect(Math.abs(now - Date.now())).toBeLessThan(60_000);
        expect(epoch).toBe(1);
        expect(await valueOf(t.store, key)).toBe('one');
        expect(await t.store.query('test.list', { prefix: key })).toEqual([{ key }]);
        expect(await t.store.db.selectFrom('settings').select('value').where('key', '=', key).execute()).toEqual([
          { value: 'one' },
        ]);
      });

      test('runs statements compiled once', async () => {
        const key = freshKey('hot');
        expect(await t.store.execute('test.insertHot', { key, value: 'zwölf' })).toEqual({ value: 'zwölf' });
        expect(await codeOf(t.store.execute('test.wrongParameters', { key: freshKey() }))).toBe('internal');
        await expect(Promise.try(() => t.store.first(readSetting, []))).rejects.toThrow('takes 1 parameters, not 0');
      });

      test('that refuses changes nothing and disturbs nobody in its batch', async () => {
        const keys = Array.from({ length: 9 }, (_, index) => freshKey(`batch-${index}`));
        const names = ['test.insert', 'test.insertAndRefuse', 'test.insertAndCrash'] as const;
        const outcomes = await Promise.allSettled(
          keys.map((key, index) => t.store.execute(names[index % 3] ?? 'test.insert', { key, value: 'x' })),
        );
        expect(outcomes.map((outcome) => outcome.status)).toEqual(
          keys.map((_, index) => (index % 3 === 0 ? 'fulfilled' : 'rejected')),
        );
        const kept = await Promise.all(keys.map((key) => valueOf(t.store, key)));
        expect(kept).toEqual(keys.map((_, index) => (index % 3 === 0 ? 'x' : undefined)));
        expect(await recordsOf(t, keys[1] ?? '')).toBe(0);
      });

      test('refuses with all that its error says', async () => {
        const error: unknown = await t.store
          .execute('test.insertAndRefuse', { key: freshKey(), value: '' })
          .catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(StrongroomError);
        expect(error).toMatchObject({
          code: 'already_exists',
          detail: 'Refused on request.',
          errors: [{ pointer: '/key', message: 'is taken' }],
          retryAfterSeconds: 7,
        });
      });

      test('that breaks is an internal error with its cause', async () => {
        const error: unknown = await t.store
          .execute('test.insertAndCrash', { key: freshKey(), value: '' })
          .catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: 'internal', cause: { name: 'RangeError', message: 'Crashed on request' } });
      });

      test('meeting a taken key is a conflict unless it says otherwise', async () => {
        const key = freshKey('taken');
        await t.store.execute('test.insert', { key, value: 'first' });
        const repeat = { key, value: 'second' };
        expect(await codeOf(t.store.execute('test.insert', repeat))).toBe('version_conflict');
        expect(await codeOf(t.store.execute('test.insertMapped', repeat))).toBe('key_clash');
        expect(await valueOf(t.store, key)).toBe('first');
      });

      test('whose arguments can’t cross to the lane fails alone', async () => {
        const key = freshKey('clone');
        const wrong = { key: freshKey(), value: (() => '') as unknown as string };
        const [bad, good] = await Promise.allSettled([
          t.store.execute('test.insert', wrong),
          t.store.execute('test.insert', { key, value: 'good' }),
        ]);
        expect([bad.status, good.status]).toEqual(['rejected', 'fulfilled']);
      });

      test('many at once all arrive', async () => {
        const prefix = freshKey('many');
        const keys = Array.from({ length: 700 }, (_, index) => `${prefix}-${String(index).padStart(3, '0')}`);
        await Promise.all(
          keys.map((key) => t.store.execute('test.insertHot', { key, value: key }, { deadlineMilliseconds: 100_000 })),
        );
        expect(await t.store.query('test.list', { prefix })).toEqual(keys.map((key) => ({ key })));
      });
    });

    describe('reading', () => {
      test('can’t write', async () => {
        const write = t.store.db.deleteFrom('settings').execute();
        await expect(write).rejects.toThrow(/read-?only/i);
      });

      test('orders text by code point', async () => {
        const prefix = freshKey('order');
        const keys = ['B', 'Z', '_', 'a', 'b', 'ä'].map((letter) => `${prefix}${letter}`);
        for (const key of keys.toReversed()) await t.store.execute('test.insert', { key, value: '' });
        expect(await t.store.query('test.list', { prefix })).toEqual(keys.map((key) => ({ key })));
      });

      test('gives counts and sums as numbers and bytes as plain arrays', async () => {
        await t.store.execute('test.insertAndAudit', { key: freshKey(), value: '', records: 1 });
        const { count, sum } = await t.store.query('test.types', undefined);
        expect([typeof count, typeof sum]).toEqual(['number', 'number']);
        const row = await t.store.db.selectFrom('audit_records').select('hash').executeTakeFirstOrThrow();
        expect(Object.getPrototypeOf(row.hash)).toBe(Uint8Array.prototype);
      });

      test('by query fails with the query’s own error', async () => {
        expect(await codeOf(t.store.query('test.refuse', undefined))).toBe('not_found');
      });
    });

    describe('audit', () => {
      test('records of the options and of the command are in the transaction, in order, chained and anchored', async () => {
        const key = freshKey('audited');
        await t.store.execute(
          'test.insertAndAudit',
          { key, value: '', records: 2 },
          { audit: [testEvent(`${key}-last`)] },
        );
        expect(await recordsOf(t, key)).toBe(3);
        const chain = await t.store.db
          .selectFrom('audit_chains')
          .selectAll()
          .orderBy('started_at', 'desc')
          .orderBy('id', 'desc')
          .executeTakeFirstOrThrow();
        const rows = await t.store.db
          .selectFrom('audit_records')
          .select(['sequence', 'hash'])
          .where('chain_id', '=', chain.id)
          .orderBy('sequence')
          .execute();
        expect(rows.map((row) => row.sequence)).toEqual(rows.map((_, index) => index + 1));
        expect(chain.head_sequence).toBe(rows.length);
        expect(Buffer.from(chain.head_hash)).toEqual(Buffer.from(rows.at(-1)?.hash ?? []));
        const anchored = readAnchorTail(dataFiles(t.directory).anchor);
        expect(anchored).toMatchObject({ chain: chain.id, sequence: rows.length });
      });

      test('of a refused command leaves no gap', async () => {
        const before = freshKey('before');
        const after = freshKey('after');
        const outcomes = await Promise.allSettled([
          t.store.execute('test.insertAndAudit', { key: before, value: '', records: 1 }),
          t.store.execute('test.insertAndRefuse', { key: freshKey(), value: '' }, { audit: [testEvent('never')] }),
          t.store.execute('test.insertAndAudit', { key: after, value: '', records: 1 }),
        ]);
        expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
        const rows = await t.store.db.selectFrom('audit_records').select(['chain_id', 'sequence']).execute();
        const bySequence = rows.map((row) => row.sequence).sort((a, b) => a - b);
        expect(bySequence).toEqual(rows.map((_, index) => index + 1));
        expect(await recordsOf(t, 'never')).toBe(0);
      });

      test('before its chain is open is refused, and only then', async () => {
        const bare = await openStore<TestCommands, TestQueries>({ program, hasAudit: false });
        const key = freshKey('early');
        const audited = bare.store.execute('test.insert', { key, value: '' }, { audit: [testEvent(key)] });
        expect(await codeOf(audited)).toBe('audit_unavailable');
        const auditing = bare.store.execute('test.insertAndAudit', { key, value: '', records: 1 });
        expect(await codeOf(auditing)).toBe('audit_unavailable');
        expect(await valueOf(bare.store, key)).toBeUndefined();
        await bare.store.execute('test.insert', { key, value: 'unaudited' });
        expect(await codeOf(t.store.startAudit({} as never))).toBe('state_conflict');
      });
    });

    describe('the authorisation revision', () => {
      test('moves with a command that says so and refuses what was decided before', async () => {
        const revision = await t.store.authorisationRevision();
        const key = freshKey('decided');
        const insert = (expectAuthorisationRevision: number) =>
          t.store.execute('test.insert', { key, value: '' }, { expectAuthorisationRevision });
        await t.store.execute('test.bump', undefined);
        expect(await t.store.authorisationRevision()).toBe(revision + 1);
        expect(await codeOf(insert(revision))).toBe('version_conflict');
        expect(await codeOf(t.store.execute('test.bumpAndRefuse', undefined))).toBe('state_conflict');
        expect(await codeOf(insert(revision + 1))).toBe('none');
      });

      test('is seen within one batch, and a refused change of it is not', async () => {
        const revision = await t.store.authorisationRevision();
        const insert = (expectAuthorisationRevision: number) =>
          codeOf(t.store.execute('test.insert', { key: freshKey(), value: '' }, { expectAuthorisationRevision }));
        const codes = await Promise.all([
          insert(revision),
          codeOf(t.store.execute('test.bumpAndRefuse', undefined)),
          insert(revision),
          codeOf(t.store.execute('test.bump', undefined)),
          insert(revision),
          insert(revision + 1),
        ]);
        expect(codes).toEqual(['none', 'state_conflict', 'none', 'none', 'version_conflict', 'none']);
      });
    });

    describe('an idempotency key', () => {
      const keyOf = (key: string, body = 'body'): IdempotencyKey => ({
        subject: 'usr_ann',
        route: 'createSetting',
        key,
        bodyHmac: Buffer.from(body.padEnd(32)),
      });

      test('replays the stored answer and runs nothing', async () => {
        const key = freshKey('idem');
        const options = { idempotency: keyOf(key), audit: [testEvent(key)] };
        const first = await t.store.execute('test.insert', { key, value: 'x' }, options);
        const second = await t.store.execute('test.insert', { key, value: 'x' }, options);
        expect(second).toEqual(first);
        expect(await recordsOf(t, key)).toBe(1);
      });

      test('with another body is a mismatch; of another subject or route it is another key', async () => {
        const key = freshKey('idem');
        const insert = (idempotency: IdempotencyKey, name = freshKey()) =>
          codeOf(t.store.execute('test.insert', { key: name, value: 'x' }, { idempotency }));
        expect(await insert(keyOf(key))).toBe('none');
        expect(await insert(keyOf(key, 'other'))).toBe('idempotency_mismatch');
        expect(await insert({ ...keyOf(key), subject: 'usr_bob' })).toBe('none');
        expect(await insert({ ...keyOf(key), route: 'other' })).toBe('none');
      });

      test('of a refused command is free again', async () => {
        const key = freshKey('idem');
        const options = { idempotency: keyOf(key) };
        expect(await codeOf(t.store.execute('test.insertAndRefuse', { key, value: '' }, options))).toBe(
          'already_exists',
        );
        expect(await codeOf(t.store.execute('test.insert', { key, value: '' }, options))).toBe('none');
      });

      test('of what is shown once names the id and keeps nothing else', async () => {
        const key = freshKey('issue');
        const options = { idempotency: { ...keyOf(key), shownOnce: true } };
        expect(await t.store.execute('test.issue', { key }, options)).toEqual({ id: `tok_${key}`, lastFour: 'abcd' });
        const replay: unknown = await t.store.execute('test.issue', { key }, options).catch((error: unknown) => error);
        expect(replay).toMatchObject({ code: 'replayed_issue', detail: expect.stringContaining(`tok_${key}`) });
        const row = await t.store.db
          .selectFrom('idempotency')
          .select('response')
          .where('key', '=', key)
          .executeTakeFirstOrThrow();
        expect(JSON.parse(row.response)).toEqual({ id: `tok_${key}` });
      });

      test('used twice at once runs once', async () => {
        const key = freshKey('idem');
        const answers = await Promise.all(
          [1, 2, 3].map(() => t.store.execute('test.insert', { key, value: '' }, { idempotency: keyOf(key) })),
        );
        expect(answers[1]).toEqual(answers[0]);
        expect(answers[2]).toEqual(answers[0]);
      });

      test('is swept only when it expired', async () => {
        await t.store.execute('test.insert', { key: freshKey(), value: '' }, { idempotency: keyOf(freshKey()) });
        expect(await t.store.execute('idempotency.sweep', { limit: 100 })).toEqual({ removed: 0 });
      });
    });

    describe('the deadline', () => {
      afterEach(async () => {
        await t.store.execute('test.nothing', undefined);
      });

      test('of a waiting command passes without it being run', async () => {
        const key = freshKey('late');
        using hold = new Hold();
        const blocking = t.store.execute('test.hold', hold.args);
        await hold.begun();
        const waiting = t.store.execute('test.insert', { key, value: '' }, { deadlineMilliseconds: 100 });
        expect(await codeOf(waiting)).toBe('audit_unavailable');
        hold.end();
        await blocking;
        await t.store.execute('test.nothing', undefined);
        expect(await valueOf(t.store, key)).toBeUndefined();
      });

      test('of a running command answers in time', async () => {
        using hold = new Hold();
        const slow = t.store.execute('test.hold', hold.args, { deadlineMilliseconds: 100 });
        expect(await codeOf(slow)).toBe('audit_unavailable');
        hold.end();
        await t.store.execute('test.nothing', undefined);
      });
    });

    describe('closing and opening again', () => {
      test('keeps everything, starts a new chain, and finishes what was accepted', async () => {
        const own = await openStore<TestCommands, TestQueries>({ program });
        const key = freshKey('kept');
        const accepted = own.store.execute('test.insertAndAudit', { key, value: 'kept', records: 1 });
        const { closed } = own.store;
        await Promise.all([own.reopen(), accepted]);
        expect(await closed).toBeUndefined();
        expect(await valueOf(own.store, key)).toBe('kept');
        await own.store.execute('test.insertAndAudit', { key: freshKey(), value: '', records: 1 });
        const chains = await own.store.db.selectFrom('audit_chains').select('head_sequence').execute();
        expect(chains).toEqual([{ head_sequence: 1 }, { head_sequence: 1 }]);
      });

      test('refuses what comes after', async () => {
        const own = await openStore<TestCommands, TestQueries>({ program });
        const { store } = own;
        await store.close();
        expect(await codeOf(store.execute('test.bump', undefined))).toBe('shutting_down');
        expect(await codeOf(store.query('test.list', { prefix: '' }))).toBe('shutting_down');
        expect(await codeOf(Promise.try(() => store.first(readSetting, [''])))).toBe('shutting_down');
      });
    });
  },
  allDatabases,
);
