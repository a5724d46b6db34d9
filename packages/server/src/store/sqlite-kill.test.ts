import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { compileCache, testChild } from '../../testing/programs.ts';
import type { TestCommands, TestQueries } from '../../testing/store-program.ts';
import { readAnchorTail } from '../audit/anchor.ts';
import { dataFiles } from './data-directory.ts';
import { openSqliteStore } from './sqlite.ts';

const child = testChild('store-kill-child');
const program = new URL('../../testing/store-program.ts', import.meta.url);
const kills = 5;
const directory = mkdtempSync(join(tmpdir(), 'strongroom-kill-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs the writer, kills it after a random number of acknowledgements, and returns what it was told is done. */
async function writeUntilKilled(run: string): Promise<string[]> {
  const env = compileCache;
  const writer = spawn(process.execPath, [child, directory, run], { stdio: ['ignore', 'pipe', 'pipe'], env });
  let output = '';
  let errors = '';
  writer.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString('utf8');
  });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => writer.on('close', (_code, signal) => resolve(signal)));
  // Anywhere between two acknowledgements, or in one.
  const enough = 2 + Math.floor(Math.random() * 60);
  let isEnough = false;
  for await (const chunk of writer.stdout) {
    output += String(chunk);
    if (isEnough || output.split(`${run}-`).length <= enough) continue;
    isEnough = true;
    void sleep(Math.random() * 20).then(() => writer.kill('SIGKILL'));
  }
  expect({ signal: await ended, errors }).toEqual({ signal: 'SIGKILL', errors: '' });
  return output.split('\n').slice(1, -1);
}

test(`nothing acknowledged is lost in ${kills} kills, and every chain is whole`, async () => {
  writeFileSync(join(directory, 'kek'), randomBytes(32));
  const acknowledged: string[] = [];
  for (let kill = 0; kill < kills; kill += 1) acknowledged.push(...(await writeUntilKilled(`run${kill}`)));
  expect(acknowledged.length).toBeGreaterThan(kills);

  const store = await openSqliteStore<TestCommands, TestQueries>({ directory, program });
  const kept = await store.query('test.list', { prefix: 'run' });
  const rows = await store.db
    .selectFrom('audit_records')
    .select(['chain_id', 'sequence', 'record', 'hash'])
    .orderBy('chain_id')
    .orderBy('sequence')
    .execute();
  const chains = await store.db.selectFrom('audit_chains').selectAll().execute();
  await store.close();

  const keys = new Set(kept.map((row) => row.key));
  expect(acknowledged.filter((key) => !keys.has(key))).toEqual([]);
  // The change and its record are one: as many of the one as of the other.
  const audited = rows.map(
    (row) => (JSON.parse(Buffer.from(row.record).toString('utf8')) as { object: { id: string } }).object.id,
  );
  expect(new Set(audited)).toEqual(keys);
  expect(chains).toHaveLength(kills);
  for (const chain of chains) {
    const own = rows.filter((row) => row.chain_id === chain.id);
    expect(own.map((row) => row.sequence)).toEqual(own.map((_, index) => index + 1));
    expect(chain.head_sequence).toBe(own.length);
    expect(Buffer.from(chain.head_hash)).toEqual(Buffer.from(own.at(-1)?.hash ?? []));
  }
  // The anchor is never ahead of the database.
  const anchored = readAnchorTail(dataFiles(directory).anchor);
  const last = chains.find((chain) => chain.id === anchored?.chain);
  expect(anchored?.sequence).toBeLessThanOrEqual(last?.head_sequence ?? 0);
});
