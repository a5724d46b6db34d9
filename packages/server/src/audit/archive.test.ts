import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { StrongroomError } from '@strongroom/contract';
import { encodePublicKeyText, SigningKey } from '@strongroom/crypto';
import { sql } from 'kysely';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { describeEachStore, type TestStore } from '../../testing/stores.ts';
import { dataFiles } from '../store/data-directory.ts';
import { withLease } from '../store/leases.ts';
import { archiveLease, type ArchiveParts, archiveRecords, type ArchivedSegment } from './archive.ts';
import { Checkpointer } from './checkpoint.ts';
import { exportJsonLines } from './export.ts';
import { publicKeyFile, publishPublicKey } from './public-key-file.ts';
import { segmentFiles } from './segment-file.ts';
import { verifyArchive, verifyDataDirectory, verifyExport, type VerifyFilesOptions } from './verify-files.ts';

const directories: string[] = [];
let archive: string;
beforeEach(() => {
  archive = mkdtempSync(join(tmpdir(), 'strongroom-archive-'));
  directories.push(archive);
});
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true });
});

class World {
  readonly test: TestStore;
  readonly publicKeyText: string;
  readonly #signing: SigningKey;
  readonly #checkpointer: () => Checkpointer;

  private constructor(test: TestStore, signing: SigningKey) {
    this.test = test;
    this.#signing = signing;
    this.publicKeyText = encodePublicKeyText(signing.publicKey);
    this.#checkpointer = () =>
      new Checkpointer({
        store: test.store,
        signing,
        installationId: test.keys.installationId,
        epoch: 1,
        anchorPath: dataFiles(test.directory).anchor,
      });
  }

  static async open(test: TestStore): Promise<World> {
    const { publicKey, signingSeed } = await test.keys.auditKeys();
    publishPublicKey(publicKeyFile(dataFiles(test.directory).anchor), publicKey);
    return new World(test, new SigningKey(signingSeed));
  }

  /** Some records and a checkpoint over them; the newest checkpoint always stays. */
  async write(count: number): Promise<void> {
    await Promise.all(
      Array.from({ length: count }, (_, index) =>
        this.test.store.execute('access.record', undefined, {
          audit: [
            {
              principal: 'usr_ann',
              principalName: 'user:ann',
              action: 'secret.list',
              outcome: 'allowed',
              scope: { id: 'dom_finance', name: 'finance' },
              requestId: `req-${index}`,
            },
          ],
        }),
      ),
    );
    await this.#checkpointer().make();
  }

  async archive(
    options: {
      readonly before?: number;
      readonly store?: ArchiveParts['store'];
      readonly recordsPerSegment?: number;
    } = {},
  ): Promise<readonly ArchivedSegment[]> {
    const { store = this.test.store, before = Date.now() + 60_000, ...rest } = options;
    const outcome = await withLease(this.test.store, archiveLease, 'test', 60_000, (lease) =>
      archiveRecords(
        { store, signing: this.#signing, installationId: this.test.keys.installationId },
        { directory: archive, before, lease, principalName: 'system', ...rest },
      ),
    );
    if (!outcome.held) throw new Error('the lease is held by somebody');
    return outcome.result;
  }

  /** A run that ends, as if it were killed, when it would remove the rows. */
  archiveUntilCommit(): Promise<unknown> {
    const { store } = this.test;
    const killed: ArchiveParts['store'] = {
      db: store.db,
      query: (...call) => store.query(...call),
      execute: () => {
        throw new Error('killed');
      },
    };
    return this.archive({ store: killed });
  }

  async verify(options: VerifyFilesOptions = {}) {
    const { macTermId, macKey } = await this.test.keys.auditKeys();
    return verifyDataDirectory(this.test.directory, {
      ...(this.test.url !== undefined && { databaseUrl: this.test.url }),
      macKeys: new Map([[macTermId, macKey]]),
      ...options,
    });
  }

  async count(): Promise<number> {
    const row = await this.test.store.db
      .selectFrom('audit_records')
      .select((column) => column.fn.countAll().as('count'))
      .executeTakeFirstOrThrow();
    return Number(row.count);
  }

  /** Somebody who can write the database. */
  async tamper(statement: string): Promise<void> {
    const { url, directory } = this.test;
    if (url === undefined) {
      const { DatabaseSync } = await import('node:sqlite');
      const database = new DatabaseSync(dataFiles(directory).database, { timeout: 10_000 });
      database.exec(statement);
      database.close();
    } else {
      const { default: pg } = await import('pg');
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query(statement);
      await client.end();
    }
  }
}

describeEachStore('the archive of the audit log', (openStore) => {
  it('takes what checkpoints cover, and the log verifies with it, without it, and it alone', async () => {
    const world = await World.open(await openStore());
    await world.write(30);
    await world.test.reopen();
    await world.write(20);
    await world.write(10);
    const before = await world.count();
    const oldest = await world.test.store.db
      .selectFrom('audit_records')
      .select('record')
      .where('sequence', '<=', 30)
      .orderBy('chain_id')
      .orderBy('sequence')
      .limit(30)
      .execute();
    const archived = await world.archive({ recordsPerSegment: 25 });
    expect(archived.map(({ segment }) => segment)).toEqual(['audit-1-000001', 'audit-1-000002']);
    const gone = archived.reduce((sum, { records }) => sum + records, 0);
    expect(gone).toBe(30 + 1 + 20);
    // Two records tell of it.
    expect(await world.count()).toBe(before - gone + 2);
    expect(readdirSync(archive).sort()).toEqual(
      archived.flatMap(({ segment }) => [`${segment}.jsonl.gz`, `${segment}.mark.json`]),
    );
    for (const name of readdirSync(archive)) expect(statSync(join(archive, name)).mode & 0o777).toBe(0o600);

    const lines = gunzipSync(readFileSync(join(archive, 'audit-1-000001.jsonl.gz')))
      .toString()
      .trimEnd()
      .split('\n');
    expect(lines.slice(-30)).toEqual(
      oldest.map(({ record }) => expect.stringContaining(`"record":${Buffer.from(record).toString()}}`)),
    );
    const alone = await world.verify();
    expect(alone.bad).toEqual([]);
    expect(alone).toMatchObject({ ok: true, chains: 2, records: before - gone + 2, archivedCount: 2 });
    expect(alone.archived).toMatchObject(archived.map(({ segment, digest }) => ({ segment, digest, isRead: false })));
    const whole = await world.verify({ archives: [archive] });
    expect(whole.bad).toEqual([]);
    expect(whole).toMatchObject({ ok: true, chains: 2, records: before + 2, checkpoints: 3, macs: 'checked' });
    expect(whole.archived.every(({ isRead }) => isRead)).toBe(true);
    expect(whole.unprotectedWindow.map(({ why }) => why)).toEqual([expect.stringContaining('rolled back together')]);
    const segments = await verifyArchive({ publicKeyText: world.publicKeyText, archives: [archive] });
    expect(segments.bad).toEqual([]);
    expect(segments).toMatchObject({ ok: true, chains: 2, records: gone, checkpoints: 2 });
    expect(segments.unprotectedWindow[0]?.why).toContain('verified up to segment audit-1-000002');
  });

  it('goes on where it ended, over restarts, and takes nothing twice', async () => {
    const world = await World.open(await openStore());
    await world.write(5);
    await world.write(5);
    const first = await world.archive();
    expect(first).toHaveLength(1);
    expect(await world.archive()).toEqual([]);
    await world.write(5);
    await world.test.reopen();
    await world.write(5);
    const second = await world.archive();
    expect(second.map(({ segment }) => segment)).toEqual(['audit-1-000002']);
    const report = await world.verify({ archives: [archive] });
    expect(report.bad).toEqual([]);
    expect((await world.verify()).bad).toEqual([]);
    // Each removal is on record, with what it left.
    const told = await world.test.store.query('audit.list', { action: 'audit.archive', limit: 9 });
    expect(told.map(({ record }) => JSON.parse(Buffer.from(record).toString()).detail.digest)).toEqual([
      second[0]!.digest,
    ]);
  });

  it('leaves what is not old enough, and the newest checkpoint; says of lists what went', async () => {
    const world = await World.open(await openStore());
    await world.write(5);
    await world.write(5);
    expect(await world.archive({ before: Date.now() - 60_000 })).toEqual([]);
    expect(readdirSync(archive)).toEqual([]);
    const { store } = world.test;
    expect(await store.query('audit.archivedRange', {})).toBeNull();
    const [segment] = await world.archive();
    expect(await store.db.selectFrom('audit_checkpoints').select('id').execute()).toHaveLength(1);
    const range = { from: Date.parse(segment!.from), to: Date.parse(segment!.to) };
    expect(await store.query('audit.archivedRange', {})).toEqual(range);
    expect(await store.query('audit.archivedRange', { from: range.to + 1 })).toBeNull();
    expect(await store.query('audit.archivedRange', { to: range.from })).toBeNull();
    expect(await store.query('audit.archivedRange', { from: range.to, to: range.to + 1 })).toEqual(range);
  });

  it('is exported as marks, and the export verifies with and without the archive', async () => {
    const world = await World.open(await openStore());
    await world.write(12);
    await world.write(3);
    await world.archive();
    const file = join(archive, 'export.jsonl');
    const chunks: Buffer[] = [];
    const installation = { id: world.test.keys.installationId, publicKeyText: world.publicKeyText };
    for await (const chunk of exportJsonLines(world.test.store, installation)) chunks.push(chunk);
    writeFileSync(file, Buffer.concat(chunks));
    const { publicKeyText } = world;
    expect(await verifyExport(file, { publicKeyText })).toMatchObject({ ok: true, badCount: 0, archivedCount: 1 });
    const whole = await verifyExport(file, { publicKeyText, archives: [archive] });
    expect(whole).toMatchObject({ ok: true, badCount: 0 });
    expect(whole.records).toBe((await world.count()) + 12);

    const stream = exportJsonLines(world.test.store, installation);
    await stream.next();
    await world.write(3);
    await world.archive();
    const rest = async (): Promise<void> => {
      for await (const chunk of stream) expect(chunk.length).toBeGreaterThan(0);
    };
    await expect(rest()).rejects.toMatchObject({ code: 'version_conflict' });
  });

  it('completes a run that was killed, whatever it left', async () => {
    const world = await World.open(await openStore());
    await world.write(1);
    for (const [index, left] of ['a partial file', 'a file without its mark', 'both without the commit'].entries()) {
      await world.write(9);
      await world.write(2);
      const before = await world.count();
      await expect(world.archiveUntilCommit()).rejects.toThrow('killed');
      expect(await world.count()).toBe(before);
      expect((await world.verify({ archives: [archive] })).bad).toEqual([]);
      const segment = `audit-1-00000${index + 1}`;
      const { data, mark } = segmentFiles(archive, segment);
      const sealed = readFileSync(mark);
      if (left !== 'both without the commit') rmSync(mark);
      if (left === 'a partial file') {
        writeFileSync(`${data}.partial`, readFileSync(data).subarray(0, 20));
        rmSync(data);
      }
      const archived = await world.archive();
      expect(archived.map((each) => each.segment)).toEqual([segment]);
      if (left === 'both without the commit') expect(readFileSync(mark)).toEqual(sealed);
      expect((await world.verify({ archives: [archive] })).bad).toEqual([]);
      expect(readdirSync(archive)).toHaveLength(2 * (index + 1));
    }
  });

  it('refuses a directory that is not there, and a leftover that is not of this log', async () => {
    const world = await World.open(await openStore());
    await world.write(9);
    await world.write(2);
    const there = archive;
    archive = join(there, 'not-mounted');
    await expect(world.archive()).rejects.toMatchObject({ code: 'state_conflict' });
    archive = there;
    await expect(world.archiveUntilCommit()).rejects.toThrow('killed');
    const data = join(archive, 'audit-1-000001.jsonl.gz');
    const bytes = readFileSync(data);
    bytes[bytes.length - 12] = bytes[bytes.length - 12]! ^ 1;
    writeFileSync(data, bytes);
    const before = await world.count();
    await expect(world.archive()).rejects.toSatisfy(
      (error) => error instanceof StrongroomError && ['state_conflict', 'storage_unavailable'].includes(error.code),
    );
    writeFileSync(join(archive, 'audit-1-000001.mark.json'), '{"type":"strongroom.audit.segment"}\n');
    await expect(world.archive()).rejects.toMatchObject({ code: 'state_conflict' });
    expect(await world.count()).toBe(before);
  });

  it('does not seal what was changed', async () => {
    const world = await World.open(await openStore());
    await world.write(6);
    await world.write(2);
    const before = await world.count();
    await world.tamper(`update audit_records set sequence = sequence + 1000 where sequence = 3`);
    await expect(world.archive()).rejects.toMatchObject({
      code: 'state_conflict',
      detail: expect.stringContaining('sequence 3: it is missing'),
    });
    await world.tamper(`update audit_records set sequence = sequence - 1000 where sequence = 1003`);
    await world.tamper(`update audit_records set hash = mac where sequence = 4`);
    await expect(world.archive()).rejects.toMatchObject({
      code: 'state_conflict',
      detail: expect.stringContaining('sequence 4: the record, its place or its hash was changed'),
    });
    expect(await world.count()).toBe(before);
    expect(readdirSync(archive).filter((name) => !name.endsWith('.partial'))).toEqual([]);
  });

  it('shows that a mark was removed or edited, that rows went without one, that rows came back', async () => {
    const world = await World.open(await openStore());
    await world.write(6);
    await world.write(2);
    await world.write(2);
    const { chain } = await world.test.store.db
      .selectFrom('audit_chains')
      .select('id as chain')
      .executeTakeFirstOrThrow();
    await world.archive({ recordsPerSegment: 5 });
    const whys = async (archives: readonly string[] = []) =>
      (await world.verify({ archives })).bad.map(({ why }) => why);
    expect(await whys()).toEqual([]);
    const { data } = segmentFiles(archive, 'audit-1-000001');
    const whole = readFileSync(data);
    const forged = gunzipSync(whole).toString().replace('"requestId":"req-1"', '"requestId":"req-9"');
    writeFileSync(data, gzipSync(forged));
    const found = await world.verify({ archives: [archive] });
    expect(found.firstBad).toMatchObject({ chain, why: 'the record, its place or its hash was changed' });
    expect(found.bad.at(-1)?.why).toBe('the file of segment audit-1-000001 is not the one that was sealed');
    writeFileSync(data, whole);
    const [mark] = await sql<{ hex: string }>`
      select ${sql.raw(world.test.url === undefined ? 'hex(document)' : "encode(document, 'hex')")} as hex
      from audit_segments where number = 2`
      .execute(world.test.store.db)
      .then(({ rows }) => rows);
    const bytes = (hex: string) => (world.test.url === undefined ? `x'${hex}'` : `'\\x${hex}'::bytea`);

    await world.tamper(`update audit_segments set document = ${bytes(`00${mark!.hex}`)} where number = 2`);
    expect(await whys()).toContainEqual(expect.stringContaining('its signature is not valid'));
    expect(await whys([archive])).toContainEqual(expect.stringContaining('its signature is not valid'));
    await expect(world.archive()).rejects.toMatchObject({ code: 'state_conflict' });
    await world.tamper(`update audit_segments set document = ${bytes(mark!.hex)} where number = 2`);
    expect(await whys()).toEqual([]);

    await world.tamper('create table kept_marks as select * from audit_segments');
    for (const number of [1, 2]) {
      await world.tamper(`delete from audit_segments where number = ${number}`);
      const found = await whys();
      expect(found).toContainEqual(expect.stringContaining('whose mark is missing or another'));
      expect(found.join()).toContain(number === 1 ? 'does not follow the one before' : 'it is missing');
      expect((await whys([archive])).length).toBeGreaterThan(0);
      await world.tamper(`insert into audit_segments select * from kept_marks where number = ${number}`);
    }
    await world.tamper('drop table kept_marks');
    expect(await whys()).toEqual([]);

    await world.tamper(`insert into audit_records (chain_id, sequence, at, record, hash, mac, action, outcome)
      select chain_id, 2, at, record, hash, mac, action, outcome from audit_records where action = 'audit.archive' limit 1`);
    expect((await world.verify()).firstBad).toMatchObject({
      chain,
      sequence: 2,
      why: 'it is in the archive, and here all the same',
    });
    await world.tamper('delete from audit_records where sequence = 2');
    const lowest = await world.test.store.db
      .selectFrom('audit_records')
      .select((row) => row.fn.min('sequence').as('sequence'))
      .executeTakeFirstOrThrow();
    await world.tamper(`delete from audit_records where sequence = ${lowest.sequence}`);
    expect((await world.verify()).firstBad).toEqual({ chain, sequence: lowest.sequence, why: 'it is missing' });
    expect((await world.verify({ archives: [archive] })).firstBad).toMatchObject({ sequence: lowest.sequence });
  });

  it('is not opened by somebody else while one run has the lease', async () => {
    const world = await World.open(await openStore());
    await world.write(3);
    await world.write(1);
    await expect(
      world.test.store.execute('lease.acquire', { name: archiveLease, holder: 'other', ttlMilliseconds: 60_000 }),
    ).resolves.toMatchObject({ epoch: 1 });
    await expect(world.archive()).rejects.toThrow('the lease is held');
    // A run that slept through its lease changes nothing.
    await expect(
      archiveRecords(
        {
          store: world.test.store,
          signing: new SigningKey((await world.test.keys.auditKeys()).signingSeed),
          installationId: world.test.keys.installationId,
        },
        {
          directory: archive,
          before: Date.now(),
          principalName: 'system',
          lease: { name: archiveLease, epoch: 0, signal: new AbortController().signal },
        },
      ),
    ).rejects.toMatchObject({ code: 'version_conflict' });
  });
});
