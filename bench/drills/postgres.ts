// PostgreSQL killed under load, and held up: no launch without its audit record, no acknowledged write lost, and the server
// goes on by itself when the database is back.
//
//     node bench/drills/postgres.ts [kills=20]
//
// A kill is SIGKILL of one of its processes at a random moment: PostgreSQL then drops all connections and recovers from its
// log. Half of the times it is also made to wait, first, behind a lock on the whole audit log: what can't be written in time
// is answered 503, `/healthz` goes on answering, and `/readyz` says what is missing.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient, StrongroomError } from '@strongroom/sdk';
import { openLaunch } from '@strongroom/sdk/workload';
import pg from 'pg';
import { verifyDataDirectory } from '../../packages/server/src/audit/verify-files.ts';
import { postgresUnavailable, startPostgres } from '../../packages/server/testing/postgres.ts';
import { createServerProcess, type ServerProcess } from '../server-process.ts';
import { addReader, domain, Ledger } from './ledger.ts';

const kills = Number(process.argv[2] ?? 20);
const writers = 6;
const launchers = 3;
/** How long the log is locked: more than a write has. */
const lockMilliseconds = 7_000;
/** What a client may be told while the database is away; anything else ends the drill. */
const outages: readonly string[] = ['storage_unavailable', 'audit_unavailable', 'version_conflict'];

/** Launches whose values a workload has got. */
const delivered = new Set<string>();
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
    await admin.createDomainSecret({
      params: { domain },
      body: { key: 'launched', value: 'a value that is launched' },
    });
    const reader = await addReader(admin, server.url);
    for (let kill = 1; kill <= kills; kill += 1) {
      await round(server, reader, url, kill);
      console.log(`${kill} kills, ${ledger.acknowledgements} acknowledged writes, ${delivered.size} launches`);
    }
    await ledger.compare(reader);
    await requireRecords(url);
    await server.end('SIGTERM');
    const report = await verifyDataDirectory(join(server.directory, 'data'), { databaseUrl: url });
    if (!report.ok) throw new Error(`The audit log does not verify: ${JSON.stringify(report.firstBad)}`);
    console.log(
      `${kills} kills: ${ledger.acknowledgements} acknowledged writes, none lost; ${delivered.size} launches, none without its record; ${report.records} audit records verify`,
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
    ...Array.from({ length: launchers }, async () => launch(reader, stop.signal)),
  ];
  await sleep(100 + Math.random() * 900);
  if (kill % 2 === 0) await lockUp(server, url);
  await killOne(url);
  await requireHealth(server);
  stop.abort();
  await Promise.all(working);
  await untilReady(server);
}

async function launch(reader: Client, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const opened = await openLaunch(reader, {
        domain,
        references: [{ name: 'VALUE', reference: 'secret://domain/managed/launched' }],
      });
      await opened.resolve();
      delivered.add(opened.id);
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      if (![...outages, 'server_unreachable', 'deadline_exceeded'].includes(error.code)) throw error;
      await sleep(20);
    }
  }
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

async function asAdministrator(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

async function requireHealth(server: ServerProcess): Promise<void> {
  const answer = await fetch(`${server.url}/healthz`, { signal: AbortSignal.timeout(2_000) });
  if (!answer.ok) throw new Error(`/healthz answered ${answer.status}`);
}

async function untilReady(server: ServerProcess): Promise<void> {
  const until = performance.now() + 30_000;
  for (;;) {
    const answer = await fetch(`${server.url}/readyz`);
    await answer.arrayBuffer();
    if (answer.ok) return;
    if (performance.now() > until) throw new Error('The server did not get ready again in 30 s');
    await sleep(50);
  }
}

/** Whatever was delivered is on record. */
async function requireRecords(url: string): Promise<void> {
  await asAdministrator(url, async (client) => {
    const { rows } = await client.query<{ record: Buffer }>(
      `select record from audit_records where action = 'launch.resolve' and outcome = 'allowed'`,
    );
    const recorded = new Set(
      rows.map(({ record }) => (JSON.parse(record.toString('utf8')) as { launch?: string }).launch),
    );
    const missing = [...delivered].filter((id) => !recorded.has(id));
    if (missing.length > 0) throw new Error(`${missing.length} launches were delivered without a record`);
  });
}

await main();
