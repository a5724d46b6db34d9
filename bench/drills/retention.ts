// SIGKILL at random moments of the job that removes launches whose retention is over: each launch goes whole, with its run and its
// receipts, or stays whole; the audit log says of exactly those that they went, and verifies; in the end all are gone that are to go.
//
//     node bench/drills/retention.ts [kills=20]
//
// With the arguments `child DIRECTORY` it is that job, until it is done or killed.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { kekFromBytes, SigningKey } from '@strongroom/crypto';
import { Checkpointer } from '../../packages/server/src/audit/checkpoint.ts';
import { publicKeyFile, publishPublicKey } from '../../packages/server/src/audit/public-key-file.ts';
import { verifyDataDirectory } from '../../packages/server/src/audit/verify-files.ts';
import { openKeyring } from '../../packages/server/src/keys/keyring.ts';
import { removeOldLaunches } from '../../packages/server/src/launches/retention.ts';
import { dataFiles } from '../../packages/server/src/store/data-directory.ts';
import { globalScopeId } from '../../packages/server/src/store/ids.ts';
import { withLease } from '../../packages/server/src/store/leases.ts';
import { openSqliteStore } from '../../packages/server/src/store/sqlite.ts';

const [first = '20', place = ''] = process.argv.slice(2);
const writeDeadlineMilliseconds = 30_000;
const before = Date.now() - 90 * 24 * 60 * 60_000;
/** Launches to go, in each round that is killed; and those that stay, all along. */
const [old, recent] = [1_500, 100];

await (first === 'child' ? remove(place) : drill(Number(first)));

async function drill(kills: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-retention-'));
  try {
    writeFileSync(join(directory, 'kek'), randomBytes(32), { mode: 0o600 });
    await (await open(directory)).store.close();
    addLaunches(directory, 'stays', recent, before + 60_000);
    let cutShort = 0;
    let gone = 0;
    for (let kill = 1; kill <= kills; kill += 1) {
      addLaunches(directory, `round-${kill}`, old, before - 60_000);
      const job = spawn(process.execPath, [fileURLToPath(import.meta.url), 'child', directory], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exited = once(job, 'exit');
      const [said] = (await Promise.race([once(job.stdout, 'data'), exited])) as [unknown];
      if (String(said) !== 'ready\n') throw new Error('The job did not begin');
      await sleep(Math.random() * 400);
      job.kill('SIGKILL');
      await exited;
      gone = check(directory, kill * old);
      if (gone < kill * old) cutShort += 1;
    }
    await remove(directory);
    gone = check(directory, kills * old);
    if (gone !== kills * old) throw new Error(`${kills * old - gone} launches stayed`);
    const report = await verifyDataDirectory(directory);
    if (!report.ok) throw new Error(`The audit log does not verify: ${JSON.stringify(report.firstBad)}`);
    console.log(
      `${cutShort} of ${kills} kills came in the middle: ${gone} launches removed, each whole and on record; the other ${recent} are there; ${report.records} audit records verify`,
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function open(directory: string) {
  const store = await openSqliteStore({ directory, writeDeadlineMilliseconds });
  const keys = await openKeyring(store, kekFromBytes(readFileSync(join(directory, 'kek'))));
  const material = await keys.auditKeys();
  const anchorPath = dataFiles(directory).anchor;
  publishPublicKey(publicKeyFile(anchorPath), material.publicKey);
  await store.startAudit({ keys: material, epoch: 1, anchor: { path: anchorPath, isOnStdout: false } });
  const signing = new SigningKey(material.signingSeed);
  return {
    store,
    checkpointer: new Checkpointer({ store, signing, installationId: keys.installationId, epoch: 1, anchorPath }),
  };
}

/** The job, as the server does it, until nothing is left. */
async function remove(directory: string): Promise<void> {
  const { store, checkpointer } = await open(directory);
  writeSync(1, first === 'child' ? 'ready\n' : '');
  for (let isDone = false; !isDone;) {
    // That of one that was killed is over soon.
    const outcome = await withLease(store, 'job.remove-old-launches', `${process.pid}`, 300, (lease) =>
      removeOldLaunches(store, { before, lease, onRemoved: () => undefined }),
    );
    isDone = outcome.held;
  }
  await checkpointer.make();
  await store.close();
}

/** Launches that are over, each a run with two receipts. */
function addLaunches(directory: string, name: string, count: number, endedAt: number): void {
  const database = new DatabaseSync(dataFiles(directory).database);
  database.exec('begin');
  const put = (table: string, row: Readonly<Record<string, string | number>>): void => {
    const columns = Object.keys(row);
    const holes = columns.map(() => '?').join(', ');
    database.prepare(`insert into ${table} (${columns.join(', ')}) values (${holes})`).run(...Object.values(row));
  };
  for (let index = 0; index < count; index += 1) {
    const id = `lch_${name}-${index}`;
    const common = { scope_id: globalScopeId, subject_id: 'usr_drill', created_at: endedAt, ended_at: endedAt };
    put('launches', { id, ...common, kind: 'run', configuration_id: 'cfg_gone', requested: '[]', expires_at: endedAt });
    put('runs', {
      id,
      ...common,
      configuration_id: 'cfg_gone',
      configuration_name: 'gone',
      surface: 'spark-job',
      state: 'succeeded',
      runner: 'process',
      log_bytes: 0,
      log_cut: 0,
      revision: 1,
    });
    for (const key of ['one', 'two'])
      put('receipts', {
        launch_id: id,
        scope_id: globalScopeId,
        name: key,
        pointer: `/environment/${key}/secret`,
        reference: `secret://global/managed/${key}`,
        source_id: 'src_drill',
        target_key: key,
        outcome: 'resolved',
        milliseconds: 0,
        held: 0,
      });
  }
  database.exec('commit');
  database.close();
}

/** @returns how many are gone, of those that were ever to go. @throws Error for one that is there in part, or not on record */
function check(directory: string, everOld: number): number {
  const database = new DatabaseSync(dataFiles(directory).database);
  const number = (query: string): number => Number(Object.values(database.prepare(query).get() ?? {})[0]);
  const launches = number('select count(*) from launches');
  const parts = {
    runs: number('select count(*) from runs'),
    receipts: number('select count(*) from receipts') / 2,
    'runs of launches': number('select count(*) from runs join launches using (id)'),
    'receipts of launches': number('select count(*) from receipts join launches on launches.id = launch_id') / 2,
  };
  const kept = number("select count(*) from launches where id like 'lch_stays-%'");
  const recorded = number(
    `select coalesce(sum(json_extract(cast(record as text), '$.detail.launches')), 0) from audit_records where action = 'launch.remove'`,
  );
  database.close();
  for (const [what, found] of Object.entries(parts))
    if (found !== launches) throw new Error(`${launches} launches, and ${what}: ${found}`);
  const gone = everOld + recent - launches;
  if (kept !== recent) throw new Error(`${recent - kept} launches went before their time`);
  if (recorded !== gone) throw new Error(`${gone} launches are gone, and ${recorded} on record`);
  return gone;
}
