import pg from 'pg';
import { type PostgresServer, startPostgres } from '../packages/server/testing/postgres.ts';

/** A real PostgreSQL with the table the nightly report reads, and a role that signs in with a password. */
export interface FinanceDatabase {
  readonly port: number;
  readonly name: string;
  /** As somebody does who changes a password at its source. */
  setPassword(password: string): Promise<void>;
  stop(): Promise<void>;
}

export async function startFinanceDatabase(password: string): Promise<FinanceDatabase> {
  const server: PostgresServer = await startPostgres({ listens: true });
  const url = await server.createDatabase('code-point');
  const client = new pg.Client(url);
  await client.connect();
  await client.query('create table payments (account text not null, amount numeric(14, 2) not null)');
  await client.query(`insert into payments select 'account-' || (n % 3), n * 1.25 from generate_series(1, 30) n`);
  await client.query('create role reporting login');
  await client.query('grant select on payments to reporting');
  const setPassword = async (next: string): Promise<void> => {
    await client.query(`alter role reporting password ${pg.escapeLiteral(next)}`);
  };
  await setPassword(password);
  return {
    port: server.port,
    name: new URL(url).pathname.slice(1),
    setPassword,
    async stop() {
      await client.end();
      await server.stop();
    },
  };
}
