import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { StrongroomError } from '@strongroom/contract';
import { SigningKey } from '@strongroom/crypto';
import { expect, it } from 'vitest';
import { ArchiveWorld, eachTestHasArchive } from '../../testing/archive-world.ts';
import { describeEachStore } from '../../testing/stores.ts';
import { archiveLease, archiveRecords } from './archive.ts';
import { exportJsonLines } from './export.ts';
import { segmentFiles } from './segment-file.ts';
import { verifyArchive, verifyExport } from './verify-files.ts';

let archive: string;
eachTestHasArchive((directory) => {
  archive = directory;
});

describeEachStore('the archive of the audit log', (openStore) => {
  it('takes what checkpoints cover, and the log verifies with it, without it, and it alone', async () => {
    const world = await ArchiveWorld.open(await openStore(), archive);
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
    const world = await ArchiveWorld.open(await openStore(), archive);
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
    const world = await ArchiveWorld.open(await openStore(), archive);
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
    const world = await ArchiveWorld.open(await openStore(), archive);
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
    const world = await ArchiveWorld.open(await openStore(), archive);
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
    const world = await ArchiveWorld.open(await openStore(), archive);
    await world.write(9);
    await world.write(2);
    const there = world.directory;
    world.directory = join(there, 'not-mounted');
    await expect(world.archive()).rejects.toMatchObject({ code: 'state_conflict' });
    world.directory = there;
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

  it('is not opened by somebody else while one run has the lease', async () => {
    const world = await ArchiveWorld.open(await openStore(), archive);
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
