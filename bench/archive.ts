// A log that was never archived, archived in one go: what it takes a record, and whether time or memory grow with the log.
// The records are made by the write lane; 10⁶ of them take some minutes.
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kekFromBytes, SigningKey } from '@strongroom/crypto';
import { archiveLease, archiveRecords } from '../packages/server/src/audit/archive.ts';
import { Checkpointer } from '../packages/server/src/audit/checkpoint.ts';
import { publicKeyFile, publishPublicKey } from '../packages/server/src/audit/public-key-file.ts';
import { verifyDataDirectory } from '../packages/server/src/audit/verify-files.ts';
import { openKeyring } from '../packages/server/src/keys/keyring.ts';
import { dataFiles } from '../packages/server/src/store/data-directory.ts';
import { withLease } from '../packages/server/src/store/leases.ts';
import { openSqliteStore } from '../packages/server/src/store/sqlite.ts';
import type { OpenStore } from '../packages/server/src/store/store.ts';
import type { BenchRow } from './row.ts';

const sizes = [100_000, 1_000_000] as const;
const recordsAtOnce = 1_000;
const recordsPerCheckpoint = 20_000;
const maxMegabytes = 200;
const leaseMilliseconds = 60_000;

interface Measured {
  /** Of processor time; other load on the machine does not count. */
  readonly microsecondsPerRecord: number;
  readonly seconds: number;
  /** More than before, at most. */
  readonly megabytes: number;
}

export async function run(): Promise<BenchRow[]> {
  const small = await measure(sizes[0]);
  const large = await measure(sizes[1]);
  const growth = Math.log(large.microsecondsPerRecord / small.microsecondsPerRecord) / Math.log(sizes[1] / sizes[0]);
  return [
    { name: 'archive: time a record, 10⁵ → 10⁶', value: growth, unit: 'exponent', goal: '≤ 0.15', met: growth <= 0.15 },
    {
      name: 'archive: memory for 10⁶ records in one go',
      value: large.megabytes,
      unit: 'MiB',
      goal: `≤ ${maxMegabytes} MiB`,
      met: large.megabytes <= maxMegabytes,
    },
    { name: 'archive: 10⁶ records', value: large.seconds, unit: 's', goal: '', met: true },
    { name: 'archive: a record', value: large.microsecondsPerRecord, unit: 'µs CPU', goal: '', met: true },
  ];
}

async function measure(records: number): Promise<Measured> {
  const root = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
  const [data, archive] = [join(root, 'data'), join(root, 'archive')];
  for (const directory of [data, archive]) mkdirSync(directory, { mode: 0o700 });
  const store = await openSqliteStore({ directory: data });
  try {
    const keys = await openKeyring(store, kekFromBytes(randomBytes(32)));
    const auditKeys = await keys.auditKeys();
    const { anchor } = dataFiles(data);
    publishPublicKey(publicKeyFile(anchor), auditKeys.publicKey);
    await store.startAudit({ keys: auditKeys, epoch: 1, anchor: { path: anchor, isOnStdout: false } });
    const signing = new SigningKey(auditKeys.signingSeed);
    const { installationId } = keys;
    const checkpointer = new Checkpointer({ store, signing, installationId, epoch: 1, anchorPath: anchor });
    for (let written = 0; written < records; written += recordsPerCheckpoint) {
      await write(store, recordsPerCheckpoint);
      await checkpointer.make();
    }
    // The newest checkpoint stays, and so it covers nothing that is to go.
    await write(store, 1);
    await checkpointer.make();
    const measured = await watched(records, async () => {
      const options = { directory: archive, before: Date.now() + leaseMilliseconds, principalName: 'system' };
      const outcome = await withLease(store, archiveLease, 'bench', leaseMilliseconds, (lease) =>
        archiveRecords({ store, signing, installationId }, { ...options, lease }),
      );
      const archived = outcome.held ? outcome.result.reduce((sum, segment) => sum + segment.records, 0) : 0;
      if (archived < records) throw new Error(`${archived} of ${records} records were archived`);
    });
    const report = await verifyDataDirectory(data, { archives: [archive] });
    if (!report.ok) throw new Error('The log does not verify with its archive');
    return measured;
  } finally {
    await store.close();
    rmSync(root, { recursive: true });
  }
}

async function write(store: OpenStore, count: number): Promise<void> {
  const event = {
    principal: 'usr_ann',
    principalName: 'user:ann',
    action: 'secret.list',
    outcome: 'allowed',
    scope: { id: 'dom_finance', name: 'finance' },
  } as const;
  for (let written = 0; written < count; written += recordsAtOnce)
    await Promise.all(
      Array.from({ length: Math.min(recordsAtOnce, count - written) }, (_, index) =>
        store.execute('access.record', undefined, { audit: [{ ...event, requestId: `req-${written + index}` }] }),
      ),
    );
}

async function watched(records: number, work: () => Promise<void>): Promise<Measured> {
  const before = process.memoryUsage().rss;
  let peak = before;
  const sampler = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 50);
  const start = performance.now();
  const startCpu = process.cpuUsage();
  try {
    await work();
  } finally {
    clearInterval(sampler);
  }
  const { user, system } = process.cpuUsage(startCpu);
  peak = Math.max(peak, process.memoryUsage().rss);
  return {
    microsecondsPerRecord: (user + system) / records,
    seconds: (performance.now() - start) / 1_000,
    megabytes: (peak - before) / 2 ** 20,
  };
}
