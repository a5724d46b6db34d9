import { StrongroomError } from '@strongroom/contract';
import pg from 'pg';
import { isOfConnection, rowTypes } from './postgres-connection.ts';
import type { PostgresHosts } from './postgres-hosts.ts';

export interface PostgresReaderOptions {
  /** Default 10. */
  readonly maxReadConnections?: number;
  /** Told about connections of the pool that broke while nobody used them; they are replaced. */
  readonly onIdleError?: (error: Error) => void;
}

const readTimeoutMilliseconds = 30_000;
const connectTimeoutMilliseconds = 3_000;

/**
 * Connections for reading, to the server that takes writes: a standby lags behind. Of several servers the pool belongs to one;
 * once another is the primary, it is replaced with all its connections, which would read what is no longer so.
 */
export class PostgresReaders {
  readonly #hosts: PostgresHosts;
  readonly #options: PostgresReaderOptions;
  readonly #ending = new Set<Promise<void>>();
  #pool: pg.Pool | undefined;
  #url: string | undefined;
  #isEnded = false;

  constructor(hosts: PostgresHosts, options: PostgresReaderOptions) {
    this.#hosts = hosts;
    this.#options = options;
  }

  /** @throws the driver's error; StrongroomError `storage_unavailable` when no server takes writes */
  connect(): Promise<pg.PoolClient> {
    return this.#run((pool) => pool.connect());
  }

  /** One read outside any transaction. Throws as `connect`. */
  query(query: pg.QueryConfig): Promise<pg.QueryResult> {
    return this.#run((pool) => pool.query(query));
  }

  async end(): Promise<void> {
    this.#isEnded = true;
    this.#retire();
    await Promise.all(this.#ending);
  }

  /** Once more where the connection was lost and there are other servers: what is read changes nothing. */
  async #run<Result>(work: (pool: pg.Pool) => Promise<Result>): Promise<Result> {
    if (this.#isEnded) throw new StrongroomError('shutting_down');
    const url = this.#hosts.known ?? (await this.#hosts.primary());
    try {
      return await work(this.#poolOf(url));
    } catch (error) {
      if (!this.#hosts.areSeveral || this.#isEnded || !isOfConnection(error)) throw error;
      this.#hosts.suspect(url);
      return work(this.#poolOf(await this.#hosts.primary()));
    }
  }

  #poolOf(url: string): pg.Pool {
    if (this.#pool !== undefined && this.#url === url) return this.#pool;
    this.#retire();
    this.#url = url;
    this.#pool = openPool(url, this.#options);
    return this.#pool;
  }

  #retire(): void {
    const pool = this.#pool;
    if (pool === undefined || pool.ending) return;
    const ending = pool.end().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}

function openPool(url: string, options: PostgresReaderOptions): pg.Pool {
  const prepare = (client: pg.ClientBase): Promise<unknown> =>
    client.query('set default_transaction_read_only to on; set bytea_output to hex');
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'strongroom reader',
    types: rowTypes,
    max: options.maxReadConnections ?? 10,
    keepAlive: true,
    connectionTimeoutMillis: connectTimeoutMilliseconds,
    statement_timeout: readTimeoutMilliseconds,
    query_timeout: readTimeoutMilliseconds + connectTimeoutMilliseconds,
    // oxlint-disable-next-line typescript/no-misused-promises -- the pool waits for it; its type does not say so
    onConnect: prepare,
  });
  // Without a listener a broken idle connection would end the process.
  pool.on('error', (error) => options.onIdleError?.(error));
  // So would one that breaks while it is in use: the pool listens to idle ones only. The query that is under way fails by it.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}
