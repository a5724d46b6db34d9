import { SecretValue } from '@strongroom/crypto';
import { StrongroomError } from '@strongroom/contract';
import type { Backend } from '@strongroom/backends';
import type { ReferenceFixture } from '@strongroom/backends/testing/reference.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { codeOf } from '../../testing/keys-world.ts';
import { managedCaller, managedScope, managedSourceId, type ManagedWorld } from '../../testing/managed-world.ts';
import { ReferenceWorld } from '../../testing/reference-world.ts';
import { describeEachStore } from '../../testing/stores.ts';
import { scopeFingerprints } from './open-managed-store.ts';
import { createManagedStores } from './parts.ts';

const { signal } = new AbortController();

describeEachStore('settling what became of a managed store outside the database', (_open, database) => {
  let place: ReferenceWorld;
  let fixture: ReferenceFixture;
  let world: ManagedWorld;

  beforeAll(async () => {
    place = await ReferenceWorld.open(database);
    ({ fixture, world } = place);
  });
  beforeEach(() => place.unwrap());
  afterAll(() => place.close());

  describe('with edits from outside', () => {
    it('takes them up as versions, marks them, and replaces them only knowingly', async () => {
      await world.create('edited', 'ours');
      place.editOutside('edited', 'theirs');
      expect(await world.launch('edited')).toBe('theirs 1.2');
      expect(await world.launch('edited')).toBe('theirs 1.2');
      expect(await world.show('edited')).toMatchObject({ storeState: 'foreign-edit', updatedBy: 'outside' });
      place.editOutside('edited', 'theirs again');
      expect(await codeOf(world.rotate('edited', 'mine'))).toBe('state_conflict');
      expect(await place.inBackend('edited')).toBe('theirs again');
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
      place.editOutside('theirs', 'not ours');
      expect(await codeOf(world.create('theirs', 'mine'))).toBe('already_exists');
      await world.create('purged', 'ours');
      await world.delete('purged');
      place.editOutside('purged', 'edited after the deletion');
      expect(await codeOf(world.purge('purged'))).toBe('state_conflict');
      expect(await place.inBackend('purged')).toBe('edited after the deletion');
      expect(await place.inBackend('theirs')).toBe('not ours');
      await world.purge('purged');
      expect(await place.inBackend('purged')).toBeNull();
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
      place.wrap((backend) => cutOnce(backend, 'after'));
      await (kind === 'create' ? world.create(key, 'new') : world.rotate(key, 'new'));
      expect(await world.launch(key)).toBe(`new 1.${kind === 'create' ? 1 : 2}`);
      place.wrap((backend) => cutOnce(backend, 'before'));
      expect(await codeOf(world.rotate(key, 'never'))).toBe('backend_unavailable');
      expect(await world.launch(key)).toBe(`new 1.${kind === 'create' ? 1 : 2}`);
      expect((await world.intents(key)).at(-1)).toBe('set abandoned');
    });

    it('settles it later when the store is away for longer, and holds up other keys not at all', async () => {
      await world.create('away', 'old');
      await world.create('other', 'old');
      place.wrap((backend) => ({
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
      // Its time is over when the store's clock says so, whatever this server's clock says.
      const storeClock = vi.spyOn(world.test.store, 'now').mockReturnValue(Date.now());
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
      await world.managed.settler.settleDue(signal);
      vi.useRealTimers();
      storeClock.mockReturnValue(Date.now() + 60_000);
      expect(await codeOf(world.managed.settler.settleDue(signal))).toBe('backend_unavailable');
      const end = await fixture.server.inject('failing', 'echo');
      await end();
      expect(await world.launch('away')).toBe('new 1.2');
      await world.managed.settler.settleDue(signal);
      storeClock.mockRestore();
      expect(await world.show('away')).toMatchObject({ version: '1.2' });
      expect(await world.audited('away')).toContain('rotate allowed');
    });

    it('takes up a put that arrives after it was given up', async () => {
      await world.create('late', 'old');
      const { promise: goOn, resolve: arrive } = Promise.withResolvers<void>();
      const late: Promise<unknown>[] = [];
      place.wrap((backend) => ({
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
    place.editOutside('orphan-edited', 'theirs');
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
      await writes.write({ writer: world.test.store, scopeId: managedScope.id, source, key, plan, parsed: null });
    };
    await purge('orphan');
    expect(await place.inBackend('orphan')).toBeNull();
    expect(await codeOf(purge('orphan-edited'))).toBe('state_conflict');
    expect(await place.inBackend('orphan-edited')).toBe('theirs');
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
    // It was about that secret and is about no other of its name.
    await world.secrets.delete(managedCaller, managedScope, 'same', { force: true, ifMatch: undefined });
    await world.secrets.purge(managedCaller, managedScope, 'same');
    await world.create('same', 'of somebody else');
    expect(await codeOf(rotate())).toBe('not_found');
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
