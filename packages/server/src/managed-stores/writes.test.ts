import { StrongroomError } from '@strongroom/contract';
import type { ReferenceFixture } from '@strongroom/backends/testing/reference.ts';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { Canaries } from '../../testing/canaries.ts';
import { codeOf } from '../../testing/keys-world.ts';
import { managedCaller, managedScope, managedSourceId, type ManagedWorld } from '../../testing/managed-world.ts';
import { ReferenceWorld } from '../../testing/reference-world.ts';
import { describeEachStore } from '../../testing/stores.ts';
import { createAccess } from '../access/service.ts';
import { systemActor } from '../identities/actor.ts';
import { newId } from '../store/ids.ts';

const canaries = new Canaries();
const { signal } = new AbortController();

describeEachStore('writing to a managed store outside the database', (_open, database) => {
  let place: ReferenceWorld;
  let fixture: ReferenceFixture;
  let world: ManagedWorld;

  beforeAll(async () => {
    place = await ReferenceWorld.open(database);
    ({ fixture, world } = place);
  });
  beforeEach(() => place.unwrap());
  afterAll(() => place.close());

  it('keeps values there alone, and their rows and records here', async () => {
    const [first, second] = [canaries.text('first'), canaries.text('second')];
    const made = await world.create('db-password', first);
    expect(made).toMatchObject({ sourceType: 'VAULT', version: '1.1', revision: 1 });
    expect(await place.inBackend('db-password')).toBe(first);
    expect(await world.launch('db-password')).toBe(`${first} 1.1`);
    expect(await world.rotate('db-password', second)).toMatchObject({ version: '1.2' });
    expect(await world.launch('db-password')).toBe(`${second} 1.2`);
    const rows = await world.test.store.db
      .selectFrom('secret_versions')
      .selectAll()
      .where('secret_id', '=', made.id)
      .execute();
    expect(rows.map(({ envelope, term_id }) => [envelope, term_id])).toEqual([
      [null, null],
      [null, null],
    ]);
    expect(rows.every(({ fingerprint, intent_id }) => fingerprint.length === 32 && intent_id !== null)).toBe(true);
    expect(await world.intents('db-password')).toEqual(['create committed', 'set committed']);
    expect(await world.audited('db-password')).toEqual(['create allowed', 'rotate allowed']);
    canaries.saw('rows', JSON.stringify(await world.test.store.db.selectFrom('write_intents').selectAll().execute()));
    canaries.watchDirectory(world.test.directory);
    canaries.assertNoLeak();
  });

  it('asks before anything is put whether the caller still may, and not after', async () => {
    const { store } = world.test;
    const id = newId('user');
    const kit = { name: 'kit', displayName: 'kit', email: null, passwordHash: null, link: null };
    await store.execute('identities.createUser', { actor: systemActor, id, ...kit, roles: ['SECRETS_ADMIN'] });
    const setRoles = (roles: readonly 'SECRETS_ADMIN'[]): Promise<unknown> =>
      store.execute('identities.changePrincipal', { actor: systemActor, kind: 'user', id, roles });
    const access = createAccess(store);
    const admitted = async () => {
      const snapshot = await access.snapshot(id);
      if (snapshot === null) throw new TypeError('kit is gone');
      const caller = { ...managedCaller, id, snapshot };
      return access.writer(caller, 'secret.manage', { kind: 'scope', scope: managedScope });
    };
    const andRevoke = async <Result>(write: Promise<Result>): Promise<Result> => {
      try {
        return await write;
      } finally {
        await setRoles([]);
      }
    };
    const importTwo = (name: string) => {
      const content = JSON.stringify({ [`${name}-1`]: 'a', [`${name}-2`]: 'b' });
      return world.importer.import(managedCaller, managedScope, { format: 'json', content });
    };
    try {
      world.writer = await admitted();
      await setRoles([]);
      expect(await codeOf(world.create('refused', 'x'))).toBe('permission_missing');
      expect(await codeOf(importTwo('refused'))).toBe('permission_missing');
      for (const key of ['refused', 'refused-1', 'refused-2'])
        expect([await place.inBackend(key), await world.intents(key)]).toEqual([null, []]);

      await setRoles(['SECRETS_ADMIN']);
      const last = await admitted();
      world.writer = { execute: (name, args, options) => andRevoke(last.execute(name, args, options)) };
      const { items } = await importTwo('begun');
      expect(items.map(({ key, outcome }) => [key, outcome])).toEqual([
        ['begun-1', 'created'],
        ['begun-2', 'failed'],
      ]);
      expect([await place.inBackend('begun-1'), await place.inBackend('begun-2')]).toEqual(['a', null]);
    } finally {
      world.writer = undefined;
    }
  });

  it('keeps bytes and fields as they are', async () => {
    const bytes = Buffer.from([0, 255, 10, 13]);
    await world.secrets.create(managedCaller, managedScope, { key: 'bytes', valueBase64: bytes.toString('base64') });
    await world.secrets.create(managedCaller, managedScope, { key: 'fields', fields: { b: '1', __proto__x: '"' } });
    const backend = fixture.open();
    expect(Buffer.from((await backend.get('bytes', { signal }))?.value.reveal() ?? [])).toEqual(bytes);
    expect(await world.show('fields')).toMatchObject({ shape: 'fields', fields: ['b', '__proto__x'] });
    expect((await backend.get('fields', { signal }))?.fieldNames).toEqual(['b', '__proto__x']);
    await backend.close();
  });

  it('rolls back by the versions of the store', async () => {
    await world.create('rolled', 'one');
    await world.rotate('rolled', 'two');
    const back = await world.secrets.rollback(managedCaller, managedScope, 'rolled', '1.1', undefined);
    expect(back.version).toBe('1.3');
    expect(await world.launch('rolled')).toBe('one 1.3');
    expect(await world.reader.versions(managedCaller, managedScope, 'rolled')).toMatchObject([
      { version: '1.3', copiedFrom: '1.1' },
      { version: '1.2' },
      { version: '1.1' },
    ]);
  });

  it('says where there are no older versions', async () => {
    place.wrap((backend) => ({ ...backend, capabilities: { ...backend.capabilities, versions: false } }));
    await world.create('flat', 'one');
    await world.rotate('flat', 'two');
    const rollback = world.secrets.rollback(managedCaller, managedScope, 'flat', '1.1', undefined);
    expect(await codeOf(rollback)).toBe('not_supported');
    expect(await place.inBackend('flat')).toBe('two');
  });

  it('keeps the entry of a deleted secret until it is purged', async () => {
    await world.create('gone', 'kept');
    await world.delete('gone');
    expect(await place.inBackend('gone')).toBe('kept');
    await world.secrets.restore(managedCaller, managedScope, 'gone');
    expect(await world.launch('gone')).toBe('kept 1.1');
    expect(await codeOf(world.purge('gone'))).toBe('state_conflict');
    await world.delete('gone');
    await world.purge('gone');
    expect(await place.inBackend('gone')).toBeNull();
    expect(await codeOf(world.show('gone'))).toBe('not_found');
    await world.create('gone', 'anew');
    expect(await world.launch('gone')).toBe('anew 1.1');
  });

  it('refuses before anything is written there', async () => {
    await world.create('Taken', 'x');
    const before = fixture.server.requests;
    expect(await codeOf(world.create('Taken', 'y'))).toBe('already_exists');
    expect(await codeOf(world.create('taken', 'y'))).toBe('key_clash');
    expect(await codeOf(world.create('large', 'y'.repeat(100_001)))).toBe('limit_exceeded');
    expect(await codeOf(world.rotate('Taken', 'y', 7))).toBe('revision_mismatch');
    expect(fixture.server.requests).toBe(before);
    expect(await world.intents('Taken')).toEqual(['create committed']);
  });

  it('lets concurrent rotations follow one another, and loses none', async () => {
    await world.create('raced', 'start');
    const values = ['a', 'b', 'c', 'd'];
    const versions = await Promise.all(values.map(async (value) => (await world.rotate('raced', value)).version));
    expect((await world.reader.versions(managedCaller, managedScope, 'raced')).map(({ version }) => version)).toEqual([
      '1.5',
      '1.4',
      '1.3',
      '1.2',
      '1.1',
    ]);
    expect(versions).toContain('1.5');
    expect(await world.launch('raced')).toMatch(/^[abcd] 1\.5$/);
    const losers = await Promise.all([1, 2].map((n) => codeOf(world.rotate('raced', `matched ${n}`, 5))));
    expect(losers.toSorted()).toEqual(['none', 'revision_mismatch']);
  });

  it('imports entry by entry, says what failed, and goes on at a repeat', async () => {
    await world.create('b', 'old');
    place.wrap((backend) => ({
      ...backend,
      put: (key, ...rest) =>
        key === 'c' ? Promise.reject(new StrongroomError('backend_denied')) : backend.put(key, ...rest),
    }));
    const input = { format: 'env', content: 'a=1\nb=2\nc=3\nd=4\n', onExisting: 'rotate' } as const;
    const idempotency = { subject: 'usr_test', route: 'import', key: 'k', bodyHmac: new Uint8Array(32) };
    const first = await world.importer.import(managedCaller, managedScope, input, idempotency);
    expect(first.items.map(({ key, outcome }) => `${key} ${outcome}`)).toEqual([
      'a created',
      'b rotated',
      'c failed',
      'd failed',
    ]);
    expect(await world.importer.import(managedCaller, managedScope, input, idempotency)).toEqual(first);
    place.wrap((backend) => backend);
    const again = await world.importer.import(managedCaller, managedScope, { ...input, onExisting: 'skip' });
    expect(again.items.map(({ key, outcome }) => `${key} ${outcome}`)).toEqual([
      'a skipped',
      'b skipped',
      'c created',
      'd created',
    ]);
    expect(await world.launch('b')).toBe('2 1.2');
  });

  it('chooses another store only for a scope that holds no secret', async () => {
    const choose = (type: 'DATABASE' | 'VAULT' | 'KUBERNETES') =>
      world.test.store.execute('managed.choose', {
        scopeId: managedScope.id,
        type,
        audit: { principal: 'system', principalName: 'system', action: 'settings.manage', outcome: 'allowed' },
      });
    const rows = await world.test.store.db.selectFrom('secrets').select(['key', 'deleted_at']).execute();
    for (const { key, deleted_at } of rows) {
      if (deleted_at === null) await world.delete(key);
      // What was edited after the last look is purged at the second try.
      await world.purge(key).catch(() => world.purge(key));
    }
    await world.create('holds', 'x');
    expect(await codeOf(choose('DATABASE'))).toBe('state_conflict');
    await world.delete('holds');
    expect(await codeOf(choose('DATABASE'))).toBe('state_conflict');
    await world.purge('holds');
    expect(await choose('VAULT')).toEqual({ isChanged: false });
    expect(await choose('DATABASE')).toEqual({ isChanged: true });
    await world.create('holds', 'sealed');
    expect((await world.show('holds')).sourceType).toBe('DATABASE');
    expect(await place.inBackend('holds')).toBeNull();
    expect(
      await world.test.store.db.selectFrom('sources').select('type').where('id', '=', managedSourceId).execute(),
    ).toEqual([{ type: 'DATABASE' }]);
  });
});
