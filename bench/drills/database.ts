// What the drills over PostgreSQL ask of the database and of the servers over it.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const recoveryMilliseconds = 30_000;

/** Asks the database past the server. The connection may be lost in the middle. */
export async function asAdministrator<Result>(
  url: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = await connect(url);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** While it recovers from its log, PostgreSQL turns everybody away: 57P03, `cannot_connect_now` (manual, "Error Codes"). */
async function connect(url: string): Promise<pg.Client> {
  const until = performance.now() + recoveryMilliseconds;
  for (;;) {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return client;
    } catch (error) {
      const isRecovering = error instanceof pg.DatabaseError && error.code === '57P03';
      if (!isRecovering || performance.now() > until) throw error;
      await sleep(50);
    }
  }
}

export async function requireHealth(server: { readonly url: string }): Promise<void> {
  const answer = await fetch(`${server.url}/healthz`, { signal: AbortSignal.timeout(2_000) });
  if (!answer.ok) throw new Error(`/healthz answered ${answer.status}`);
}

export async function untilReady(server: { readonly url: string }): Promise<void> {
  const until = performance.now() + recoveryMilliseconds;
  for (;;) {
    const answer = await fetch(`${server.url}/readyz`);
    await answer.arrayBuffer();
    if (answer.ok) return;
    if (performance.now() > until) throw new Error('The server did not get ready again in 30 s');
    await sleep(50);
  }
}
