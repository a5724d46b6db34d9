import { execFile } from 'node:child_process';
import { DatabaseSync } from 'node:sqlite';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { encodePublicKeyText, SigningKey } from '@strongroom/crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestStore, type TestStore } from '../../testing/stores.ts';
import { dataFiles } from '../store/data-directory.ts';
import { type AuditBackground, startAuditBackground } from './background.ts';
import { Checkpointer } from './checkpoint.ts';
import { DenialCounter } from './denials.ts';
import type { AuditEvent } from './event.ts';
import { exportJsonLines } from './export.ts';
import { verifyDataDirectory, verifyExport } from './verify-files.ts';

const event: AuditEvent = {
  principal: 'usr_ann',
  principalName: 'user:ann',
  action: 'secret.list',
  outcome: 'allowed',
};
let test: TestStore;
let background: AuditBackground;

async function start(): Promise<void> {
  await record(1);
  const keys = await test.keys.auditKeys();
  background = await startAuditBackground(
    {
      store: test.store,
      signing: new SigningKey(keys.signingSeed),
      installationId: keys.installationId,
      epoch: 1,
      anchorPath: dataFiles(test.directory).anchor,
    },
    (error) => {
      throw error;
    },
  );
}

beforeAll(async () => {
  test = await openTestStore();
  await start();
});
afterAll(async () => {
  await background.stop();
  await test.close();
});

async function record(count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, () => test.store.execute('access.record', undefined, { audit: [event] })),
  );
}

describe('the log of a real store', () => {
  it('verifies while the server writes', async () => {
    const over = new AbortController();
    const writing = (async () => {
      while (!over.signal.aborted) await record(20);
    })();
    for (let run = 0; run < 5; run += 1) {
      const report = await verifyDataDirectory(test.directory);
      expect(report.bad).toEqual([]);
      expect(report.ok).toBe(true);
      await wait(5);
    }
    over.abort();
    await writing;
  });

  it('verifies after restarts, with the server and without it', async () => {
    await record(30);
    await background.stop();
    await test.reopen();
    await start();
    await record(5);
    const keys = await test.keys.auditKeys();
    const macKeys = new Map([[keys.macTermId, keys.macKey]]);
    const report = await verifyDataDirectory(test.directory, { macKeys });
    expect(report).toMatchObject({ ok: true, chains: 2, macs: 'checked', firstBad: null });
    expect(report.checkpoints).toBeGreaterThanOrEqual(2);
    await background.stop();
    await test.store.close();
    expect(await verifyDataDirectory(test.directory)).toMatchObject({ ok: true, chains: 2 });
    await test.reopen();
    await start();
  });

  it('verifies as an exported file, elsewhere, with the public key alone', async () => {
    await record(700);
    await new Checkpointer({
      store: test.store,
      signing: new SigningKey((await test.keys.auditKeys()).signingSeed),
      installationId: test.keys.installationId,
      epoch: 1,
      anchorPath: dataFiles(test.directory).anchor,
    }).make();
    const publicKeyText = encodePublicKeyText((await test.keys.auditKeys()).publicKey);
    const path = join(test.directory, 'audit.jsonl');
    const chunks: Buffer[] = [];
    for await (const chunk of exportJsonLines(test.store, { id: test.keys.installationId, publicKeyText })) {
      chunks.push(chunk);
      // The log goes on meanwhile; the export ends where it began.
      await record(3);
    }
    writeFileSync(path, Buffer.concat(chunks));
    const anchorPath = dataFiles(test.directory).anchor;
    expect(await verifyExport(path, { publicKeyText })).toMatchObject({ ok: true, badCount: 0 });
    const ahead = await verifyExport(path, { publicKeyText, anchorPath });
    // The anchor has gone on since the export: that it ends earlier is told, as it must be.
    expect(ahead.firstBad?.why).toContain('the anchor');
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    for (const [name, broken] of [
      ['cut', lines.slice(0, -2)],
      ['without a line', lines.toSpliced(400, 1)],
      ['swapped', lines.with(300, lines[301]!).with(301, lines[300]!)],
      ['edited', lines.with(200, lines[200]!.replace('user:ann', 'user:eve'))],
      ['damaged', lines.with(200, lines[200]!.slice(0, 40))],
      ['without a head', lines.filter((line) => !line.includes('strongroom.audit.chain'))],
    ] as const) {
      writeFileSync(path, broken.join('\n'));
      expect([name, (await verifyExport(path, { publicKeyText })).ok]).toEqual([name, false]);
    }
  });

  it('refuses to verify without a key, or something that is no export', async () => {
    const path = join(test.directory, 'other.txt');
    writeFileSync(path, 'hello\n');
    const publicKeyText = encodePublicKeyText((await test.keys.auditKeys()).publicKey);
    await expect(verifyExport(path, { publicKeyText })).rejects.toThrow(TypeError);
    await expect(verifyExport(path, { publicKeyText: 'strongroom-audit-v1:x' })).rejects.toMatchObject({
      code: 'validation_failed',
    });
    await expect(verifyDataDirectory(test.directory, { publicKeyText: ' ' })).rejects.toMatchObject({
      code: 'validation_failed',
    });
  });
});

describe('a checkpoint', () => {
  // The one in the background would make some of those that are counted.
  beforeAll(() => background.stop());
  afterAll(start);

  async function count(): Promise<number> {
    return (await test.store.db.selectFrom('audit_checkpoints').select('id').execute()).length;
  }

  it('is made once for what happened, and not for itself', async () => {
    const keys = await test.keys.auditKeys();
    const checkpointer = new Checkpointer({
      store: test.store,
      signing: new SigningKey(keys.signingSeed),
      installationId: keys.installationId,
      epoch: 1,
      anchorPath: dataFiles(test.directory).anchor,
    });
    await checkpointer.make();
    const before = await count();
    expect(await checkpointer.make()).toBe(false);
    expect(await count()).toBe(before);
    await record(1);
    expect(await checkpointer.makeWhenDue(Date.now() + 1)).toBe(false);
    expect(await checkpointer.makeWhenDue(Date.now() + 61_000)).toBe(true);
    // Once a minute also by a clock that was set back.
    await record(1);
    const setBack = Date.now() - 600_000;
    expect(await checkpointer.makeWhenDue(setBack, performance.now() + 1)).toBe(false);
    expect(await checkpointer.makeWhenDue(setBack, performance.now() + 61_000)).toBe(true);
    await record(1_000);
    expect(await checkpointer.makeWhenDue(Date.now() + 61_001)).toBe(true);
    expect(await count()).toBe(before + 3);
    // A clock set back does not turn their order around.
    await record(1);
    expect(await checkpointer.make(1_000)).toBe(true);
    expect(await verifyDataDirectory(test.directory)).toMatchObject({ ok: true, checkpoints: before + 4 });
  });
});

describe('anonymous denials', () => {
  it('become one record a minute', async () => {
    const denials = new DenialCounter(test.store);
    const minute = Date.UTC(2025, 0, 1, 12, 0);
    for (let index = 0; index < 500; index += 1) denials.count('authLogin', minute + index);
    denials.count('secretList', minute + 59_999);
    await denials.flush(minute + 59_999);
    denials.count('authLogin', minute + 60_001);
    await denials.flush(minute + 60_001);
    await denials.flush(minute + 120_001);
    const rows = await test.store.query('audit.list', { action: 'denials.anonymous', limit: 10 });
    const details = rows.map((row) => JSON.parse(Buffer.from(row.record).toString()).detail);
    expect(details).toEqual([
      { minute: '2025-01-01T12:01:00.000Z', total: 1, 'action:authLogin': 1 },
      { minute: '2025-01-01T12:00:00.000Z', total: 501, 'action:authLogin': 500, 'action:secretList': 1 },
    ]);
    expect(await test.store.db.selectFrom('denial_counts').selectAll().execute()).toEqual([]);
  });

  it('keep few names, whatever is refused', async () => {
    const denials = new DenialCounter(test.store);
    const minute = Date.UTC(2025, 0, 1);
    for (let index = 0; index < 1_000; index += 1) denials.count(`route${index}`, minute);
    await denials.flush(minute + 60_000);
    const [row] = await test.store.query('audit.list', { action: 'denials.anonymous', limit: 1 });
    const { detail } = JSON.parse(Buffer.from(row!.record).toString());
    expect(Object.keys(detail)).toHaveLength(35);
    expect(detail).toMatchObject({ total: 1_000, 'action:other': 968 });
  });
});

describe('the standard output as anchor', () => {
  it('gets whole lines through a pipe that is read slowly', async () => {
    const script = `
      import { AnchorWriter } from ${JSON.stringify(new URL('./anchor.ts', import.meta.url).href)};
      import { SigningKey } from '@strongroom/crypto';
      const writer = new AnchorWriter({ path: null, isOnStdout: true }, new SigningKey(new Uint8Array(32).fill(1)), 1);
      process.stdout.write('{"level":"info"}\\n');
      for (let sequence = 1; sequence <= 600; sequence += 1)
        writer.append({ chain: 'chn_' + '0'.repeat(26), sequence, hash: 'ab'.repeat(32), at: 0, epoch: 1 });
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      cwd: import.meta.dirname,
      maxBuffer: 1 << 24,
    });
    const outside = join(test.directory, 'collected.log');
    writeFileSync(outside, stdout);
    const lines = stdout.split('\n').filter((line) => line.startsWith('{"type":"strongroom.audit.anchor"'));
    expect(lines).toHaveLength(600);
  });
});

describe('a log that was edited', () => {
  it('names what was edited in the file', async () => {
    await record(10);
    await background.stop();
    await test.store.close();
    const database = new DatabaseSync(dataFiles(test.directory).database);
    const row = database
      .prepare('select chain_id, sequence, record from audit_records where action = ? limit 1 offset 4')
      .get('secret.list')!;
    const edited = Buffer.from(row['record'] as Uint8Array)
      .toString()
      .replace('allowed', 'Allowed');
    database
      .prepare('update audit_records set record = ? where chain_id = ? and sequence = ?')
      .run(Buffer.from(edited), row['chain_id']!, row['sequence']!);
    database.close();
    const report = await verifyDataDirectory(test.directory);
    expect(report.firstBad).toMatchObject({ chain: row['chain_id'], sequence: row['sequence'] });
    await test.reopen();
    await start();
  });
});
