// What a record costs, and how fast a log of 10⁶ records is verified, in bounded memory.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { SigningKey } from '@strongroom/crypto';
import { type AuditRow, createAuditChain } from '../packages/server/src/audit/chain.ts';
import { publishPublicKey } from '../packages/server/src/audit/public-key-file.ts';
import { verifyDataDirectory } from '../packages/server/src/audit/verify-files.ts';
import { dataFiles } from '../packages/server/src/store/data-directory.ts';
import { median } from './report.ts';
import type { BenchRow } from './row.ts';

const recordCount = 1_000_000;
const batchSize = 32;
const signing = new SigningKey(new Uint8Array(32).fill(1));
const event = {
  principal: 'usr_06h06t05jpt0574tt7buvrqai0',
  principalName: 'service-account:finance-etl',
  action: 'launch.resolve',
  outcome: 'allowed',
  scope: { id: 'dom_06h06t05jpt0574tt7buvrqai0', name: 'finance' },
  object: { type: 'secret', id: 'sec_06h06t05jpt0574tt7buvrqai0', name: 'db-password' },
  requestId: 'req_06h06t05jpt0574tt7buvrqai0',
  network: '10.1.2.3',
  launch: 'lch_06h06t05jpt0574tt7buvrqai0',
  reference: 'secret://domain/managed/db-password',
  source: 'managed',
  version: '1.7',
  because: ['preset:MEMBER', 'bundle:default'],
} as const;

function openChain(directory: string) {
  return createAuditChain({
    keys: {
      installationId: 'ins_bench',
      macTermId: 'term',
      macKey: new Uint8Array(32).fill(2),
      signingTermId: 'sign',
      signingSeed: new Uint8Array(32).fill(1),
      publicKey: signing.publicKey,
    },
    epoch: 1,
    anchor: { path: dataFiles(directory).anchor, isOnStdout: false },
    opening: { checkpoint: null, heads: [] },
  });
}

/** Microseconds of processor time a call of `work`: other load on the machine does not count. */
function microseconds(count: number, work: () => void): number {
  const rounds: number[] = [];
  for (let round = 0; round < 7; round += 1) {
    const start = process.cpuUsage();
    for (let index = 0; index < count; index += 1) work();
    const { user, system } = process.cpuUsage(start);
    rounds.push((user + system) / count);
  }
  return median(rounds);
}

function fill(directory: string): void {
  const database = new DatabaseSync(dataFiles(directory).database);
  database.exec(`
    pragma journal_mode = wal; pragma synchronous = off;
    create table audit_chains (id text primary key, head_sequence integer, head_hash blob);
    create table audit_checkpoints (id text primary key, at integer, document blob, signature blob, key_id text);
    create table audit_records (chain_id text, sequence integer, at integer, record blob, hash blob, mac blob, scope_id text,
      principal_id text, action text, outcome text, primary key (chain_id, sequence)) without rowid;
    begin;
  `);
  const insert = database.prepare('insert into audit_records values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const chain = openChain(directory);
  let row: AuditRow | undefined;
  for (let index = 1; index <= recordCount; index += 1) {
    row = chain.append(event, Date.now());
    insert.run(
      row.chain_id,
      row.sequence,
      row.at,
      row.record,
      row.hash,
      row.mac,
      row.scope_id,
      row.principal_id,
      row.action,
      row.outcome,
    );
    if (index % batchSize === 0) chain.committed();
  }
  chain.committed();
  database
    .prepare('insert into audit_chains values (?, ?, ?)')
    .run(chain.chainId, row?.sequence ?? 0, row?.hash ?? null);
  database.exec('commit');
  database.close();
}

export async function run(): Promise<BenchRow[]> {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
  try {
    const chain = openChain(directory);
    const append = microseconds(20_000, () => void chain.append(event, 1_735_689_600_000));
    const anchored = microseconds(2_000, () => {
      chain.append(event, 1_735_689_600_000);
      chain.committed();
    });
    rmSync(dataFiles(directory).anchor);
    publishPublicKey(join(directory, 'audit.pub'), signing.publicKey);
    fill(directory);
    const before = process.memoryUsage().rss;
    let peak = before;
    const sampler = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss);
    }, 50);
    const start = performance.now();
    const report = await verifyDataDirectory(directory);
    const seconds = (performance.now() - start) / 1_000;
    clearInterval(sampler);
    peak = Math.max(peak, process.memoryUsage().rss);
    if (!report.ok || report.records !== recordCount) throw new Error('The log does not verify');
    const perSecond = recordCount / seconds;
    const megabytes = (peak - before) / 2 ** 20;
    return [
      { name: 'audit: record, hash and MAC', value: append, unit: 'µs CPU', goal: '≤ 25 µs', met: append <= 25 },
      {
        name: 'audit: the same with an anchor line each',
        value: anchored,
        unit: 'µs',
        goal: '≤ 150 µs',
        met: anchored <= 150,
      },
      {
        name: 'audit: verify 10⁶ records',
        value: perSecond,
        unit: 'records/s',
        goal: '≥ 30,000',
        met: perSecond >= 30_000,
      },
      {
        name: 'audit: memory to verify 10⁶ records',
        value: megabytes,
        unit: 'MiB',
        goal: '≤ 200 MiB',
        met: megabytes <= 200,
      },
    ];
  } finally {
    rmSync(directory, { recursive: true });
  }
}
