import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Kek, kekFromBytes, loadKekFile, MAX_TERM_USES, SecretValue } from '@strongroom/crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canary, codeOf, KeysWorld, openText, placeOf, rotationEvent, sealText } from '../../testing/keys-world.ts';
import { describeEachStore, sqliteDatabase } from '../../testing/stores.ts';
import { backupSqlite } from '../store/backup.ts';
import { dataFiles } from '../store/data-directory.ts';
import { newId } from '../store/ids.ts';
import { withLease } from '../store/leases.ts';
import { restoreSqlite } from '../store/restore.ts';
import { useReservation } from './commands.ts';
import { keyFile } from './kek-file.ts';
import { fileKekSource } from './kek-source.ts';
import { openKeyring } from './keyring.ts';
import { openRestoredKeys } from './restored-keys.ts';
import { resealRetired } from './reseal.ts';
import { rotateKek, rotateKekFile, type RotationStep } from './rotation.ts';

class Stopped extends Error {}
const steps: readonly RotationStep[] = ['next-written', 'committed', 'old-kept', 'promoted'];

describeEachStore('rotation', (_openStore, database) => {
  let world: KeysWorld;
  beforeAll(async () => {
    world = await KeysWorld.create(database);
  });
  afterAll(() => world.remove());
  const rotate = (reached?: (step: RotationStep) => void) =>
    rotateKekFile(world.anyStore, world.keyring, keyFile(world.kekFile), rotationEvent, reached);
  const kekInForce = async (): Promise<string> =>
    (await world.store.db.selectFrom('installation').select('kek_id').executeTakeFirstOrThrow()).kek_id;

  describe('of the key-encryption key', () => {
    it.each(steps)(
      'that stopped at %s resumes at the next start; everything opens, and a new kit is asked for',
      async (at) => {
        const scope = `dom_${at}`;
        const text = canary();
        const { envelope } = await sealText(world.keyring, scope, 'sec_a', text);
        const hash = world.keyring.tokenHashes(`srt_${'a'.repeat(40)}`);
        const oldKekId = world.keyring.kek.id;
        await world.store.execute('keys.confirmRecovery', { kekId: oldKekId });
        const stopAt = (step: RotationStep): void => {
          if (step === at) throw new Stopped();
        };
        await expect(rotate(stopAt)).rejects.toThrow(Stopped);
        await world.restart();
        expect(await openText(world.keyring, scope, 'sec_a', envelope)).toBe(text);
        expect(world.keyring.tokenHashes(`srt_${'a'.repeat(40)}`)).toEqual(hash);
        const isCommitted = at !== 'next-written';
        expect((await kekInForce()) === oldKekId).toBe(!isCommitted);
        const { recovery_confirmed_at: confirmedAt } = await world.store.db
          .selectFrom('installation')
          .select('recovery_confirmed_at')
          .executeTakeFirstOrThrow();
        expect(confirmedAt === null).toBe(isCommitted);

        // Rotating again is whole, whatever was left behind, and afterwards the one file is enough.
        const { kekId } = await rotate();
        expect(await kekInForce()).toBe(kekId);
        const left = world.keyFiles();
        expect(Object.keys(left)).not.toContain('kek.next');
        for (const name of Object.keys(left)) {
          if (name === 'kek') continue;
          expect(statSync(join(world.kekFile, '..', name)).mode & 0o777).toBe(0o600);
          rmSync(join(world.kekFile, '..', name));
        }
        await world.restart();
        expect(await openText(world.keyring, scope, 'sec_a', envelope)).toBe(text);
        await sealText(world.keyring, scope, 'sec_b', text);
      },
    );

    it('keeps the old key, which alone opens what was backed up before', async () => {
      const oldText = readFileSync(world.kekFile, 'utf8');
      const oldId = world.keyring.kek.id;
      await rotate();
      const kept = `${world.kekFile}.${oldId.slice(0, 8)}.old`;
      expect(readFileSync(kept, 'utf8')).toBe(oldText);
      expect((await loadKekFile(kept, { create: false })).id).toBe(oldId);
      expect((await loadKekFile(world.kekFile, { create: false })).id).toBe(await kekInForce());
    });

    it('leaves everything as it was when a term does not open', async () => {
      await world.keyring.prepareScope('dom_broken');
      await world.tamper(`update key_terms set number = 99 where scope_id = 'dom_broken' and purpose = 'value'`);
      const before = await world.dump();
      const { form, ...file } = keyFile(world.kekFile);
      const made: Kek[] = [];
      const create = async (path: string): Promise<Kek> => {
        made.push(await form.create(path));
        return made[0] as Kek;
      };
      const rotation = rotateKekFile(
        world.anyStore,
        world.keyring,
        { ...file, form: { ...form, create } },
        rotationEvent,
      );
      expect(await codeOf(rotation)).toBe('key_unavailable');
      expect(await world.dump()).toBe(before);
      // The key that did not come into force is not left in memory.
      expect(made).toHaveLength(1);
      for (const kek of made) expect(() => kek.revealKekBytes()).toThrow('destroyed');
      await world.tamper(`update key_terms set number = 1 where scope_id = 'dom_broken' and purpose = 'value'`);
      expect(await codeOf(rotate())).toBe('none');
    });

    it('is refused where the new file cannot be written', async () => {
      const before = await world.dump();
      const nowhere = join(world.place.directory, 'absent', 'kek');
      expect(await codeOf(rotateKekFile(world.anyStore, world.keyring, keyFile(nowhere), rotationEvent))).toBe(
        'key_unavailable',
      );
      expect(await world.dump()).toBe(before);
    });

    it('runs once at a time, and scopes that get their first key meanwhile get it under the new one', async () => {
      const scopes = Array.from({ length: 40 }, (_, index) => `dom_meanwhile${index}`);
      const [first, second, ...rest] = await Promise.allSettled([
        rotate(),
        rotate(),
        ...scopes.map((scope) => sealText(world.keyring, scope, 'sec_a', scope)),
      ]);
      expect(first.status).toBe('fulfilled');
      expect(second).toMatchObject({ status: 'rejected', reason: { code: 'state_conflict' } });
      expect(rest.filter(({ status }) => status === 'rejected')).toEqual([]);
      const others = await world.store.db
        .selectFrom('key_terms')
        .select('id')
        .where('kek_id', '!=', await kekInForce())
        .execute();
      expect(others).toEqual([]);
    });

    it('makes and opens terms between its commit and its end', async () => {
      await world.keyring.prepareScope('dom_closed');
      await world.restart();
      const during: Promise<unknown>[] = [];
      await rotate((step) => {
        if (step !== 'committed') return;
        // The store has the new key already, and so has the process; the file has not.
        during.push(world.keyring.prepareScope('dom_between'), world.keyring.prepareScope('dom_closed'));
      });
      expect((await Promise.allSettled(during)).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    });

    it('shuts out a process that still has the old key: it adds nothing that nobody could open', async () => {
      const replica = await openKeyring(world.anyStore, world.keyring.kek);
      await rotate();
      const before = await world.dump();
      expect(await codeOf(replica.prepareScope('dom_late'))).toBe('key_unavailable');
      expect(await codeOf(rotateKek(world.anyStore, replica, kekFromBytes(randomBytes(32)), rotationEvent))).toBe(
        'version_conflict',
      );
      expect(await world.dump()).toBe(before);
      replica.close();
    });

    it('refuses the key that is in force', async () => {
      const { kek } = world.keyring;
      expect(await codeOf(rotateKek(world.anyStore, world.keyring, kek, rotationEvent))).toBe('state_conflict');
    });
  });

  describe('of value keys', () => {
    it('seals new values under the new term and keeps the old ones readable', async () => {
      const scope = 'dom_terms';
      const first = await sealText(world.keyring, scope, 'sec_a', 'one');
      await world.keyring.rotateValueTerm(scope);
      const second = await sealText(world.keyring, scope, 'sec_b', 'two');
      expect(second.termId).not.toBe(first.termId);
      await world.restart();
      expect(await openText(world.keyring, scope, 'sec_a', first.envelope)).toBe('one');
      expect((await world.terms(scope)).map(({ number, state }) => [number, state])).toEqual([
        [1, 'retired'],
        [2, 'active'],
      ]);
      expect(second.fingerprintTermId).toBe(first.fingerprintTermId);
    });

    it('leaves one active term when asked for twice at the same time, and is done again after another process did it', async () => {
      const scope = 'dom_twice';
      const replica = await openKeyring(world.anyStore, world.keyring.kek);
      await world.keyring.prepareScope(scope);
      await replica.prepareScope(scope);
      await Promise.all([world.keyring.rotateValueTerm(scope), world.keyring.rotateValueTerm(scope)]);
      const rotated = await world.terms(scope);
      expect(rotated.slice(0, -1).map(({ state }) => state)).toEqual(rotated.slice(1).map(() => 'retired'));
      expect(rotated.at(-1)?.state).toBe('active');
      expect([2, 3]).toContain(rotated.length);
      await replica.rotateValueTerm(scope);
      expect(await world.terms(scope)).toHaveLength(rotated.length + 1);
      const { termId } = await sealText(world.keyring, scope, 'sec_a', 'x');
      expect((await world.terms(scope)).map(({ id }) => id)).toContain(termId);
      replica.close();
    });
  });

  describe('uses of a value key', () => {
    it('are never counted below what was sealed, however many at once, and a crash loses one reservation', async () => {
      const scope = 'dom_uses';
      await world.keyring.prepareScope(scope);
      const many = useReservation + 500;
      const sealed = await Promise.all(
        Array.from({ length: many }, () => sealText(world.keyring, scope, 'sec_a', 'x')),
      );
      expect(new Set(sealed.map(({ termId }) => termId)).size).toBe(1);
      expect((await world.terms(scope))[0]?.uses).toBe(2 * useReservation);
      await Promise.all(
        Array.from({ length: 2 * useReservation - many }, () => sealText(world.keyring, scope, 'sec_a', 'x')),
      );
      expect((await world.terms(scope))[0]?.uses).toBe(2 * useReservation);
      // As after a crash: what was reserved and not used is lost, never used twice.
      const replica = await openKeyring(world.anyStore, world.keyring.kek);
      await sealText(replica, scope, 'sec_a', 'x');
      expect((await world.terms(scope))[0]?.uses).toBe(3 * useReservation);
      replica.close();
    });

    it.each([MAX_TERM_USES - useReservation + 1, MAX_TERM_USES])('roll over to a new term at %i', async (uses) => {
      const scope = `dom_full${uses}`;
      const before = await sealText(world.keyring, scope, 'sec_a', 'old');
      await world.tamper(`update key_terms set uses = ${uses} where id = '${before.termId}'`);
      const replica = await openKeyring(world.anyStore, world.keyring.kek);
      const [one, two] = await Promise.all(['sec_b', 'sec_c'].map((id) => sealText(replica, scope, id, 'new')));
      expect(one?.termId).not.toBe(before.termId);
      expect(two?.termId).toBe(one?.termId);
      const terms = await world.terms(scope);
      expect(terms.map(({ state, uses: counted }) => [state, counted])).toEqual([
        ['retired', uses],
        ['active', useReservation],
      ]);
      expect(await openText(replica, scope, 'sec_a', before.envelope)).toBe('old');
      replica.close();
    });

    it('of several processes are counted together', async () => {
      const scope = 'dom_together';
      const replica = await openKeyring(world.anyStore, world.keyring.kek);
      const { termId } = await sealText(world.keyring, scope, 'sec_a', 'x');
      await sealText(replica, scope, 'sec_a', 'x');
      // Between them they have nearly used it up; neither has by itself.
      await world.tamper(`update key_terms set uses = ${MAX_TERM_USES - 10} where id = '${termId}'`);
      const more = Array.from({ length: useReservation }, () => sealText(replica, scope, 'sec_a', 'x'));
      const terms = new Set((await Promise.all(more)).map((sealed) => sealed.termId));
      expect(terms.size).toBe(2);
      expect((await world.terms(scope)).map(({ state }) => state)).toEqual(['retired', 'active']);
      replica.close();
    });
  });

  describe('sealing values anew', () => {
    const scope = 'dom_global';
    const ids = Array.from({ length: 230 }, () => newId('secret'));
    const retired = () => world.store.query('keys.retiredCount', undefined);

    it('goes through all of them in batches, stops when told to, and goes on', async () => {
      await Promise.all(ids.map((id) => world.addValue(scope, id, `value of ${id}`)));
      await world.keyring.rotateValueTerm(scope);
      expect(await retired()).toBe(ids.length);
      expect(await resealRetired(world.anyStore, world.keyring, { batches: 1 })).toEqual({
        resealed: 100,
        failed: 0,
        isDone: false,
      });
      const aborted = AbortSignal.abort();
      expect(await resealRetired(world.anyStore, world.keyring, { batches: 9, signal: aborted })).toMatchObject({
        resealed: 0,
        isDone: false,
      });
      await world.restart();
      expect(await resealRetired(world.anyStore, world.keyring, { batches: 9 })).toEqual({
        resealed: 130,
        failed: 0,
        isDone: true,
      });
      expect(await retired()).toBe(0);
      const before = await world.dump();
      expect(await resealRetired(world.anyStore, world.keyring, { batches: 9 })).toMatchObject({
        resealed: 0,
        isDone: true,
      });
      expect(await world.dump()).toBe(before);
      for (const id of ids.slice(0, 3)) expect(await world.readValue(scope, id)).toBe(`value of ${id}`);
    });

    it('is not held up by values that do not open, however many', async () => {
      const sorted = ids.toSorted();
      const second = sorted.at(-1) ?? '';
      await world.tamper(`update secret_versions set envelope = (select v.envelope from secret_versions v
        where v.secret_id = '${second}') where secret_id <= '${sorted[119]}'`);
      await world.keyring.rotateValueTerm(scope);
      const reseal = (batches: number) => resealRetired(world.anyStore, world.keyring, { batches });
      expect(await reseal(1)).toEqual({ resealed: 80, failed: 120, isDone: false });
      expect(await reseal(9)).toEqual({ resealed: 30, failed: 120, isDone: true });
      expect(await world.readValue(scope, second)).toBe(`value of ${second}`);
      await world.tamper(`delete from secret_versions where secret_id <= '${sorted[119]}'`);
    });

    it('writes nothing any more once its lease went to another process', async () => {
      await world.keyring.rotateValueTerm(scope);
      const outcome = await withLease(world.anyStore, 'job.reseal-values', 'one', 60_000, async (lease) => {
        await world.tamper(`update leases set epoch = epoch + 1 where name = 'job.reseal-values'`);
        const before = await world.dump();
        expect(await codeOf(resealRetired(world.anyStore, world.keyring, { batches: 9, lease }))).toBe(
          'version_conflict',
        );
        // Reserving uses of the new term is the keyring's own and harmless.
        const without = (dump: string): string => dump.replaceAll(/^key_terms .*$/gm, '');
        expect(without(await world.dump())).toBe(without(before));
      });
      expect(outcome.held).toBe(true);
    });
  });

  describe('a scope whose keys were destroyed', () => {
    it('neither opens nor seals, here, after a restart, or in a process that had its keys open', async () => {
      const scope = 'dom_deleted';
      const { envelope } = await sealText(world.keyring, scope, 'sec_a', 'gone');
      const replica = await openKeyring(world.anyStore, world.keyring.kek);
      await replica.prepareScope(scope);
      await world.store.execute('keys.destroyScope', { scopeId: scope });
      world.keyring.forgetScope(scope);
      const value = SecretValue.fromText('new');
      for (const keyring of [world.keyring, replica]) {
        expect(await codeOf(keyring.rotateValueTerm(scope))).toBe('key_unavailable');
        expect(await codeOf(keyring.seal(placeOf(scope), value))).toBe('key_unavailable');
      }
      expect(await codeOf(Promise.try(() => world.keyring.open(placeOf(scope), envelope)))).toBe('key_unavailable');
      await world.restart();
      expect(await codeOf(Promise.try(() => world.keyring.open(placeOf(scope), envelope)))).toBe('key_unavailable');
      const rows = await world.store.db
        .selectFrom('key_terms')
        .select(['state', 'wrapped'])
        .where('scope_id', '=', scope)
        .execute();
      expect(rows.every((row) => row.state === 'destroyed' && row.wrapped === null)).toBe(true);
      // A rotation of the KEK has nothing to wrap there.
      expect(await codeOf(rotate())).toBe('none');
    });

    it('refuses what had taken its key a moment before', async () => {
      const scope = 'dom_forgotten';
      await sealText(world.keyring, scope, 'sec_a', 'first');
      const sealing = codeOf(world.keyring.seal(placeOf(scope), SecretValue.fromText('second')));
      world.keyring.forgetScope(scope);
      expect(await sealing).toBe('key_unavailable');
    });
  });
});

describeEachStore(
  'a backup from before a rotation',
  (_openStore, database) => {
    it('opens with the old key, begins new value terms, and says so when only the new key is there', async () => {
      const world = await KeysWorld.create(database);
      const place = await database.create();
      // A restore wants a data directory without a store.
      rmSync(dataFiles(place.directory).database, { force: true });
      try {
        const secretId = newId('secret');
        const text = canary();
        await world.addValue('dom_global', secretId, text);
        const backup = join(world.place.directory, 'backup');
        await backupSqlite(world.place.directory, backup);
        const oldKekId = world.keyring.kek.id;
        const { kekId } = await rotateKekFile(world.anyStore, world.keyring, keyFile(world.kekFile), rotationEvent);
        const kept = `${world.kekFile}.${oldKekId.slice(0, 8)}.old`;

        const restore = (kek: Kek) =>
          restoreSqlite({ backup, directory: place.directory, openAuditKeys: (store) => openRestoredKeys(store, kek) });
        expect(await codeOf(restore(await loadKekFile(world.kekFile, { create: false })))).toBe('key_unavailable');
        await restore(await loadKekFile(kept, { create: false }));

        const restored = new KeysWorld(place, () => fileKekSource(world.kekFile));
        await restored.openStore();
        const refusal = await restored.openKeys().catch((error: unknown) => error);
        expect(refusal).toMatchObject({ code: 'key_unavailable', hint: expect.stringContaining(kept) });
        expect((await loadKekFile(world.kekFile, { create: false })).id).toBe(kekId);
        writeFileSync(world.kekFile, readFileSync(kept));
        restored.keyring = await restored.openKeys();
        expect(await restored.readValue('dom_global', secretId)).toBe(text);
        expect((await restored.terms('dom_global')).map(({ state, uses }) => [state, uses])).toEqual([
          ['retired', useReservation],
          ['active', 0],
        ]);
        await restored.store.close();
      } finally {
        await world.remove();
        await place.remove();
      }
    });
  },
  [sqliteDatabase()],
);
