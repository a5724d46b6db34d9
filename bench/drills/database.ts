// What the drills over PostgreSQL ask of the database and of the servers over it.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** Asks the database past the server. The connection may be lost in the middle. */
export async function asAdministrator<Result>(
  url: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

export async function requireHealth(server: { readonly url: string }): Promise<void> {
  const answer = await fetch(`${server.url}/healthz`, { signal: AbortSignal.timeout(2_000) });
  if (!answer.ok) throw new Error(`/healthz answered ${answer.status}`);
}

export async function untilReady(server: { readonly url: string }): Promise<void> {
  const until = performance.now() + 30_000;
  for (;;) {
    const answer = await fetch(`${server.url}/readyz`);
    await answer.arrayBuffer();
    if (answer.ok) return;
    if (performance.now() > until) throw new Error('The server did not get ready again in 30 s');
    await sleep(50);
  }
}
