import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { ArchiveWorld, eachTestHasArchive } from '../../testing/archive-world.ts';
import { describeEachStore } from '../../testing/stores.ts';
import { segmentFiles } from './segment-file.ts';

let archive: string;
eachTestHasArchive((directory) => {
  archive = directory;
});

describeEachStore('an audit log that somebody changed', (openStore) => {
  it('does not seal what was changed', async () => {
    const world = await ArchiveWorld.open(await openStore(), archive);
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
    const world = await ArchiveWorld.open(await openStore(), archive);
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
});
