import { setTimeout as sleep } from 'node:timers/promises';
import { StrongroomError } from '@strongroom/contract';
import pg from 'pg';
import { postgresHostUrls } from './postgres-url.ts';

const probeTimeoutMilliseconds = 3_000;
/** What the other servers get, once one that takes writes has answered: a newer one among them is the right one. */
const graceMilliseconds = 1_000;

/**
 * The servers that a database may be on, of which one takes writes. Which one, is asked when it is first needed and after a
 * connection to it was lost.
 *
 * A primary that was replaced and comes back takes writes too. It is known by its timeline, which grows with each promotion:
 * the greatest is right, and one below what was seen before is never used. Where this process can see only the old one, it is
 * synchronous replication that keeps it from acknowledging anything.
 */
export class PostgresHosts {
  readonly #urls: readonly string[];
  #known: string | undefined;
  #timeline = 0;
  #finding: Promise<string> | undefined;

  /** @param url as `databaseUrl` has it */
  constructor(url: string) {
    this.#urls = postgresHostUrls(url) ?? [url];
    if (!this.areSeveral) [this.#known] = this.#urls;
  }

  get areSeveral(): boolean {
    return this.#urls.length > 1;
  }

  /** The one in use, unless it has to be looked for. */
  get known(): string | undefined {
    return this.#known;
  }

  /** @throws StrongroomError `storage_unavailable` when none takes writes */
  async primary(): Promise<string> {
    if (this.#known !== undefined) return this.#known;
    this.#finding ??= this.#find().finally(() => {
      this.#finding = undefined;
    });
    return this.#finding;
  }

  /** Says that a connection to it was lost or refused, or that it did not answer: it is looked for anew. */
  suspect(url: string): void {
    if (this.areSeveral && this.#known === url) this.#known = undefined;
  }

  async #find(): Promise<string> {
    let best: { readonly url: string; readonly timeline: number } | undefined;
    let failure: unknown;
    const first = Promise.withResolvers<void>();
    const asked = this.#urls.map(async (url) => {
      try {
        const timeline = await timelineOf(url);
        if (timeline === undefined || timeline < this.#timeline) return;
        if (best === undefined || timeline > best.timeline) best = { url, timeline };
        first.resolve();
      } catch (error) {
        failure = error;
      }
    });
    await Promise.race([Promise.all(asked), first.promise.then(() => sleep(graceMilliseconds))]);
    if (best === undefined)
      throw new StrongroomError('storage_unavailable', {
        detail: 'None of the servers of the database takes writes.',
        cause: failure,
      });
    this.#timeline = best.timeline;
    this.#known = best.url;
    return best.url;
  }
}

/** Of the server that takes writes among those that a URL names. @throws as {@link PostgresHosts.primary} */
export async function primaryUrl(url: string): Promise<string> {
  return new PostgresHosts(url).primary();
}

/** Of a server that takes writes; undefined of a standby. Throws the driver's error when it does not answer. */
async function timelineOf(url: string): Promise<number | undefined> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'strongroom host',
    connectionTimeoutMillis: probeTimeoutMilliseconds,
    query_timeout: probeTimeoutMilliseconds,
  });
  // What breaks fails the query that is under way; without a listener it would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ timeline: number | null }>(`
      select case when not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off'
        then ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline`);
    return rows[0]?.timeline ?? undefined;
  } finally {
    // One that is silent would keep `end` waiting.
    client.connection.stream.destroy();
  }
}
