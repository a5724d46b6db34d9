import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type PostgresServer, startPostgres } from './postgres.ts';

/** A primary and a standby with synchronous replication, as an operator has to set it up: no commit is answered by one alone. */
export interface ReplicatedPostgres {
  /** Of a database on both, as `databaseUrl` has it; the first primary comes first. */
  readonly url: string;
  readonly primaryUrl: string;
  readonly standbyUrl: string;
  /** SIGKILL to the primary and all its processes. */
  killPrimary(): Promise<void>;
  /** Makes the standby a primary. It replicates to nobody then. */
  promote(): Promise<void>;
  /** Starts the killed one over its own data: it takes itself for the primary, as it did before. */
  revive(): Promise<void>;
  stop(): Promise<void>;
}

export async function startReplicatedPostgres(): Promise<ReplicatedPostgres> {
  const primary = await startPostgres({ isDurable: true });
  const running = [primary];
  const first = await primary.createDatabase('code-point');
  const standby = await startPostgres({ isDurable: true, makeData: (data) => copyOf(primary, first, data) });
  running.push(standby);
  const at = (hosts: string): string => first.replace(/host=[^&]*/, `host=${hosts.replaceAll('/', '%2F')}`);
  const primaryUrl = at(primary.directory);
  const standbyUrl = at(standby.directory);
  await until('the standby follows', () =>
    ask(primaryUrl, `select 1 from pg_stat_replication where state = 'streaming'`),
  );
  await ask(primaryUrl, `alter system set synchronous_standby_names = 'ANY 1 (*)'`);
  await ask(primaryUrl, 'select pg_reload_conf()');
  await until('the replication is synchronous', () =>
    ask(primaryUrl, `select 1 from pg_stat_replication where sync_state in ('sync', 'quorum')`),
  );
  return {
    url: at(`${primary.directory},${standby.directory}`),
    primaryUrl,
    standbyUrl,
    async killPrimary() {
      const rows = await ask(primaryUrl, 'select pid from pg_stat_activity where pid <> pg_backend_pid()');
      // The first: it would start the others anew.
      for (const pid of [primary.pid, ...rows.map((row) => Number(row['pid']))]) kill(pid);
    },
    async promote() {
      await ask(standbyUrl, 'select pg_promote()');
    },
    async revive() {
      running.push(await startPostgres({ isDurable: true, again: primary }));
    },
    async stop() {
      for (const server of running.toReversed()) await server.stop();
    },
  };
}

/** As pg_basebackup does it, which is not in the package: https://www.postgresql.org/docs/current/continuous-archiving.html. */
async function copyOf(primary: PostgresServer, url: string, data: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`select pg_backup_start('standby', true)`);
    cpSync(join(primary.directory, 'data'), data, { recursive: true, preserveTimestamps: true });
    rmSync(join(data, 'postmaster.pid'));
    const { rows } = await client.query<{ label: string }>('select labelfile as label from pg_backup_stop(false)');
    writeFileSync(join(data, 'backup_label'), rows[0]?.label ?? '');
    writeFileSync(join(data, 'standby.signal'), '');
    writeFileSync(
      join(data, 'postgresql.auto.conf'),
      `primary_conninfo = 'host=${primary.directory} user=postgres application_name=standby'\n`,
    );
  } finally {
    await client.end();
  }
}

async function ask(url: string, sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function until(what: string, found: () => Promise<readonly unknown[]>): Promise<void> {
  for (const end = performance.now() + 100_000; (await found()).length === 0; await sleep(50))
    if (performance.now() > end) throw new Error(`Waited for too long until ${what}`);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // One whose client had gone has ended by itself.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
