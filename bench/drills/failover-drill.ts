import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient, StrongroomError } from '@strongroom/sdk';
import { verifyDataDirectory } from '../../packages/server/src/audit/verify-files.ts';
import {
  type ReplicatedPostgres,
  startReplicatedPostgres,
} from '../../packages/server/testing/postgres-replication.ts';
import { createServerProcess, type ServerProcess } from '../server-process.ts';
import { asAdministrator, requireHealth, untilReady } from './database.ts';
import { Launches } from './launches.ts';
import { addReaderToken, domain, Ledger, outages } from './ledger.ts';

const writersEach = 3;
/** What a write may wait for at most, and some. */
const splitBrainMilliseconds = 12_000;

const settings = {
  STRONGROOM_LIMITS_REQUESTS_PER_MINUTE: '1000000',
  STRONGROOM_LIMITS_LAUNCHES_PER_MINUTE: '1000000',
};

/**
 * The primary is killed under load, its standby promoted, and the old primary comes back and takes itself for the primary. Of
 * three servers two know both, one of them sleeps through all of it; the third knows the old primary alone.
 *
 * @returns what was seen. @throws Error when a write was lost or made twice, or a launch has no record
 */
export async function failover(): Promise<string> {
  const postgres = await startReplicatedPostgres();
  const servers: ServerProcess[] = [];
  try {
    return await drill(postgres, servers);
  } finally {
    for (const server of servers) {
      await server.end('SIGKILL');
      rmSync(server.directory, { recursive: true, force: true });
    }
    await postgres.stop();
  }
}

async function drill(postgres: ReplicatedPostgres, servers: ServerProcess[]): Promise<string> {
  const start = async (databaseUrl: string): Promise<ServerProcess> => {
    const server = await createServerProcess({ ...settings, STRONGROOM_DATABASE_URL: databaseUrl });
    const [first] = servers;
    servers.push(server);
    if (first !== undefined) server.useKeyOf(first);
    await server.start();
    return server;
  };
  const awake = await start(postgres.url);
  const asleep = await start(postgres.url);
  const stale = await start(postgres.primaryUrl);
  const { token } = awake;
  const ledger = new Ledger();
  const launches = new Launches();
  const admin = createClient({ url: awake.url, token });
  await admin.createDomain({ body: { name: domain } });
  await launches.prepare(admin);
  const readerToken = await addReaderToken(admin);
  const readerOf = (server: ServerProcess): Client => createClient({ url: server.url, token: readerToken });
  const reader = readerOf(awake);

  const stop = new AbortController();
  const working = [awake, asleep, stale].flatMap((server, at) => [
    ...Array.from({ length: writersEach }, async (_, n) =>
      keepWriting(ledger, { url: server.url, token }, `${at}-${n}`, stop.signal),
    ),
    launches.run(readerOf(server), stop.signal),
  ]);
  await untilMore(ledger, 50);
  await sleep(Math.random() * 500);
  asleep.child.kill('SIGSTOP');
  await postgres.killPrimary();
  const before = ledger.acknowledgements;
  await requireHealth(awake);
  await sleep(500);
  await postgres.promote();
  const promoted = performance.now();
  await untilReady(awake);
  await untilMore(ledger, before);
  const outage = performance.now() - promoted;

  await postgres.revive();
  const revived = await recordsAt(postgres.primaryUrl);
  await requireHealth(stale);
  const deliveredBefore = launches.delivered.size;
  await requireRefused(stale, token, readerOf(stale), launches);
  asleep.child.kill('SIGCONT');
  await untilReady(asleep);
  // Both servers take writes now; whoever has to choose anew, chooses the promoted one.
  await disconnectAll(postgres.standbyUrl);
  await untilReady(awake);
  const late = await start(postgres.url);
  await createClient({ url: late.url, token }).createDomainSecret({
    params: { domain },
    body: { key: 'late', value: 'x' },
  });
  await untilMore(ledger, ledger.acknowledgements);
  stop.abort();
  await Promise.all(working);
  if ((await recordsAt(postgres.primaryUrl)) !== revived) throw new Error('The old primary has taken records');

  await ledger.compare(reader);
  await ledger.requireWrittenOnce(admin);
  await launches.requireRecords(postgres.standbyUrl);
  if (launches.delivered.size <= deliveredBefore) throw new Error('Nothing was launched after the failover');
  let records = 0;
  for (const server of [awake, asleep, late, stale]) {
    await server.end(server === stale ? 'SIGKILL' : 'SIGTERM');
    const report = await verifyDataDirectory(join(server.directory, 'data'), { databaseUrl: postgres.standbyUrl });
    if (!report.ok) throw new Error(`The audit log does not verify: ${JSON.stringify(report.firstBad)}`);
    records = report.records;
  }
  return `${before} writes before, ${ledger.acknowledgements} in all, none lost and none made twice; ${launches.delivered.size} launches, none without its record; written again ${Math.round(outage)} ms after the promotion; the old primary took nothing; ${records} audit records verify`;
}

/** Over every fault: a new attempt is a new write. */
async function keepWriting(
  ledger: Ledger,
  place: { readonly url: string; readonly token: string },
  key: string,
  signal: AbortSignal,
): Promise<void> {
  for (; !signal.aborted; await sleep(20)) await ledger.write(place, key, signal, outages);
}

/** A server that sees the old primary alone reads there, and acknowledges and delivers nothing. */
async function requireRefused(stale: ServerProcess, token: string, reader: Client, launches: Launches): Promise<void> {
  const until = performance.now() + splitBrainMilliseconds;
  let refused = 0;
  for (let n = 0; performance.now() < until; n += 1) {
    const client = createClient({ url: stale.url, token, timeoutMilliseconds: 10_000 });
    const [written, launched] = await Promise.all([
      client.createDomainSecret({ params: { domain }, body: { key: `split-${n}`, value: 'x' } }).then(
        () => undefined,
        (error: unknown) => error,
      ),
      launches.once(reader),
    ]);
    if (!(written instanceof StrongroomError))
      throw new Error('The old primary has acknowledged a write', { cause: written });
    if (launched === undefined) throw new Error('A value was delivered by the old primary');
    refused += 1;
    await requireHealth(stale);
  }
  if (refused === 0) throw new Error('Nothing was asked of the old primary');
}

async function untilMore(ledger: Ledger, than: number): Promise<void> {
  for (const until = performance.now() + 30_000; ledger.acknowledgements <= than; await sleep(20))
    if (performance.now() > until) throw new Error('Nothing was written in 30 s');
}

async function recordsAt(url: string): Promise<number> {
  return asAdministrator(url, async (client) => {
    const { rows } = await client.query<{ records: number }>('select count(*)::int as records from audit_records');
    return rows[0]?.records ?? 0;
  });
}

async function disconnectAll(url: string): Promise<void> {
  await asAdministrator(url, (client) =>
    client.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    ),
  );
}
