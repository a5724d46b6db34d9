import type { ErrorCode } from '@strongroom/contract/errors';
import type { StrongroomError } from '@strongroom/contract/core';
import type { SecretValue } from '@strongroom/crypto';

/**
 * A place where secrets are kept. What every method promises:
 *
 * - Absence is `null`, and is said only when the backend itself said so. Everything else that is not the value is a thrown
 *   `StrongroomError`: `backend_unavailable` (not reached, cut off, too slow), `backend_denied` (its policy or the credential),
 *   `backend_sealed`, `backend_throttled`, `backend_malformed` (an answer that is not the protocol's), `backend_limit`,
 *   `backend_deleted` (deleted or disabled there, and may come back), `version_conflict`, `not_supported`,
 *   `egress_denied`. An outage is never absence.
 * - No error, and no cause of one, holds a value, a credential or a part of the backend's answer.
 * - A method ends soon after `signal` aborts, with `deadline_exceeded`.
 * - Keys are the backend's own names as the catalogue shows them, `/` between segments; two keys never mean one entry. What
 *   can't be a key there is `validation_failed`, or `null` when it is read; what would fall on another's entry is `key_clash`.
 */
export interface Backend {
  readonly type: string;
  readonly capabilities: Capabilities;

  /** The entry under a key, its current version unless another is asked for (capability `versions`). */
  get(key: string, options: GetOptions): Promise<Entry | null>;

  /**
   * Many entries with as few requests as the backend allows: one answer for each distinct key, in no order. What fails for
   * one key alone (denied, malformed) is that key's answer; what fails for all of them is thrown.
   */
  getMany(keys: readonly string[], options: CallOptions): Promise<ReadonlyMap<string, Entry | null | StrongroomError>>;

  /**
   * Which version each key has now, by requests whose answers hold no value: answers are those that `getMany` has, for as many
   * of the keys as the backend says so much of; the others are left out. What the credential may read and not ask about like
   * this is `backend_denied`. Not there where the backend has no such question. A value is never read to learn a version.
   */
  versions?(keys: readonly string[], options: CallOptions): Promise<VersionAnswers>;

  /**
   * Tries the connection, a line for each step, in the order in which they depend on each other; after a failed one the
   * steps that need it are `skipped`. Never throws for what it finds; reads no value that it keeps. A step that outlasts the
   * signal has failed with `deadline_exceeded`.
   */
  check(options: CallOptions): Promise<readonly CheckLine[]>;

  /** A page of keys in the backend's own order. `not_supported` without the capability `list`. */
  list(options: ListOptions): Promise<ListPage>;

  /** Writes an entry whole. `not_supported` without the capability `put`. Nothing has been changed when it throws, unless it is `backend_unavailable` or `deadline_exceeded`: then it is unknown. */
  put(key: string, content: Content, options: PutOptions): Promise<{ readonly version: string | null }>;

  /** Deletes an entry; one that is not there is success. `not_supported` without the capability `delete`. */
  delete(key: string, options: DeleteOptions): Promise<void>;

  /** Lets go of connections and cached tokens. Calls under way may fail, later ones do; closing again does nothing. */
  close(): Promise<void>;
}

/** What a backend can do beside `get` and `check`, and its limits. Constant while it is open. */
export interface Capabilities {
  readonly list: boolean;
  readonly put: boolean;
  readonly delete: boolean;
  /** `put` and `delete` can be made conditional on what is there. */
  readonly cas: boolean;
  /** Each key has a version of its own, and older ones can be read. */
  readonly versions: boolean;
  /** Keys in one request; 1: each is a request of its own. */
  readonly batch: number;
  /** Keys whose versions are asked for in one request; 1 without it. */
  readonly versionBatch?: number;
  /** How an entry has fields: of its own, or as members of a JSON text. */
  readonly fields: 'native' | 'json';
  readonly limits: {
    /** Bytes of one value. */
    readonly valueBytes: number;
    /** Bytes that all entries of one container share. */
    readonly containerBytes?: number;
  };
}

/** A value as it is written: bytes, text (well-formed UTF-8), or fields as the UTF-8 bytes of a JSON object of strings. */
export interface Content {
  readonly value: SecretValue;
  readonly shape: 'text' | 'binary' | 'fields';
}

export interface Entry extends Content {
  /** In the entry's order; `null` unless the shape is `fields`. */
  readonly fieldNames: readonly string[] | null;
  /** The backend's own version of this key; `null` where it has none for single keys. */
  readonly version: string | null;
  /** Milliseconds; `null` where it isn't known. */
  readonly updatedAt: number | null;
  /** The write that it comes from, where we wrote it. */
  readonly intentId?: string;
  /** Only where no write of ours ever was: what another program left. Whether its place is marked as ours by now. */
  readonly found?: { readonly isMarked: boolean };
}

/** What a key has in place of its entry, where nobody needs that. */
export type KeyVersion = Pick<Entry, 'version'>;
export type VersionAnswers = ReadonlyMap<string, KeyVersion | null | StrongroomError>;

export interface CallOptions {
  readonly signal: AbortSignal;
}

export interface GetOptions extends CallOptions {
  readonly version?: string;
}

export interface ListOptions extends CallOptions {
  /** Of the page before; the backend's own, opaque. */
  readonly cursor?: string;
  /** At most so many items; a page may have fewer, also none, and not be the last. */
  readonly limit: number;
  /** Also what another program left and isn't marked as ours; without it that is listed where it can't be told apart. */
  readonly includesFound?: boolean;
}

export interface ListPage {
  readonly items: readonly ListItem[];
  /** `null`: this is the last page. */
  readonly nextCursor: string | null;
}

export interface ListItem {
  readonly key: string;
  /** Names of fields, where the listing brings them. */
  readonly fieldNames?: readonly string[];
  readonly updatedAt?: number;
}

/** What must be there for a write to happen; otherwise it is `version_conflict`. Needs the capability `cas`, but for `any`. */
export type Expectation =
  | { readonly kind: 'any' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'version'; readonly version: string }
  /** The entry that this write left. */
  | { readonly kind: 'intent'; readonly intentId: string };

export interface PutOptions extends CallOptions {
  readonly expect: Expectation;
  /** Kept with the entry, so that a write which was cut off can be recognised. */
  readonly intentId: string;
}

export interface DeleteOptions extends CallOptions {
  readonly expect: Expectation;
}

/** One step of a tried connection. */
export interface CheckLine {
  readonly step: CheckStep;
  readonly outcome: 'ok' | 'failed' | 'skipped';
  /** Why it failed. */
  readonly code?: ErrorCode;
  /** In our own words, for the person at the form; nothing of the backend's text. */
  readonly message: string;
}

/** Steps in the order in which they are shown. */
export const checkSteps = ['address', 'reachable', 'tls', 'state', 'login', 'store', 'list', 'read', 'write'] as const;
export type CheckStep = (typeof checkSteps)[number];
