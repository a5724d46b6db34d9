import type { CompiledQuery, Kysely } from 'kysely';
import type { AuditChainSettings } from '../audit/chain.ts';
import type { AuditEvent } from '../audit/event.ts';
import type { Commands } from './commands.ts';
import type { MaybePromise } from './maybe-promise.ts';
import type { Queries } from './queries.ts';
import type { Tables } from './tables.ts';

/** The store as every folder sees it. */
export type Store = StoreOf<Commands, Queries>;
/** What runs commands: the store itself, or it under a decision about a caller. */
export type Writer = Pick<Store, 'execute'>;

/**
 * Everything Strongroom keeps. Two implementations, `openSqliteStore` and `openPostgresStore`, one contract suite.
 *
 * Reads by key happen on the calling thread (`db`, `first`). Anything that may read many rows is a named query and runs on
 * the reader worker. Every write is a named command with plain arguments on the one write lane: commands are batched into
 * one durable transaction with a savepoint each, and a promise resolves only after the commit is on disk and the audit
 * anchor is written. A rejected command has changed nothing; only after `audit_unavailable` and `storage_unavailable` the
 * outcome can be unknown, and repeating with the same idempotency key is safe.
 */
export interface StoreOf<C extends CommandMap, Q extends QueryMap> {
  readonly dialect: 'sqlite' | 'postgres';
  /** Keyed reads, on this thread. The connection is read-only: a write through it fails. */
  readonly db: Kysely<Tables>;
  /** The first row of a statement compiled once (about 5 µs on SQLite, at once); for the hot paths. */
  first<Row>(statement: HotStatement<Row>, parameters: readonly SqlValue[]): MaybePromise<Row | undefined>;
  /**
   * A named query on the reader worker (SQLite) or the pool (PostgreSQL).
   * @throws StrongroomError the query's own; `deadline_exceeded` after 30 s; `storage_unavailable`
   */
  query<Name extends keyof Q>(name: Name, args: Parameters<Q[Name]>[1]): ReturnType<Q[Name]>;
  /**
   * Runs a command on the write lane.
   * @throws StrongroomError the command's own; `audit_unavailable` when it could not be made durable within the deadline;
   * `version_conflict` when `expectAuthorisationRevision` is no longer current (the caller decides again), or when two
   * writes met at a unique index and the command does not say otherwise; `idempotency_mismatch`; `replayed_issue`;
   * `storage_full`; `storage_unavailable`; `shutting_down`.
   */
  execute<Name extends keyof C>(
    name: Name,
    args: Parameters<C[Name]>[1],
    options?: ExecuteOptions,
  ): Promise<Awaited<ReturnType<C[Name]>>>;
  /** The current authorisation revision; snapshots of principals are valid while it does not move. 0 before the installation exists. */
  authorisationRevision(): Promise<number>;
  /** The same where it is known without asking: on the embedded store. `null` on PostgreSQL, where others write, too. */
  knownRevision(): number | null;
  /**
   * Milliseconds since 1970 by the clock that `context.now` is of, to hold against times that are stored. On PostgreSQL the
   * database's, as of the last write and counted on from there; this machine's may be another.
   */
  now(): number;
  /** Refuses new work, finishes what is queued, stops the threads and closes the connections. */
  close(): Promise<void>;
}

/** A store and its life, for the one who opened it. */
export interface OpenStore<C extends CommandMap = Commands, Q extends QueryMap = Queries> extends StoreOf<C, Q> {
  /**
   * Starts this process's audit chain; once, after the keys were read from this store. Until then a command that audits is
   * refused with `audit_unavailable` and changes nothing.
   */
  startAudit(settings: AuditChainSettings): Promise<void>;
  /** Settles when the store has stopped: `undefined` after `close`, else why it can't go on; the server should then exit. */
  readonly closed: Promise<Error | undefined>;
}

export type SqlValue = string | number | bigint | Uint8Array | null;

/** A statement with positional parameters, compiled once per store. Made by {@link hotStatement}. */
export interface HotStatement<Row> {
  readonly name: string;
  readonly build: (db: Kysely<Tables>) => CompiledQuery<Row>;
  /** Whether the embedded store may answer it from memory while its tables are not written. */
  readonly isRemembered: boolean;
  /** Whether what it says of a row never changes, so that a row may be remembered whatever is written. */
  readonly isLasting: boolean;
}

/**
 * Declares a statement for the hot paths, once per module. `name` is unique and at most 63 characters. `build` runs once per
 * connection; every value it was built with is a placeholder, taken in order by the caller's parameters (constants are
 * written as `sql.lit`). A wrong number of parameters throws.
 *
 * @param options `isRemembered`: the same rows are read again and again, and their tables are seldom written. What it reads
 * is kept in memory, so it reads no plaintext; its rows are frozen. `isLasting`: the same, of one table from which nothing is
 * deleted but what nobody can act on any more, by its key, and of columns that are written once.
 */
export function hotStatement<Row>(
  name: string,
  build: (db: Kysely<Tables>) => CompiledQuery<Row>,
  options: { readonly isRemembered?: boolean; readonly isLasting?: boolean } = {},
): HotStatement<Row> {
  // PostgreSQL cuts longer names, and two that are cut alike would be one.
  if (name.length > 63) throw new TypeError(`The statement's name ${name} is longer than 63 characters`);
  const { isRemembered = false, isLasting = false } = options;
  return { name, build, isRemembered, isLasting };
}

export interface ExecuteOptions {
  /** Records appended in the same transaction, before anything is released. A replayed idempotent command adds none. */
  readonly audit?: readonly AuditEvent[];
  /** Refuses with `version_conflict` when roles, groups or grants changed since the decision. */
  readonly expectAuthorisationRevision?: number;
  readonly idempotency?: IdempotencyKey;
  /** Milliseconds until `audit_unavailable`; default 5,000. */
  readonly deadlineMilliseconds?: number;
}

/**
 * `(subject, route, key)` with a keyed hash of the body; the row lives 24 h and is written in the command's transaction. A
 * repeat gets the stored result, which therefore is plain JSON.
 */
export interface IdempotencyKey {
  readonly subject: string;
  readonly route: string;
  readonly key: string;
  readonly bodyHmac: Uint8Array;
  /** The answer holds a credential that is shown once: a repeat is `replayed_issue`, naming the result's `id`. */
  readonly shownOnce?: boolean;
}

/** What a command sees: the open transaction and the audit chain. */
export interface CommandContext {
  readonly db: Kysely<Tables>;
  /** Milliseconds since 1970, the same for the whole command; of the database's clock on PostgreSQL. */
  readonly now: number;
  /** The installation's epoch; 1 before the installation exists. */
  readonly epoch: number;
  /** Appends a record in this command's savepoint. */
  audit(event: AuditEvent): void;
  /** Call when roles, groups, members, grants, bundles, assets or assignments change. */
  bumpAuthorisation(): Promise<void>;
  /**
   * Call where what is deleted, or was there before, must not be read from the store's files again: keys, and what they
   * sealed. On the embedded store it is gone from them before the command is answered, or soon after where somebody is
   * reading just then; PostgreSQL keeps dead rows until its vacuum.
   */
  erase(): void;
  /** Runs a statement compiled once. This and `first` are to be awaited; on SQLite there is nothing to wait for. */
  run(statement: HotStatement<unknown>, parameters: readonly SqlValue[]): MaybePromise<void>;
  first<Row>(statement: HotStatement<Row>, parameters: readonly SqlValue[]): MaybePromise<Row | undefined>;
}

/**
 * A write: a pure function of its transaction and plain, structured-cloneable arguments (no value, no closure). It throws
 * StrongroomError to refuse; its savepoint is rolled back and the rest of the batch goes on. It may run more than once
 * before it is answered, so it does nothing but read and write through its context. After a statement failed it can only
 * throw (PostgreSQL goes no further): write `ON CONFLICT DO NOTHING`, or map the error with `isUniqueViolation`.
 */
export type Command<Args, Result> = (context: CommandContext, args: Args) => MaybePromise<Result>;

/** A read of many rows; plain arguments and result. */
export type Query<Args, Result> = (db: QueryContext, args: Args) => Promise<Result>;

export interface QueryContext {
  readonly db: Kysely<Tables>;
  readonly dialect: 'sqlite' | 'postgres';
}

export type CommandMap = Readonly<Record<string, Command<never, unknown>>>;
export type QueryMap = Readonly<Record<string, Query<never, unknown>>>;
