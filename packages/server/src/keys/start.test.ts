import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createTerm, formatKekText, kekFromBytes } from '@strongroom/crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, KeysWorld } from '../../testing/keys-world.ts';
import { describeEachStore } from '../../testing/stores.ts';
import { dataFiles } from '../store/data-directory.ts';
import { newId } from '../store/ids.ts';
import { openKeyring } from './keyring.ts';
import { installationScopeId } from './terms.ts';

describeEachStore('the keyring at start', (_openStore, database) => {
  let world: KeysWorld;
  beforeAll(async () => {
    world = await KeysWorld.create(database);
    for (const table of ['key_terms', 'installation'])
      await world.tamper(`create table kept_${table} as select * from ${table}`);
  });
  afterAll(() => world.remove());
  /** As it was after the first start. */
  afterEach(async () => {
    for (const table of ['key_terms', 'installation']) {
      await world.tamper(`delete from ${table}`);
      await world.tamper(`insert into ${table} select * from kept_${table}`);
    }
  });

  describe('the very first time', () => {
    it('makes the installation and its terms in one step, and nothing the second time', async () => {
      const rows = await world.store.db.selectFrom('key_terms').select(['purpose', 'scope_id', 'state']).execute();
      expect(rows.map((row) => row.purpose).sort()).toEqual([
        'audit-mac',
        'audit-sign',
        'cursor',
        'idempotency',
        'token',
      ]);
      expect(new Set(rows.map((row) => `${row.scope_id} ${row.state}`))).toEqual(new Set(['installation active']));
      const before = await world.dump();
      await world.restart();
      await world.openKeys();
      expect(await world.dump()).toBe(before);
    });

    it('leaves nothing when a part of it fails', async () => {
      await world.tamper('delete from key_terms');
      await world.tamper('delete from installation');
      const before = await world.dump();
      const kek = kekFromBytes(randomBytes(32));
      const { term } = await createTerm(kek, {
        installationId: 'ins_x',
        scopeId: installationScopeId,
        purpose: 'token',
        number: 1,
      });
      const args = { id: 'ins_x', kekId: kek.id, kekCheck: new Uint8Array(8), terms: [term, term] };
      expect(await codeOf(world.store.execute('keys.createInstallation', args))).toBe('version_conflict');
      expect(await world.dump()).toBe(before);
    });

    it('is done once when several come at the same time, whoever is first', async () => {
      await world.tamper('delete from key_terms');
      await world.tamper('delete from installation');
      const own = kekFromBytes(randomBytes(32));
      const other = kekFromBytes(randomBytes(32));
      const opened = await Promise.allSettled([own, own, other].map((kek) => openKeyring(world.anyStore, kek)));
      const { kek_id: kekId } = await world.store.db
        .selectFrom('installation')
        .select('kek_id')
        .executeTakeFirstOrThrow();
      expect(opened.map(({ status }) => status === 'fulfilled')).toEqual(
        [own, own, other].map((kek) => kek.id === kekId),
      );
      expect(await world.terms(installationScopeId, 'token')).toHaveLength(1);
    });
  });

  describe('with a key that is not the installation’s', () => {
    const key = formatKekText(randomBytes(32));
    const cases: Readonly<Record<string, (world: KeysWorld) => void>> = {
      'another key': ({ kekFile }) => writeFileSync(kekFile, key),
      'no file': ({ kekFile }) => rmSync(kekFile),
      'an all-zero key': ({ kekFile }) => writeFileSync(kekFile, formatKekText(new Uint8Array(32))),
      'an empty file': ({ kekFile }) => writeFileSync(kekFile, ''),
      'half a key': ({ kekFile }) => writeFileSync(kekFile, readFileSync(kekFile, 'utf8').slice(0, 40)),
      'a file open to others': ({ kekFile }) => chmodSync(kekFile, 0o644),
      'another key, and a new one that was never put in force': ({ kekFile }) => {
        writeFileSync(kekFile, key);
        writeFileSync(`${kekFile}.next`, formatKekText(randomBytes(32)), { mode: 0o600 });
      },
    };
    it(`refuses ${Object.keys(cases).join('; ')}; and changes nothing`, async () => {
      await world.stop();
      const key = readFileSync(world.kekFile);
      const database = dataFiles(world.place.directory).database;
      const readDatabase = () => (world.place.url === undefined ? readFileSync(database).toString('base64') : '');
      for (const [name, change] of Object.entries(cases)) {
        change(world);
        const before = { name, files: world.keyFiles(), database: readDatabase(), code: 'key_unavailable' };
        const code = await codeOf(world.start());
        expect({ name, files: world.keyFiles(), database: readDatabase(), code }).toEqual(before);
        rmSync(dirname(world.kekFile), { recursive: true });
        mkdirSync(dirname(world.kekFile));
        writeFileSync(world.kekFile, key, { mode: 0o600 });
      }
      await world.start();
    });
  });

  describe('with rows that somebody changed', () => {
    const where = (purpose: string): string => `scope_id = 'installation' and purpose = '${purpose}'`;
    const cases: Readonly<Record<string, (world: KeysWorld) => Promise<void>>> = {
      'swapped terms': (world) =>
        world.tamper(`update key_terms set wrapped = (select t.wrapped from key_terms t where t.purpose = 'cursor')
          where ${where('token')}`),
      'a term of another number': (world) => world.tamper(`update key_terms set number = 7 where ${where('cursor')}`),
      'a term of another purpose': async (world) => {
        await world.tamper(`delete from key_terms where ${where('cursor')}`);
        await world.tamper(`update key_terms set purpose = 'cursor' where ${where('token')}`);
      },
      'a missing term': (world) => world.tamper(`delete from key_terms where ${where('token')}`),
      'a retired term without a successor': (world) =>
        world.tamper(`update key_terms set state = 'retired' where ${where('idempotency')}`),
      'a term of another key-encryption key': (world) =>
        world.tamper(`update key_terms set kek_id = 'other' where ${where('audit-mac')}`),
      'another installation’s check': (world) => world.tamper(`update installation set id = 'ins_other'`),
    };
    it.each(Object.keys(cases))('refuses %s and changes nothing', async (name) => {
      await cases[name]?.(world);
      const before = await world.dump();
      expect(await codeOf(world.openKeys())).toBe('key_unavailable');
      expect(await world.dump()).toBe(before);
    });

    it('refuses any byte flipped in a wrapped term or in the check', async () => {
      const isSqlite = world.store.dialect === 'sqlite';
      const literal = (bytes: Uint8Array): string => {
        const hex = Buffer.from(bytes).toString('hex');
        return isSqlite ? `x'${hex}'` : `decode('${hex}', 'hex')`;
      };
      const flips: {
        readonly table: string;
        readonly column: string;
        readonly where: string;
        readonly bytes: Uint8Array;
      }[] = [];
      const terms = await world.store.db.selectFrom('key_terms').select(['id', 'wrapped']).execute();
      for (const { id, wrapped } of terms)
        flips.push({
          table: 'key_terms',
          column: 'wrapped',
          where: `id = '${id}'`,
          bytes: wrapped ?? new Uint8Array(),
        });
      const { kek_check: check } = await world.store.db
        .selectFrom('installation')
        .select('kek_check')
        .executeTakeFirstOrThrow();
      flips.push({ table: 'installation', column: 'kek_check', where: '1 = 1', bytes: check });
      for (const { table, column, where: which, bytes } of flips) {
        // The format, the nonce, the ciphertext and the tag.
        for (const at of [0, 5, 20, bytes.length - 1]) {
          const changed = Uint8Array.from(bytes);
          changed[at] = (changed[at] ?? 0) ^ 0x10;
          await world.tamper(`update ${table} set ${column} = ${literal(changed)} where ${which}`);
          expect([column, at, await codeOf(world.openKeys())]).toEqual([column, at, 'key_unavailable']);
        }
        await world.tamper(`update ${table} set ${column} = ${literal(bytes)} where ${which}`);
      }
      expect(await codeOf(world.openKeys())).toBe('none');
    });

    it('opens no value with the term of another scope', async () => {
      await world.addValue('dom_global', newId('secret'), 'one');
      await world.keyring.prepareScope('dom_admin');
      await world.tamper(`update key_terms set wrapped = (select t.wrapped from key_terms t
        where t.scope_id = 'dom_admin' and t.purpose = 'value') where scope_id = 'dom_global' and purpose = 'value'`);
      world.keyring = await world.openKeys();
      const { id } = await world.store.db.selectFrom('secrets').select('id').executeTakeFirstOrThrow();
      expect(await codeOf(world.readValue('dom_global', id))).toBe('key_unavailable');
    });
  });
});
