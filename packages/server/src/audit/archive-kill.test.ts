import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kekFromBytes, SigningKey } from '@strongroom/crypto';
import { afterAll, expect, it } from 'vitest';
import { testChild } from '../../testing/programs.ts';
import { writeDeadlineMilliseconds } from '../../testing/write-deadline.ts';
import { openKeyring } from '../keys/keyring.ts';
import { dataFiles } from '../store/data-directory.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import { Checkpointer } from './checkpoint.ts';
import { publicKeyFile, publishPublicKey } from './public-key-file.ts';
import { verifyDataDirectory } from './verify-files.ts';

const child = testChild('archive-kill-child');
const root = mkdtempSync(join(tmpdir(), 'strongroom-archive-kill-'));
const directory = join(root, 'data');
const archive = join(root, 'archive');
const kills = 3;
const batches = 16;
const recordsPerBatch = 25;

afterAll(() => rmSync(root, { recursive: true }));

/** @returns how many records there are */
async function prepare(): Promise<number> {
  mkdirSync(directory);
  mkdirSync(archive);
  const kek = randomBytes(32);
  writeFileSync(join(directory, 'kek'), kek);
  const store = await openSqliteStore({ directory, writeDeadlineMilliseconds });
  const keys = await openKeyring(store, kekFromBytes(kek));
  const material = await keys.auditKeys();
  const anchorPath = dataFiles(directory).anchor;
  await store.startAudit({ keys: material, epoch: 1, anchor: { path: anchorPath, isOnStdout: false } });
  publishPublicKey(publicKeyFile(anchorPath), material.publicKey);
  const signing = new SigningKey(material.signingSeed);
  const checkpointer = new Checkpointer({ store, signing, installationId: keys.installationId, epoch: 1, anchorPath });
  const event = { principal: 'usr_ann', principalName: 'user:ann', action: 'secret.list', outcome: 'allowed' } as const;
  for (let batch = 0; batch < batches; batch += 1) {
    await store.execute('access.record', undefined, { audit: Array.from({ length: recordsPerBatch }, () => event) });
    await checkpointer.make();
  }
  const { length } = await store.query('audit.list', { limit: 10_000 });
  await store.close();
  return length;
}

/** Archives until it is done, or killed some milliseconds after it began. */
function archiveFor(milliseconds: number | null): Promise<'done' | 'killed'> {
  const { promise, resolve, reject } = Promise.withResolvers<'done' | 'killed'>();
  const process_ = spawn(process.execPath, [child, directory, archive], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let errors = '';
  process_.stdout.on('data', (chunk: Buffer) => {
    const wasReady = out !== '';
    out += chunk.toString();
    if (!wasReady && milliseconds !== null) setTimeout(() => process_.kill('SIGKILL'), milliseconds);
  });
  process_.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  process_.once('error', reject);
  process_.once('close', (code, signal) => {
    if (out.includes('done')) resolve('done');
    else if (signal === 'SIGKILL') resolve('killed');
    else reject(new Error(`it ended with ${String(code)}: ${errors}`));
  });
  return promise;
}

it('loses nothing however often it is killed, and comes to its end', async () => {
  const records = await prepare();
  for (let kill = 0; kill < kills; kill += 1) {
    await archiveFor(Math.random() * 250);
    const report = await verifyDataDirectory(directory, { archives: [archive] });
    expect(report.bad).toEqual([]);
    expect(report.records).toBe(records + report.archivedCount);
  }
  expect(await archiveFor(null)).toBe('done');
  const report = await verifyDataDirectory(directory, { archives: [archive] });
  expect(report.bad).toEqual([]);
  expect(report.archivedCount).toBeGreaterThanOrEqual(6);
  expect(report.records).toBe(records + report.archivedCount);
  expect(report.archived.every(({ isRead }) => isRead)).toBe(true);
  expect(readdirSync(archive)).toHaveLength(2 * report.archivedCount);
});
