import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient, StrongroomError } from '@strongroom/sdk';
import { verifyDataDirectory } from '../../packages/server/src/audit/verify-files.ts';
import { startPostgres } from '../../packages/server/testing/postgres.ts';
import { type FakeClock, fakeClock } from '../../servers/faketime.ts';
import { createServerProcess, type ServerProcess } from '../server-process.ts';
import { requireHealth } from './database.ts';
import { Launches } from './launches.ts';
import { addReaderToken, domain, Ledger } from './ledger.ts';

const minutes = 60;
const jump = 10 * minutes;
const day = 24 * 60 * minutes;
/** Forward, back, further back, and right again: steps of ten minutes. */
const clocks: readonly number[] = [jump, 0, -jump, 0];
/** What a launch may be told that was under way while the clock was set, and nothing else. */
const underWay: ReadonlySet<string> = new Set(['launch_expired', 'delivery_bound']);

const settings = {
  STRONGROOM_LIMITS_REQUESTS_PER_MINUTE: '1000000',
  STRONGROOM_LIMITS_LAUNCHES_PER_MINUTE: '1000000',
};

interface Load {
  readonly ledger: Ledger;
  readonly launches: Launches;
  /** Whether a launch is under way now that began before the clock was set. */
  isBeingSet: boolean;
  stop(): Promise<void>;
}

/**
 * The clock of a server is set by ten minutes, forth and back, under load and with a run under way: nothing ends early or
 * hangs, a token is good until a minute before its time and not a minute after, and the audit log verifies.
 */
export async function clockOfOne(): Promise<string> {
  const place = mkdtempSync(join(tmpdir(), 'strongroom-clock-'));
  const clock = await fakeClock(place);
  const server = await createServerProcess({ ...settings, ...clock.environment });
  try {
    await server.start();
    const admin = createClient({ url: server.url, token: server.token });
    const { load, account } = await beginLoad([server], admin);
    const expiring = await issue(admin, account);
    const run = await startRun(server);
    for (const seconds of clocks) {
      await setClock(clock, seconds, load);
      await requireProgress(load, server);
      await requireToken(server, expiring, true);
      if ((await stateOf(server, run)) !== 'running')
        throw new Error(`The run ended when the clock was set to ${seconds} s`);
    }
    await load.stop();
    await load.ledger.requireWrittenOnce(admin);
    await stopRun(server, run);
    for (const [seconds, isGood] of [
      [day - minutes, true],
      [day + minutes, false],
      [0, true],
    ] as const) {
      clock.set(seconds);
      await requireToken(server, expiring, isGood);
    }
    await server.end('SIGTERM');
    const data = join(server.directory, 'data');
    const database = new DatabaseSync(join(data, 'strongroom.db'), { readOnly: true });
    load.launches.requireIn(
      database
        .prepare(`select record from audit_records where action = 'launch.resolve' and outcome = 'allowed'`)
        .all()
        .map(({ record }) => record as Uint8Array),
    );
    database.close();
    return `${said(load)}; ${await verified(data)} audit records verify`;
  } finally {
    await server.end('SIGKILL');
    for (const directory of [place, server.directory]) rmSync(directory, { recursive: true, force: true });
  }
}

/** Of two servers over one PostgreSQL one is wrong by ten minutes, first ahead, then behind: nobody notices. */
export async function clockOfOneOfTwo(): Promise<string> {
  const place = mkdtempSync(join(tmpdir(), 'strongroom-clock-'));
  const clock = await fakeClock(place);
  const postgres = await startPostgres({ isDurable: true });
  const STRONGROOM_DATABASE_URL = await postgres.createDatabase('code-point');
  const right = await createServerProcess({ ...settings, STRONGROOM_DATABASE_URL });
  const wrong = await createServerProcess({ ...settings, STRONGROOM_DATABASE_URL, ...clock.environment });
  try {
    await right.start();
    wrong.useKeyOf(right);
    await wrong.start();
    const admin = createClient({ url: right.url, token: right.token });
    const { load } = await beginLoad([right, { url: wrong.url, token: right.token }], admin);
    const run = await startRun(right);
    for (const seconds of clocks) {
      await setClock(clock, seconds, load);
      await requireProgress(load, wrong);
      // Long enough for the other to look for runs whose server is gone.
      await sleep(6_000);
      if ((await stateOf(right, run)) !== 'running') throw new Error(`The other server ended the run at ${seconds} s`);
    }
    await load.stop();
    await load.ledger.requireWrittenOnce(admin);
    await load.launches.requireRecords(STRONGROOM_DATABASE_URL);
    await stopRun(right, run);
    let records = 0;
    for (const server of [right, wrong]) {
      await server.end('SIGTERM');
      records = await verified(join(server.directory, 'data'), STRONGROOM_DATABASE_URL);
    }
    return `${said(load)}; ${records} audit records verify`;
  } finally {
    for (const server of [right, wrong]) {
      await server.end('SIGKILL');
      rmSync(server.directory, { recursive: true, force: true });
    }
    rmSync(place, { recursive: true, force: true });
    await postgres.stop();
  }
}

async function beginLoad(
  places: readonly { readonly url: string; readonly token: string }[],
  admin: Client,
): Promise<{ readonly load: Load; readonly account: string }> {
  const ledger = new Ledger();
  const launches = new Launches();
  await admin.createDomain({ body: { name: domain } });
  await launches.prepare(admin);
  const readerToken = await addReaderToken(admin);
  const { id: account } = await admin.createDomainServiceAccount({ params: { domain }, body: { name: 'expiring' } });
  const stop = new AbortController();
  const load: Load = {
    ledger,
    launches,
    isBeingSet: false,
    async stop() {
      stop.abort();
      await Promise.all(working);
      await ledger.compare(createClient({ url: places[0]?.url ?? '', token: readerToken }));
    },
  };
  const launching = async (reader: Client): Promise<void> => {
    while (!stop.signal.aborted) {
      const wasBeingSet = load.isBeingSet;
      try {
        const refused = await launches.once(reader);
        if (refused !== undefined) throw new Error(`A launch was refused: ${refused}`);
      } catch (error) {
        const isUnderWay = error instanceof StrongroomError && underWay.has(error.code);
        if (!isUnderWay || !(wasBeingSet || load.isBeingSet)) throw error;
      }
    }
  };
  const working = places.flatMap((at, n) => [
    ledger.write(at, `writer-${n}-a`, stop.signal),
    ledger.write(at, `writer-${n}-b`, stop.signal),
    launching(createClient({ url: at.url, token: readerToken })),
  ]);
  for (const work of working) work.catch(() => stop.abort());
  return { load, account };
}

async function setClock(clock: FakeClock, seconds: number, load: Load): Promise<void> {
  load.isBeingSet = true;
  clock.set(seconds);
  await sleep(500);
  load.isBeingSet = false;
}

/** Writes and launches go on. */
async function requireProgress({ ledger, launches }: Load, server: ServerProcess): Promise<void> {
  const [writes, delivered] = [ledger.acknowledgements, launches.delivered.size];
  for (const until = performance.now() + 20_000; ; await sleep(50)) {
    await requireHealth(server);
    if (ledger.acknowledgements > writes + 10 && launches.delivered.size > delivered + 3) return;
    if (performance.now() > until) throw new Error('Writes or launches hang since the clock was set');
  }
}

/** Good for a day. */
async function issue(admin: Client, serviceAccount: string): Promise<string> {
  const issued = await admin.issueDomainToken({
    params: { domain, serviceAccount },
    body: { description: 'expires', expiresInDays: 1 },
  });
  return issued.token;
}

async function requireToken(server: ServerProcess, token: string, isGood: boolean): Promise<void> {
  const { status } = await fetch(`${server.url}/v1/auth/me`, { headers: { authorization: `Bearer ${token}` } });
  if ((status === 200) !== isGood) throw new Error(`A token was answered ${status}`);
}

async function ask(server: ServerProcess, method: string, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(`${server.url}/v1/domains/${domain}/${path}`, {
    method,
    headers: { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** A job that has more time than the drill takes, and less than the clock is set by. */
async function startRun(server: ServerProcess): Promise<string> {
  await ask(server, 'POST', 'spark-jobs', { name: 'waiting', command: ['sleep', '500'], timeoutSeconds: 400 });
  const { id } = (await ask(server, 'POST', 'spark-jobs/waiting/runs')) as { readonly id: string };
  for (const until = performance.now() + 20_000; (await stateOf(server, id)) !== 'running'; await sleep(50))
    if (performance.now() > until) throw new Error('The run did not start');
  return id;
}

async function stateOf(server: ServerProcess, run: string): Promise<string> {
  return ((await ask(server, 'GET', `runs/${run}`)) as { readonly state: string }).state;
}

async function stopRun(server: ServerProcess, run: string): Promise<void> {
  await ask(server, 'POST', `runs/${run}/stop`);
  for (const until = performance.now() + 20_000; (await stateOf(server, run)) !== 'stopped'; await sleep(50))
    if (performance.now() > until) throw new Error('The run did not stop');
}

async function verified(data: string, databaseUrl?: string): Promise<number> {
  const report = await verifyDataDirectory(data, databaseUrl === undefined ? {} : { databaseUrl });
  if (!report.ok) throw new Error(`The audit log does not verify: ${JSON.stringify(report.firstBad)}`);
  return report.records;
}

function said({ ledger, launches }: Load): string {
  return `${ledger.acknowledgements} writes and ${launches.delivered.size} launches over ${clocks.length} settings of the clock, none lost, none late`;
}
