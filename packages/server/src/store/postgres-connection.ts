import { type ErrorCode, StrongroomError } from '@strongroom/contract';
import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely';
import pg from 'pg';
import { assertParameterCount } from './hot-parameters.ts';
import type { HotStatement, SqlValue } from './store.ts';
import type { Tables } from './tables.ts';

/**
 * Rows as SQLite gives them: 64-bit integers and their sums are numbers (nothing stored is beyond 2⁵³), bytes are plain
 * Uint8Arrays.
 */
export const rowTypes: pg.CustomTypesConfig = {
  getTypeParser(...[type, format]: Parameters<typeof pg.types.getTypeParser>) {
    if (format === 'binary') return pg.types.getTypeParser(type, format);
    if (type === pg.types.builtins.INT8) return toSafeInteger;
    // What sum() of 64-bit integers is.
    if (type === pg.types.builtins.NUMERIC) return Number;
    if (type === pg.types.builtins.BYTEA) return toBytes;
    return pg.types.getTypeParser(type, 'text');
  },
};

function toSafeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError('A number of the database is not a safe integer');
  return value;
}

/** The output form of bytea: `\x` and hex (bytea_output = hex, the default and set on every connection). */
function toBytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.slice(2), 'hex'));
}

/** Sends one query; as `pg.Client.query`. */
export type SendQuery = (query: string | pg.QueryConfig) => Promise<pg.QueryResult>;

/** Kysely over one connection that somebody else opens and closes. */
export function kyselyOverClient(send: SendQuery): Kysely<Tables> {
  // Kysely knows its connection by this object, and asks nothing of it but queries.
  const client = {
    query: (text: string, values: readonly unknown[]) => send({ text, values: [...values] }),
    release: () => undefined,
  } as unknown as PostgresPoolClient;
  return new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: { connect: async () => client, end: async () => undefined, options: {} } }),
  });
}

/** Kysely over a pool for reading; failures come out as the store's own errors. */
export function kyselyOverPool(pool: { connect(): Promise<pg.PoolClient>; end(): Promise<void> }): Kysely<Tables> {
  // Kysely knows a connection by its object: one wrapper per client.
  const wrappers = new WeakMap<pg.PoolClient, PostgresPoolClient>();
  const connect = async (): Promise<PostgresPoolClient> => {
    const client = await pool.connect().catch(failRead);
    const known = wrappers.get(client);
    if (known !== undefined) return known;
    const wrapper = {
      query: (text: string, values: readonly unknown[]) => client.query(text, [...values]).catch(failRead),
      release: (isBroken?: boolean) => client.release(isBroken),
    } as unknown as PostgresPoolClient;
    wrappers.set(client, wrapper);
    return wrapper;
  };
  return new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: { connect, end: () => pool.end(), options: {} } }),
  });
}

/** @throws StrongroomError of the store, `deadline_exceeded` of a read that took too long, or the server's error where the statement is to blame */
export function failRead(error: unknown): never {
  if (stateOf(error) === queryCanceled) throw new StrongroomError('deadline_exceeded', { cause: error });
  if (error instanceof pg.DatabaseError) throw postgresStorageFailure(error) ?? error;
  if (error instanceof StrongroomError || error instanceof TypeError || error instanceof RangeError) throw error;
  throw connectionFailure(error);
}

/** Whether a read failed by its connection, or by a server that is stopping or starting, and not by what it asked. */
export function isOfConnection(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return /^(?:08|57P)/.test(error.code ?? '');
  return !(error instanceof StrongroomError || error instanceof TypeError || error instanceof RangeError);
}

/** Hot statements as named prepared statements: parsed and planned once per connection of the database. */
export class HotStatements {
  readonly #db: Kysely<Tables>;
  readonly #compiled = new Map<HotStatement<unknown>, { readonly text: string; readonly count: number }>();

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  query(statement: HotStatement<unknown>, parameters: readonly SqlValue[]): pg.QueryConfig {
    let entry = this.#compiled.get(statement);
    if (entry === undefined) {
      const compiled = statement.build(this.#db);
      entry = { text: compiled.sql, count: compiled.parameters.length };
      this.#compiled.set(statement, entry);
    }
    assertParameterCount(statement, entry.count, parameters);
    return { name: statement.name, text: entry.text, values: [...parameters] };
  }
}

interface Failure {
  readonly code: ErrorCode;
  readonly detail: string;
}

const readOnlyTransaction = '25006';

/** By SQLSTATE, then by its class (https://www.postgresql.org/docs/current/errcodes-appendix.html). */
const storageStates: Readonly<Record<string, Failure>> = {
  '53100': { code: 'storage_full', detail: 'The disk of the database is full.' },
  [readOnlyTransaction]: { code: 'storage_unavailable', detail: 'The database is read-only: it may be a standby.' },
};
const storageClasses: Readonly<Record<string, Failure>> = {
  '08': { code: 'storage_unavailable', detail: 'The connection to the database was lost.' },
  '28': { code: 'storage_unavailable', detail: 'The database refused the credentials.' },
  '3D': { code: 'storage_unavailable', detail: 'The database does not exist.' },
  '53': { code: 'storage_unavailable', detail: 'The database has no resources left.' },
  '57': { code: 'storage_unavailable', detail: 'The database is stopping or starting.' },
  '58': { code: 'storage_unavailable', detail: 'The database had a system error.' },
  XX: { code: 'storage_unavailable', detail: 'The database had an internal error.' },
};

/** What only the server that takes writes can do was asked of one that does not: it is not, or no longer, the primary. */
export function isReadOnlyServer(error: unknown): boolean {
  return stateOf(error) === readOnlyTransaction;
}

/** deadlock_detected, serialization_failure, lock_not_available: another transaction got in the way. */
const retryStates: ReadonlySet<unknown> = new Set(['40P01', '40001', '55P03']);

export function isRetryable(error: unknown): boolean {
  return retryStates.has(stateOf(error));
}

/** What a PostgreSQL error says about the store; undefined when it concerns only the statement that failed. */
export function postgresStorageFailure(error: unknown): StrongroomError | undefined {
  const state = stateOf(error);
  if (state === undefined || state === queryCanceled) return undefined;
  const failure = storageStates[state] ?? storageClasses[state.slice(0, 2)];
  return failure && new StrongroomError(failure.code, { detail: failure.detail, cause: error });
}

/** Strikes one statement, which ran into its timeout; the transaction can go on without its command. */
const queryCanceled = '57014';

function stateOf(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** Failed outside the server's own answers: refused, reset, timed out, ended. */
export function connectionFailure(cause: unknown): StrongroomError {
  return (
    postgresStorageFailure(cause) ??
    new StrongroomError('storage_unavailable', { detail: 'The database is not reachable.', cause })
  );
}
