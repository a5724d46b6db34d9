import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StrongroomError } from '@strongroom/contract';
import { encodePublicKeyText, kekFromBytes } from '@strongroom/crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { testEvent } from '../../testing/store-program.ts';
import { openTestStore, type TestStore } from '../../testing/stores.ts';
import { writeDeadlineMilliseconds } from '../../testing/write-deadline.ts';
import { verifyDataDirectory } from '../audit/verify-files.ts';
import { openRestoredKeys } from '../keys/restored-keys.ts';
import { backupSqlite } from './backup.ts';
import { manifestName } from './backup-manifest.ts';
import { dataFiles } from './data-directory.ts';
import { finishRestore, preparing } from './restore-moves.ts';
import { restoreSqlite, type RestoreOptions } from './restore.ts';
import { openSqliteStore } from './sqlite.ts';

const work = mkdtempSync(join(tmpdir(), 'strongroom-backup-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (error instanceof StrongroomError) return error.code;
    throw error;
  }
}

function fresh(name: string): string {
  return join(work, `${name}-${randomBytes(4).toString('hex')}`);
}

describe('backup and restore', () => {
  let t: TestStore;
  let backup: string;
  let publicKeyText: string;
  beforeAll(async () => {
    t = await openTestStore();
    await write('first');
    publicKeyText = encodePublicKeyText((await t.keys.auditKeys()).publicKey);
  });
  beforeEach(() => {
    backup = fresh('backup');
  });
  afterAll(() => t.close());

  /** A domain's worth of keys and one audited change, so that there is something to lose. */
  async function write(name: string): Promise<void> {
    await t.keys.prepareScope(`dom_${name}`);
    await t.store.execute('store.record', undefined, { audit: [testEvent(name)] });
  }
  const restore = (options: Partial<RestoreOptions> = {}) =>
    restoreSqlite({
      backup,
      directory: t.directory,
      openAuditKeys: (store) => openRestoredKeys(store, t.kek),
      ...options,
    });
  test('of a running server is whole, private, without the key-encryption key, and says what it is', async () => {
    const writing = Promise.all(Array.from({ length: 50 }, (_, index) => write(`during${index}`)));
    const manifest = await backupSqlite(t.directory, backup);
    await writing;
    const installation = await t.store.db.selectFrom('installation').selectAll().executeTakeFirstOrThrow();
    expect(manifest).toMatchObject({
      format: 'strongroom-backup/v1',
      installationId: installation.id,
      epoch: 1,
      kekId: t.kek.id,
    });
    expect(readdirSync(backup).sort()).toEqual([...manifest.files.map((file) => file.name), manifestName].sort());
    const open = readdirSync(backup).filter((name) => (statSync(join(backup, name)).mode & 0o077) !== 0);
    expect(open).toEqual([]);
    expect(statSync(backup).mode & 0o077).toBe(0);
    const kek = Buffer.from(t.kek.revealKekBytes());
    for (const name of readdirSync(backup)) {
      const bytes = readFileSync(join(backup, name));
      for (const form of [kek, Buffer.from(kek.toString('hex')), Buffer.from(kek.toString('base64url'))]) {
        expect([name, bytes.includes(form)]).toEqual([name, false]);
      }
    }
    expect(await codeOf(backupSqlite(t.directory, backup))).toBe('already_exists');
    expect(await codeOf(backupSqlite(fresh('empty'), fresh('backup')))).toBe('state_conflict');
    expect(readdirSync(work).filter((name) => name.includes('partial'))).toEqual([]);
  });

  test('restores into an empty directory: the same data in a new epoch, and a log that verifies', async () => {
    await backupSqlite(t.directory, backup);
    const directory = fresh('restored');
    const result = await restore({ directory });
    expect(result).toMatchObject({ epoch: 2, anchored: { sequence: expect.any(Number) } });
    const store = await openSqliteStore({ directory, writeDeadlineMilliseconds });
    const installation = await store.db.selectFrom('installation').select(['id', 'epoch']).executeTakeFirstOrThrow();
    expect(installation).toEqual({ id: result.installationId, epoch: 2 });
    const record = await store.db
      .selectFrom('audit_records')
      .select('record')
      .where('action', '=', 'restore')
      .executeTakeFirstOrThrow();
    expect(JSON.parse(Buffer.from(record.record).toString('utf8'))).toMatchObject({
      detail: { epoch: 2, anchoredChain: result.anchored?.chain, anchoredSequence: result.anchored?.sequence },
    });
    const terms = await store.db
      .selectFrom('key_terms')
      .select('state')
      .where('scope_id', '=', 'dom_first')
      .where('purpose', '=', 'value')
      .orderBy('number')
      .execute();
    expect(terms).toEqual([{ state: 'retired' }, { state: 'active' }]);
    await store.close();
    const report = await verifyDataDirectory(directory, { publicKeyText });
    expect(report.bad).toEqual([]);
    expect(readdirSync(directory).filter((name) => /restor|replace/.test(name))).toEqual([]);
  });

  test('over a store needs force, keeps the old one beside, and the log says what was lost', async () => {
    await backupSqlite(t.directory, backup);
    await write('later');
    expect(await codeOf(restore({ force: true }))).toBe('state_conflict');
    await t.store.close();
    expect(await codeOf(restore())).toBe('state_conflict');
    await restore({ force: true });
    const replaced = readdirSync(t.directory).filter((name) => name.startsWith('replaced-'));
    expect(replaced).toHaveLength(1);
    expect(readdirSync(join(t.directory, replaced[0] ?? ''))).toContain('strongroom.db');
    const store = await openSqliteStore({ directory: t.directory, writeDeadlineMilliseconds });
    const lost = await store.db.selectFrom('key_terms').select('id').where('scope_id', '=', 'dom_later').execute();
    expect(lost).toEqual([]);
    await store.close();
    const report = await verifyDataDirectory(t.directory, { publicKeyText });
    expect(report.bad).toEqual([]);
    expect(report.restores.map((restore) => [restore.epoch, restore.lost.length])).toEqual([[2, 1]]);
    // The same backup once more: the epoch that was used is not used again, and the anchor still tells of both.
    expect(await restore({ force: true })).toMatchObject({ epoch: 3 });
    expect((await verifyDataDirectory(t.directory, { publicKeyText })).bad).toEqual([]);
    await t.reopen();
  });

  test('ends sessions and tokens unless told not to', async () => {
    const now = Date.now();
    await t.store.close();
    const database = new DatabaseSync(dataFiles(t.directory).database);
    database.exec(`
      insert into principals values ('usr_a', 'user', 'ann', '', null, null, null, '[]', null, null, 1, ${now}, 'system', ${now}, null, null);
      insert into sessions values ('ses_a', 'usr_a', x'01', x'02', 'trm', 'cookie', ${now}, ${now}, ${now + 1000000}, null);
      insert into tokens values ('tok_a', 'usr_a', x'03', 'trm', 'abcd', '', null, null, null, ${now}, 'system');
      insert into leases values ('sweep', 'gone', 4, ${now + 1000000});`);
    database.close();
    await backupSqlite(t.directory, backup);
    const kept = fresh('restored');
    expect(await restore({ directory: kept, keepsCredentials: true })).toMatchObject({
      endedSessions: 0,
      endedTokens: 0,
    });
    const ended = fresh('restored');
    expect(await restore({ directory: ended })).toMatchObject({ endedSessions: 1, endedTokens: 1 });
    const store = await openSqliteStore({ directory: ended, writeDeadlineMilliseconds });
    expect(await store.db.selectFrom('sessions').select('id').where('revoked_at', 'is', null).execute()).toEqual([]);
    expect(await store.db.selectFrom('leases').select(['epoch', 'expires_at']).execute()).toEqual([
      { epoch: 5, expires_at: 0 },
    ]);
    await store.close();
    await t.reopen();
  });

  test('refuses a changed or incomplete backup and a wrong key, and changes nothing', async () => {
    await backupSqlite(t.directory, backup);
    const directory = fresh('refused');
    const wrong = kekFromBytes(randomBytes(32));
    expect(await codeOf(restore({ directory, openAuditKeys: (store) => openRestoredKeys(store, wrong) }))).toBe(
      'key_unavailable',
    );
    const database = join(backup, 'strongroom.db');
    const bytes = readFileSync(database);
    appendFileSync(database, 'x');
    expect(await codeOf(restore({ directory }))).toBe('state_conflict');
    const flipped = Buffer.from(bytes);
    flipped[5000] = (flipped[5000] ?? 0) ^ 1;
    writeFileSync(database, flipped);
    expect(await codeOf(restore({ directory }))).toBe('state_conflict');
    rmSync(database);
    expect(await codeOf(restore({ directory }))).toBe('state_conflict');
    writeFileSync(database, bytes);
    const manifest = readFileSync(join(backup, manifestName), 'utf8');
    for (const bad of [
      '{',
      '{}',
      manifest.replace('backup/v1', 'backup/v9'),
      manifest.replace('strongroom.db', '../up'),
    ]) {
      writeFileSync(join(backup, manifestName), bad);
      expect(await codeOf(restore({ directory }))).toBe('state_conflict');
    }
    rmSync(join(backup, manifestName));
    expect(await codeOf(restore({ directory }))).toBe('state_conflict');
    expect(existsSync(directory) ? readdirSync(directory).filter((name) => name !== 'strongroom.lock') : []).toEqual(
      [],
    );
  });
});

describe('an interrupted restore', () => {
  /** Old and new files of one letter, and the moves undone from each point on. */
  const points = ['nothing', 'aside-1', 'aside-all', 'cleared', 'in-1', 'in-all'] as const;

  test.each(points)('that stopped after %s leaves the new store', (point) => {
    const files = dataFiles(fresh('interrupted'));
    mkdirSync(files.restored, { recursive: true });
    const names = ['strongroom.db', 'audit.anchor'];
    for (const name of [...names, 'strongroom.db-wal']) writeFileSync(join(files.directory, name), 'old');
    for (const name of names) writeFileSync(join(files.restored, name), 'new');
    writeFileSync(join(files.restored, 'replaces'), 'replaced-1');
    const old = join(files.directory, 'replaced-1');
    mkdirSync(old);
    const moved = points.indexOf(point);
    const aside = moved === 0 ? [] : moved === 1 ? ['strongroom.db'] : [...names, 'strongroom.db-wal'];
    for (const name of aside) renameSync(join(files.directory, name), join(old, name));
    if (moved >= 3) writeFileSync(join(files.restored, 'cleared'), '');
    for (const name of moved < 4 ? [] : moved === 4 ? names.slice(0, 1) : names) {
      renameSync(join(files.restored, name), join(files.directory, name));
    }
    finishRestore(files);
    for (const name of names) {
      expect(readFileSync(join(files.directory, name), 'utf8')).toBe('new');
      expect(readFileSync(join(old, name), 'utf8')).toBe('old');
    }
    expect(readdirSync(files.directory).sort()).toEqual([...names, 'replaced-1'].sort());
    expect(readdirSync(old).sort()).toEqual([...names, 'strongroom.db-wal'].sort());
  });

  test('that was not published leaves the old store and no trace', () => {
    const files = dataFiles(fresh('unpublished'));
    mkdirSync(join(files.directory, preparing), { recursive: true });
    writeFileSync(join(files.directory, preparing, 'strongroom.db'), 'new');
    writeFileSync(files.database, 'old');
    finishRestore(files);
    expect(readdirSync(files.directory)).toEqual(['strongroom.db']);
    expect(readFileSync(files.database, 'utf8')).toBe('old');
  });
});
