import { SecretValue } from '@strongroom/crypto';
import { StrongroomError } from '@strongroom/contract';
import type { Backend } from '@strongroom/backends';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ReferenceFixture } from '@strongroom/backends/testing/reference.ts';
import { Canaries } from '../../testing/canaries.ts';
import { codeOf } from '../../testing/keys-world.ts';
import { createManagedStores } from './parts.ts';
import { scopeFingerprints } from './open-managed-store.ts';
import { managedCaller, managedScope, managedSourceId, ManagedWorld } from '../../testing/managed-world.ts';
import { describeEachStore } from '../../testing/stores.ts';

const canaries = new Canaries();
const signal = AbortSignal.timeout(100_000);

describeEachStore('a managed store outside the database', (_open, database) => {
  let fixture: ReferenceFixture;
  let world: ManagedWorld;
  let bare: Backend;
  let current: Backend;
  /** From now on this stands around the backend. */
  const wrap = (around: (backend: Backend) => Backend): void => {
    current = around(bare);
  };

  beforeAll(async () => {
    fixture = await ReferenceFixture.start();
    bare = fixture.open();
    const open = () => Promise.resolve(delegating(() => current));
    world = await ManagedWorld.open({ database, open });
  });
  beforeEach(() => {
    current = bare;
  });
  afterAll(async () => {
    await world.close();
    await fixture.stop();
  });

  const inBackend = async (key: string): Promise<string | null> => {
    const backend = fixture.open();
    const entry = await backend.get(key, { signal });
    await backend.close();
    return entry === null ? null : entry.value.revealText();
  };
  const editOutside = (key: string, value: string): void =>
    fixture.seed(key, { value: SecretValue.fromText(value), shape: 'text' });

  it('keeps values there alone, and their rows and records here', async () => {
    const [first, second] = [canaries.text('first'), canaries.text('second')];
    const made = await world.create('db-password', first);
    expect(made).toMatchObject({ sourceType: 'VAULT', version: '1.1', revision: 1 });
    expect(await inBackend('db-password')).toBe(first);
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
    wrap((backend) => ({ ...backend, capabilities: { ...backend.capabilities, versions: false } }));
    await world.create('flat', 'one');
    await world.rotate('flat', 'two');
    const rollback = world.secrets.rollback(managedCaller, managedScope, 'flat', '1.1', undefined);
    expect(await codeOf(rollback)).toBe('not_supported');
    expect(await inBackend('flat')).toBe('two');
  });

  it('keeps the entry of a deleted secret until it is purged', async () => {
    await world.create('gone', 'kept');
    await world.delete('gone');
    expect(await inBackend('gone')).toBe('kept');
    await world.secrets.restore(managedCaller, managedScope, 'gone');
    expect(await world.launch('gone')).toBe('kept 1.1');
    expect(await codeOf(world.purge('gone'))).toBe('state_conflict');
    await world.delete('gone');
    await world.purge('gone');
    expect(await inBackend('gone')).toBeNull();
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

  describe('with edits from outside', () => {
    it('takes them up as versions, marks them, and replaces them only knowingly', async () => {
      await world.create('edited', 'ours');
      editOutside('edited', 'theirs');
      expect(await world.launch('edited')).toBe('theirs 1.2');
      expect(await world.launch('edited')).toBe('theirs 1.2');
      expect(await world.show('edited')).toMatchObject({ storeState: 'foreign-edit', updatedBy: 'outside' });
      editOutside('edited', 'theirs again');
      expect(await codeOf(world.rotate('edited', 'mine'))).toBe('state_conflict');
      expect(await inBackend('edited')).toBe('theirs again');
      expect(await world.show('edited')).toMatchObject({ version: '1.3', storeState: 'foreign-edit' });
      const rotated = await world.rotate('edited', 'mine');
      expect([rotated.version, rotated.storeState]).toEqual(['1.4', undefined]);
      expect(await world.launch('edited')).toBe('mine 1.4');
    });

    it('says that an entry is missing, and writes it anew', async () => {
      await world.create('lost', 'ours');
      fixture.store.remove('lost');
      expect(await world.launch('lost')).toBe('missing');
      expect(await world.show('lost')).toMatchObject({ storeState: 'missing', version: '1.1' });
      await world.rotate('lost', 'back');
      expect(await world.launch('lost')).toBe('back 1.2');
      expect((await world.show('lost')).storeState).toBeUndefined();
    });

    it('tells an outage from absence', async () => {
      await world.create('there', 'x');
      const end = await fixture.server.inject('failing', 'echo');
      await expect(world.launch('there')).rejects.toMatchObject({ code: 'backend_unavailable' });
      await end();
      expect((await world.show('there')).storeState).toBeUndefined();
    });

    it('neither overwrites nor purges what others left', async () => {
      editOutside('theirs', 'not ours');
      expect(await codeOf(world.create('theirs', 'mine'))).toBe('already_exists');
      await world.create('purged', 'ours');
      await world.delete('purged');
      editOutside('purged', 'edited after the deletion');
      expect(await codeOf(world.purge('purged'))).toBe('state_conflict');
      expect(await inBackend('purged')).toBe('edited after the deletion');
      expect(await inBackend('theirs')).toBe('not ours');
      await world.purge('purged');
      expect(await inBackend('purged')).toBeNull();
    });

    it('purges what is gone already', async () => {
      await world.create('vanished', 'x');
      await world.delete('vanished');
      fixture.store.remove('vanished');
      await world.purge('vanished');
      expect(await world.intents('vanished')).toEqual(['create committed', 'purge committed']);
    });
  });

  describe('when the answer is lost', () => {
    it.each(['create', 'set'] as const)('finds out at once whether a %s happened', async (kind) => {
      const key = `cut-${kind}`;
      if (kind === 'set') await world.create(key, 'old');
      wrap((backend) => cutOnce(backend, 'after'));
      await (kind === 'create' ? world.create(key, 'new') : world.rotate(key, 'new'));
      expect(await world.launch(key)).toBe(`new 1.${kind === 'create' ? 1 : 2}`);
      wrap((backend) => cutOnce(backend, 'before'));
      expect(await codeOf(world.rotate(key, 'never'))).toBe('backend_unavailable');
      expect(await world.launch(key)).toBe(`new 1.${kind === 'create' ? 1 : 2}`);
      expect((await world.intents(key)).at(-1)).toBe('set abandoned');
    });

    it('settles it later when the store is away for longer, and holds up other keys not at all', async () => {
      await world.create('away', 'old');
      await world.create('other', 'old');
      wrap((backend) => ({
        ...backend,
        put: async (...args) => {
          await backend.put(...args);
          await fixture.server.inject('failing', 'echo');
          throw new StrongroomError('backend_unavailable');
        },
      }));
      expect(await codeOf(world.rotate('away', 'new'))).toBe('backend_unavailable');
      expect((await world.intents('away')).at(-1)).toBe('set pending');
      expect(await codeOf(world.delete('away'))).toBe('version_conflict');
      await world.delete('other');
      // Its time is over.
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
      expect(await codeOf(world.managed.settler.settleDue(signal))).toBe('backend_unavailable');
      const end = await fixture.server.inject('failing', 'echo');
      await end();
      expect(await world.launch('away')).toBe('new 1.2');
      await world.managed.settler.settleDue(signal);
      vi.useRealTimers();
      expect(await world.show('away')).toMatchObject({ version: '1.2' });
      expect(await world.audited('away')).toContain('rotate allowed');
    });

    it('takes up a put that arrives after it was given up', async () => {
      await world.create('late', 'old');
      const { promise: goOn, resolve: arrive } = Promise.withResolvers<void>();
      const late: Promise<unknown>[] = [];
      wrap((backend) => ({
        ...backend,
        put: (key, { value, shape }, options) => {
          // The request is under way with the value, though nobody waits for it any more.
          const content = { value: SecretValue.fromBytes(value.reveal()), shape };
          late.push(goOn.then(() => backend.put(key, content, { ...options, signal })));
          return Promise.reject(new StrongroomError('deadline_exceeded'));
        },
      }));
      expect(await codeOf(world.rotate('late', 'new'))).toBe('deadline_exceeded');
      expect((await world.intents('late')).at(-1)).toBe('set abandoned');
      arrive();
      await Promise.all(late);
      expect(await world.launch('late')).toBe('new 1.2');
      expect(await world.intents('late')).toEqual(['create committed', 'set committed']);
      expect((await world.show('late')).storeState).toBeUndefined();
    });
  });

  it('purges a deleted domain’s entries without its keys, and leaves what was edited', async () => {
    await world.create('orphan', 'ours');
    await world.create('orphan-edited', 'ours');
    for (const key of ['orphan', 'orphan-edited']) await world.delete(key);
    editOutside('orphan-edited', 'theirs');
    const gone = new StrongroomError('key_unavailable');
    const destroyed = { fingerprint: () => Promise.reject(gone) };
    const { writes } = createManagedStores(world.test.store, destroyed, () => Promise.resolve(fixture.open()));
    const purge = async (key: string): Promise<void> => {
      const { id } = await world.test.store.db
        .selectFrom('secrets')
        .select('id')
        .where('key', '=', key)
        .executeTakeFirstOrThrow();
      const audit = {
        principal: 'system',
        principalName: 'system',
        action: 'secret.manage',
        outcome: 'allowed',
        object: { type: 'secret', id, name: key },
        detail: { change: 'purge' },
      } as const;
      const plan = { kind: 'purge', args: { secretId: id }, audit } as const;
      const source = { id: managedSourceId, type: 'VAULT' } as const;
      await writes.write({ scopeId: managedScope.id, source, key, plan, parsed: null });
    };
    await purge('orphan');
    expect(await inBackend('orphan')).toBeNull();
    expect(await codeOf(purge('orphan-edited'))).toBe('state_conflict');
    expect(await inBackend('orphan-edited')).toBe('theirs');
    const row = await world.test.store.db
      .selectFrom('secrets')
      .select('store_state')
      .where('key', '=', 'orphan-edited')
      .executeTakeFirst();
    expect(row).toEqual({ store_state: 'foreign-edit' });
    const fingerprints = scopeFingerprints(destroyed, managedScope.id);
    expect(await fingerprints.matches(SecretValue.fromText('x'), 'of a term that is gone')).toBe(true);
    await expect(fingerprints.make(SecretValue.fromText('x'))).rejects.toBe(gone);
  });

  it('answers a repeated request once, and a failed one anew', async () => {
    const idempotency = { subject: 'usr_test', route: 'rotate', key: 'k1', bodyHmac: new Uint8Array(32) };
    const rotate = () =>
      world.secrets.rotate(managedCaller, managedScope, 'same', { value: 'two' }, undefined, idempotency);
    await world.create('same', 'one');
    const end = await fixture.server.inject('denied', 'echo');
    expect(await codeOf(rotate())).toBe('backend_denied');
    await end();
    expect((await rotate()).version).toBe('1.2');
    expect((await rotate()).version).toBe('1.2');
    expect(await world.intents('same')).toEqual(['create committed', 'set abandoned', 'set committed']);
    expect(await world.audited('same')).toEqual(['create allowed', 'rotate failed', 'rotate allowed']);
  });

  it('imports entry by entry, says what failed, and goes on at a repeat', async () => {
    await world.create('b', 'old');
    wrap((backend) => ({
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
    wrap((backend) => backend);
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
    expect(await inBackend('holds')).toBeNull();
    expect(
      await world.test.store.db.selectFrom('sources').select('type').where('id', '=', managedSourceId).execute(),
    ).toEqual([{ type: 'DATABASE' }]);
  });
});

/** A backend whose first put is cut off, before or after it happened. */
function cutOnce(backend: Backend, when: 'before' | 'after'): Backend {
  let isCut = false;
  return {
    ...backend,
    put: async (...args) => {
      if (isCut) return backend.put(...args);
      isCut = true;
      if (when === 'after') await backend.put(...args);
      throw new StrongroomError('backend_unavailable', { detail: 'The connection was cut off.' });
    },
  };
}

function delegating(current: () => Backend): Backend {
  return {
    type: 'reference',
    get capabilities() {
      return current().capabilities;
    },
    get: (...args) => current().get(...args),
    getMany: (...args) => current().getMany(...args),
    check: (...args) => current().check(...args),
    list: (...args) => current().list(...args),
    put: (...args) => current().put(...args),
    delete: (...args) => current().delete(...args),
    close: () => current().close(),
  };
}
