// PostgreSQL for tests: the embedded one, without durability. `node servers/postgres.ts` starts it by hand.
import { postgresUnavailable, startPostgres } from '../packages/server/testing/postgres.ts';
import { runUntilInterrupted } from './command.ts';

async function start(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const reason = postgresUnavailable();
  if (reason !== undefined) throw new Error(`No PostgreSQL: ${reason}`);
  const server = await startPostgres();
  return { url: await server.createDatabase('code-point'), stop: () => server.stop() };
}

await runUntilInterrupted(start, ({ url }) => ({ STRONGROOM_DATABASE_URL: url }));
