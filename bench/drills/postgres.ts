// PostgreSQL killed under load, and held up: no launch without its audit record, no acknowledged write lost, and the server
// goes on by itself when the database is back.
//
//     node bench/drills/postgres.ts [kills=20]
//
// A kill is SIGKILL of one of its processes at a random moment: PostgreSQL then drops all connections and recovers from its
// log. Half of the times it is also made to wait, first, behind a lock on the whole audit log: what can't be written in time
// is answered 503, `/healthz` goes on answering, and `/readyz` says what is missing. Before all of it the pool for reading is used up.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '@strongroom/sdk';
import { verifyDataDirectory } from '../../packages/server/src/audit/verify-files.ts';
import { postgresUnavailable, startPostgres } from '../../packages/server/testing/postgres.ts';
import { createServerProcess, type ServerProcess } from '../server-process.ts';
import { asAdministrator, requireHealth, untilReady } from './database.ts';
import { Launches } from './launches.ts';
import { addReader, domain, Ledger, outages } from './ledger.ts';

const kills = Number(process.argv[2] ?? 20);
const writers = 6;
const launchers = 3;
/** More than the pool has connections. */
const readers = 40;
/** How long the log is locked: more than a write has. */
const lockMilliseconds = 7_000;
const launches = new Launches();
const ledger = new Ledger();

async function main(): Promise<void> {
  const reason = postgresUnavailable();
  if (reason !== undefined) throw new Error(`No PostgreSQL: ${reason}`);
  const postgres = await startPostgres({ isDurable: true });
  const url = await postgres.createDatabase('code-point');
  const server = await createServerProcess({
    STRONGROOM_DATABASE_URL: url,
    STRONGROOM_LIMITS_REQUESTS_PER_MINUTE: '1000000',
    STRONGROOM_LIMITS_LAUNCHES_PER_MINUTE: '1000000',
  });
  try {
    await server.start();
    const admin = createClient({ url: server.url, token: server.token });
    await admin.createDomain({ body: { name: domain } });
    await launches.prepare(admin);
    const reader = await addReader(admin, server.url);
    await usePoolUp(server, url);
    for (let kill = 1; kill <= kills; kill += 1) {
      await round(server, reader, url, kill);
      console.log(`${kill} kills, ${ledger.acknowledgements} acknowledged writes, ${launches.delivered.size} launches`);
    }
    await ledger.compare(reader);
    await launches.requireRecords(url);
    await server.end('SIGTERM');
    const report = await verifyDataDirectory(join(server.directory, 'data'), { databaseUrl: url });
    if (!report.ok) throw new Error(`The audit log does not verify: ${JSON.stringify(report.firstBad)}`);
    console.log(
      `${kills} kills: ${ledger.acknowledgements} acknowledged writes, none lost; ${launches.delivered.size} launches, none without its record; ${report.records} audit records verify`,
    );
  } finally {
    await server.end('SIGKILL');
    rmSync(server.directory, { recursive: true, force: true });
    await postgres.stop();
  }
}

async function round(server: ServerProcess, reader: Client, url: string, kill: number): Promise<void> {
  const stop = new AbortController();
  const working = [
    ...Array.from({ length: writers }, async (_, n) =>
      ledger.write(server, `writer-${n}-round-${kill}`, stop.signal, outages),
    ),
    ...Array.from({ length: launchers }, async () => launches.run(reader, stop.signal)),
  ];
  await sleep(100 + Math.random() * 900);
  if (kill % 2 === 0) await lockUp(server, url);
  await killOne(url);
  await requireHealth(server);
  stop.abort();
  await Promise.all(working);
  await untilReady(server);
}

/**
 * A table that lists read is locked for longer than a read may take, and more is asked than there are connections: what can't
 * be read in time is 503, and what needs no database goes on.
 */
async function usePoolUp(server: ServerProcess, url: string): Promise<void> {
  const list = async (): Promise<string> => {
    const answer = await fetch(`${server.url}/v1/domains/${domain}/secrets`, {
      headers: { authorization: `Bearer ${server.token}` },
    });
    const { code } = (await answer.json()) as { readonly code?: string };
    return `${answer.status} ${code ?? ''}`.trim();
  };
  const codes = await asAdministrator(url, async (client) => {
    await client.query('begin');
    await client.query('lock table secrets in access exclusive mode');
    const asking = Promise.all(Array.from({ length: readers }, list));
    const answered = asking.then(() => true);
    while (!(await Promise.race([answered, sleep(500, false)]))) {
      await requireHealth(server);
      const ready = await fetch(`${server.url}/readyz`, { signal: AbortSignal.timeout(10_000) });
      await ready.arrayBuffer();
      if (ready.status !== 200 && ready.status !== 503) throw new Error(`/readyz answered ${ready.status}`);
    }
    await client.query('rollback');
    return asking;
  });
  const wrong = codes.filter((code) => code !== '503 storage_unavailable' && code !== '503 deadline_exceeded');
  if (wrong.length > 0) throw new Error(`A list that could not be read was answered ${wrong[0]}`);
  await untilReady(server);
  if ((await list()) !== '200') throw new Error('Nothing can be read when the lock is gone');
  console.log(`${codes.length} lists while the pool was used up: 503`);
}

/** A long lock, as a careless migration or somebody at a prompt takes it. */
async function lockUp(server: ServerProcess, url: string): Promise<void> {
  await asAdministrator(url, async (client) => {
    await client.query('begin');
    await client.query('lock table audit_records in access exclusive mode');
    const before = ledger.acknowledgements;
    const until = performance.now() + lockMilliseconds;
    while (performance.now() < until) {
      await requireHealth(server);
      await sleep(500);
    }
    // One batch may have been through when the lock came.
    if (ledger.acknowledgements > before + writers) throw new Error('Writes were acknowledged without the audit log');
    await client.query('rollback');
  });
}

/** SIGKILL to a process of PostgreSQL that serves the drill's own server. */
async function killOne(url: string): Promise<void> {
  await asAdministrator(url, async (client) => {
    const { rows } = await client.query<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    );
    const victim = rows[Math.floor(Math.random() * rows.length)];
    if (victim === undefined) throw new Error('The server has no connection that could be killed');
    process.kill(victim.pid, 'SIGKILL');
    // The crash takes this connection along.
    await new Promise<void>((resolve) => client.once('end', () => resolve()));
  });
}

await main();
