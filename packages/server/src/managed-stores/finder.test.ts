import { SecretValue } from '@strongroom/crypto';
import type { Backend } from '@strongroom/backends';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ReferenceFixture } from '@strongroom/backends/testing/reference.ts';
import { Canaries } from '../../testing/canaries.ts';
import { codeOf } from '../../testing/keys-world.ts';
import { managedCaller, managedScope, managedSourceId, ManagedWorld } from '../../testing/managed-world.ts';
import { describeEachStore } from '../../testing/stores.ts';

const canaries = new Canaries();
const { signal } = new AbortController();
const place = { sourceId: managedSourceId, scopeId: managedScope.id };

describeEachStore('what another program left in a managed store', (_open, database) => {
  let fixture: ReferenceFixture;
  let world: ManagedWorld;
  /** Versions of single keys, or none as in an object that all keys share. */
  let change: (backend: Backend) => Backend = (backend) => backend;

  beforeAll(async () => {
    fixture = await ReferenceFixture.start();
    world = await ManagedWorld.open({ database, open: async () => change(fixture.open()) });
  });
  afterAll(async () => {
    await world.close();
    await fixture.stop();
  });

  const leave = (key: string, value: string): void => {
    fixture.seed(key, { value: SecretValue.fromText(value), shape: 'text' });
    fixture.store.disown(key);
  };
  const look = () => world.managed.finder.look(place, signal);
  const unmarked = async (key: string) => (await world.show(key)).isUnmarked;

  it('is listed and resolved under its exact name, by itself, and only read', async () => {
    const value = canaries.text('legacy');
    leave('DB_PASSWORD', value);
    expect(await look()).toEqual({ found: ['DB_PASSWORD'], adopted: 0 });
    expect(await look()).toEqual({ found: [], adopted: 0 });
    expect(await world.show('DB_PASSWORD')).toMatchObject({ isUnmarked: true, createdBy: 'outside', version: '1.1' });
    expect(await world.launch('DB_PASSWORD')).toBe(`${value} 1.1`);
    expect(await codeOf(world.rotate('DB_PASSWORD', 'ours'))).toBe('key_clash');
    expect(await codeOf(world.delete('DB_PASSWORD'))).toBe('state_conflict');
    expect(await codeOf(world.create('db_password', 'ours'))).toBe('key_clash');
    expect(await world.launch('DB_PASSWORD')).toBe(`${value} 1.1`);
    expect(await world.audited('DB_PASSWORD')).toContain('find allowed');
    canaries.watchDirectory(world.test.directory);
    canaries.assertNoLeak();
  });

  it('is an ordinary secret once it is marked as ours', async () => {
    leave('adopted', 'theirs');
    await look();
    expect(await unmarked('adopted')).toBe(true);
    fixture.store.adopt('adopted');
    expect(await look()).toMatchObject({ adopted: 1 });
    expect(await look()).toMatchObject({ adopted: 0 });
    expect(await unmarked('adopted')).toBeUndefined();
    await world.rotate('adopted', 'ours');
    expect(await world.launch('adopted')).toBe('ours 1.2');
    await world.secrets.rollback(managedCaller, managedScope, 'adopted', '1.1', undefined);
    expect(await world.launch('adopted')).toBe('theirs 1.3');
    await world.delete('adopted');
    await world.purge('adopted');
    expect(await look()).toEqual({ found: [], adopted: 0 });
  });

  it('is written at once after it was marked, without a look in between', async () => {
    leave('soon', 'theirs');
    await look();
    fixture.store.adopt('soon');
    await world.rotate('soon', 'ours');
    expect(await unmarked('soon')).toBeUndefined();
  });

  it('is flagged where its name is odd or clashes, and resolves all the same', async () => {
    for (const key of ['token', 'TOKEN', '.hidden', 'with blank', 'ſ']) leave(key, `of ${key}`);
    await look();
    expect(await world.launch('token')).toMatch(/^of token /);
    expect(await world.launch('TOKEN')).toMatch(/^of TOKEN /);
    expect(await world.launch('.hidden')).toMatch(/^of .hidden /);
    expect(await world.launch('with blank')).toMatch(/^of with blank /);
    const { items } = await world.reader.list(managedCaller, managedScope, {});
    const flags = Object.fromEntries(
      items.map((item) => [item.key, 'isReadOnly' in item ? undefined : item.nameProblem]),
    );
    expect(flags).toMatchObject({ '.hidden': 'odd', 'with blank': 'odd', ſ: 'odd' });
    expect([flags['token'], flags['TOKEN']].toSorted()).toEqual(['clash', undefined]);
    expect(await codeOf(world.create('Token', 'ours'))).toBe('key_clash');
    expect(await world.show('TOKEN')).toMatchObject({ key: 'TOKEN', reference: 'secret://global/managed/TOKEN' });
  });

  it('says that it has gone or came back, and can be forgotten then', async () => {
    leave('gone', 'theirs');
    await look();
    fixture.store.remove('gone');
    await look();
    expect(await world.show('gone')).toMatchObject({ storeState: 'missing', isUnmarked: true });
    leave('gone', 'again');
    await look();
    expect(await world.show('gone')).toMatchObject({ storeState: 'foreign-edit', version: '1.2' });
    fixture.store.remove('gone');
    await look();
    await world.delete('gone');
    await world.purge('gone');
    expect(await look()).toEqual({ found: [], adopted: 0 });
  });

  it('is forgotten with its store, unless somebody uses it or it is ours', async () => {
    const other = await ManagedWorld.open({ database, open: async () => fixture.open() });
    const choose = (type: 'DATABASE' | 'VAULT') =>
      other.test.store.execute('managed.choose', {
        scopeId: managedScope.id,
        type,
        audit: { principal: 'system', principalName: 'system', action: 'settings.manage', outcome: 'allowed' },
      });
    for (const key of fixture.store.list(null, 100, true)) fixture.store.remove(key);
    leave('found', 'theirs');
    await other.managed.finder.look(place, signal);
    await choose('DATABASE');
    expect((await other.reader.list(managedCaller, managedScope, {})).items).toEqual([]);
    const counts = await other.test.store.db.selectFrom('secret_counts').select('secrets').execute();
    expect(counts).toEqual([{ secrets: 0 }]);
    await choose('VAULT');
    await other.managed.finder.look(place, signal);
    fixture.store.adopt('found');
    await other.managed.finder.look(place, signal);
    expect(await codeOf(choose('DATABASE'))).toBe('state_conflict');
    fixture.store.remove('found');
    await other.close();
  });

  it('is never taken for what a write of ours is leaving, or left', async () => {
    const backend = fixture.open();
    const content = { value: SecretValue.fromText('half done'), shape: 'text' } as const;
    await backend.put('own', content, { expect: { kind: 'absent' }, intentId: 'int_gone', signal });
    expect(await look()).toEqual({ found: [], adopted: 0 });
    await backend.close();
  });

  it('holds at most as many secrets as the scope may', async () => {
    for (let number = 0; number < 3; number += 1) leave(`many-${number}`, 'x');
    const { finder } = world.managed;
    const count = await world.test.store.db.selectFrom('secret_counts').select('secrets').executeTakeFirstOrThrow();
    Object.assign(world.limits, { keysPerScope: count.secrets + 2 });
    expect(await codeOf(finder.look(place, signal))).toBe('limit_exceeded');
    Object.assign(world.limits, { keysPerScope: 1000 });
    expect((await finder.look(place, signal)).found).toHaveLength(3);
  });

  describe('in a store without versions of single keys', () => {
    beforeAll(async () => {
      await world.close();
      change = withoutVersions;
      world = await ManagedWorld.open({ database, open: async () => change(fixture.open()) });
    });

    it('shows what was edited as another version', async () => {
      leave('edited', 'first');
      await look();
      expect(await world.launch('edited')).toBe('first 1.1');
      expect(await world.launch('edited')).toBe('first 1.1');
      fixture.store.adopt('edited');
      leave('edited', 'second');
      expect(await world.launch('edited')).toBe('second 1.2');
      expect(await world.launch('edited')).toBe('second 1.2');
    });
  });
});

function withoutVersions(backend: Backend): Backend {
  return {
    ...backend,
    getMany: async (keys, options) => {
      const answers = await backend.getMany(keys, options);
      return new Map(
        [...answers].map(([key, answer]) => [
          key,
          answer !== null && !(answer instanceof Error) ? { ...answer, version: null } : answer,
        ]),
      );
    },
    get: async (key, options) => {
      const entry = await backend.get(key, options);
      return entry === null ? null : { ...entry, version: null };
    },
  };
}
