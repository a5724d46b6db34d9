import type { CompiledQuery, Kysely } from 'kysely';
import type { AuditEvent } from '../audit/event.ts';
import type { Commands } from './commands.ts';
import type { Queries } from './queries.ts';
import type { Tables } from './tables.ts';

/**
 * Everything Strongroom keeps. Two implementations, `openSqliteStore` and `openPostgresStore`, one contract suite.
 *
 * Reads by key happen on the calling thread (`db`, `first`). Anything that may read many rows is a named query and runs on
 * the reader worker. Every write is a named command with plain arguments on the one write lane: commands are batched into
 * one durable transaction with a savepoint each, and a promise resolves only after the commit is on disk and the audit
 * anchor is written. A rejected command has changed nothing.
 */
export interface Store {
  readonly dialect: 'sqlite' | 'postgres';
  /** Keyed reads, on this thread. Never used for writing: the connection is read-only on SQLite. */
  readonly db: Kysely<Tables>;
  /** The first row of a statement compiled once (about 5 µs on SQLite); for the hot paths. */
  first<Row>(statement: HotStatement<Row>, parameters: readonly SqlValue[]): Promise<Row | undefined>;
  /** A named query on the reader worker (SQLite) or the pool (PostgreSQL). */
  query<Name extends keyof Queries>(name: Name, args: Parameters<Queries[Name]>[1]): ReturnType<Queries[Name]>;
  /**
   * Runs a command on the write lane.
   * @throws StrongroomError the command's own; `audit_unavailable` when it could not be made durable within the deadline;
   * `version_conflict` when `expectAuthorisationRevision` is no longer current (the caller decides again);
   * `idempotency_mismatch`.
   */
  execute<Name extends keyof Commands>(name: Name, args: Parameters<Commands[Name]>[1], options?: ExecuteOptions): ReturnType<Commands[Name]>;
  /** The current authorisation revision; snapshots of principals are valid while it does not move. */
  authorisationRevision(): Promise<number>;
  close(): Promise<void>;
}

export type SqlValue = string | number | bigint | Uint8Array | null;

/** A statement with positional parameters, compiled once per store. Made by {@link hotStatement}. */
export interface HotStatement<Row> {
  readonly name: string;
  readonly build: (db: Kysely<Tables>) => CompiledQuery<Row>;
}

export function hotStatement<Row>(name: string, build: (db: Kysely<Tables>) => CompiledQuery<Row>): HotStatement<Row> {
  return { name, build };
}

export interface ExecuteOptions {
  /** Records appended in the same transaction, before anything is released. */
  readonly audit?: readonly AuditEvent[];
  /** Refuses with `version_conflict` when roles, groups or grants changed since the decision. */
  readonly expectAuthorisationRevision?: number;
  readonly idempotency?: IdempotencyKey;
  /** Milliseconds until `audit_unavailable`; default 5,000. */
  readonly deadlineMilliseconds?: number;
}

/** `(subject, route, key)` with a keyed hash of the body; the row lives 24 h and is written in the command's transaction. */
export interface IdempotencyKey {
  readonly subject: string;
  readonly route: string;
  readonly key: string;
  readonly bodyHmac: Uint8Array;
}

/** What a command sees: the open transaction and the audit chain. */
export interface CommandContext {
  readonly db: Kysely<Tables>;
  /** Milliseconds since 1970, the same for the whole command. */
  readonly now: number;
  /** The installation's epoch. */
  readonly epoch: number;
  /** Appends a record in this command's savepoint. */
  audit(event: AuditEvent): void;
  /** Call when roles, groups, members, grants, bundles, assets or assignments change. */
  bumpAuthorisation(): Promise<void>;
  /** Runs a statement compiled once. */
  run(statement: HotStatement<unknown>, parameters: readonly SqlValue[]): Promise<void>;
  first<Row>(statement: HotStatement<Row>, parameters: readonly SqlValue[]): Promise<Row | undefined>;
}

/**
 * A write: a pure function of its transaction and plain, structured-cloneable arguments (no value, no closure). It throws
 * StrongroomError to refuse; its savepoint is rolled back and the rest of the batch goes on.
 */
export type Command<Args, Result> = (context: CommandContext, args: Args) => Promise<Result>;

/** A read of many rows; plain arguments and result. */
export type Query<Args, Result> = (db: QueryContext, args: Args) => Promise<Result>;

export interface QueryContext {
  readonly db: Kysely<Tables>;
  readonly dialect: 'sqlite' | 'postgres';
}
