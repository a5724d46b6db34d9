import { hash } from 'node:crypto';
import { StrongroomError } from '@strongroom/contract';
import { timingSafeEqualBytes } from '@strongroom/crypto';
import { createRevisionCache } from '../access/revision-cache.ts';
import type { Access, AccessSnapshot, Caller } from '../access/types.ts';
import type { Authentication, AuthenticationContext } from '../http/authentication.ts';
import type { Keys } from '../keys/keys.ts';
import { andThen, type MaybePromise } from '../store/maybe-promise.ts';
import { type HotStatement, hotStatement, type Store } from '../store/store.ts';
import type { CredentialActivity } from './activity.ts';
import { principalLabel } from './actor.ts';
import { sessionIdleMilliseconds, tokenPrefixes } from './credentials.ts';

interface HolderRow {
  readonly credential_id: string;
  readonly principal_id: string;
  readonly kind: 'user' | 'group' | 'service-account';
  readonly name: string;
  readonly domain: string | null;
  readonly domain_deleted_at: number | null;
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
  readonly disabled_at: number | null;
  readonly deleted_at: number | null;
}

interface TokenRow extends HolderRow {
  readonly last_used_at: number | null;
}

interface KnownToken {
  readonly revision: number;
  readonly row: TokenRow;
  lastUsedAt: number | null;
  /** Of its holder, at the same revision. */
  snapshot: AccessSnapshot | null;
}

interface SessionRow extends HolderRow {
  readonly transport: 'cookie' | 'bearer';
  readonly tab_hmac: Uint8Array;
  readonly last_seen_at: number;
}

/** Credentials that this server did not issue. */
export interface WorkloadTokens {
  /** `null`: nobody’s. @throws StrongroomError `backend_unavailable` when that could not be found out */
  find(token: string, context: AuthenticationContext): Promise<Caller | null>;
}

const placeholder = new Uint8Array(0);
/** Of tokens used lately, about 500 bytes each. */
const maxKnownTokens = 10_000;

const tokenByHmac = hotStatement<TokenRow>('identities.token_by_hmac', (db) =>
  db
    .selectFrom('tokens')
    .innerJoin('principals', 'principals.id', 'tokens.principal_id')
    .leftJoin('scopes', 'scopes.id', 'principals.scope_id')
    .select([
      'tokens.id as credential_id',
      'tokens.principal_id',
      'principals.kind',
      'principals.name',
      'scopes.name as domain',
      'scopes.deleted_at as domain_deleted_at',
      'tokens.expires_at',
      'tokens.revoked_at',
      'tokens.last_used_at',
      'principals.disabled_at',
      'principals.deleted_at',
    ])
    .where('tokens.hmac', '=', placeholder)
    .compile(),
);

const sessionByHmac = hotStatement<SessionRow>('identities.session_by_hmac', (db) =>
  db
    .selectFrom('sessions')
    .innerJoin('principals', 'principals.id', 'sessions.principal_id')
    .leftJoin('scopes', 'scopes.id', 'principals.scope_id')
    .select([
      'sessions.id as credential_id',
      'sessions.principal_id',
      'principals.kind',
      'principals.name',
      'scopes.name as domain',
      'scopes.deleted_at as domain_deleted_at',
      'sessions.expires_at',
      'sessions.revoked_at',
      'sessions.transport',
      'sessions.tab_hmac',
      'sessions.last_seen_at',
      'principals.disabled_at',
      'principals.deleted_at',
    ])
    .where('sessions.hmac', '=', placeholder)
    .compile(),
);

/**
 * Looks credentials up by their keyed hash: a revoked one stops at the next call. The store is read, never
 * written; uses are noted in `activity`. A credential that is unknown, malformed, expired or revoked, or whose principal is
 * disabled or deleted, is the same `unauthenticated`; `csrf_failed` is for a good session without its tab's token.
 */
export function createAuthentication(
  store: Store,
  keys: Keys,
  access: Access,
  activity: CredentialActivity,
  clock: () => number = Date.now,
  workloads?: WorkloadTokens,
): Authentication {
  const tokens = createRevisionCache<KnownToken>(maxKnownTokens);

  async function find<Row>(statement: HotStatement<Row>, text: string): Promise<Row | undefined> {
    for (const { hmac } of keys.tokenHashes(text)) {
      const row = await store.first(statement, [hmac]);
      if (row !== undefined) return row;
    }
    return undefined;
  }

  async function callerOf(
    row: HolderRow,
    type: 'session' | 'token',
    context: AuthenticationContext,
  ): Promise<Caller | null> {
    const snapshot = row.kind === 'group' ? null : await access.snapshot(row.principal_id);
    return snapshot === null ? null : callerWith(row, snapshot, type, context);
  }

  function callerWith(
    row: HolderRow,
    snapshot: AccessSnapshot,
    type: 'session' | 'token',
    context: AuthenticationContext,
  ): Caller | null {
    if (row.kind === 'group' || snapshot.principal.isDisabled) return null;
    return {
      id: row.principal_id,
      kind: row.kind,
      name: principalLabel(row),
      snapshot,
      requestId: context.requestId,
      network: context.network,
      credential: { type, id: row.credential_id },
    };
  }

  /**
   * What is known of a token holds while the authorisation revision stands, which revoking a token and disabling its holder
   * move. Remembered under a digest: the process keeps nobody's token.
   */
  function knownToken(text: string): MaybePromise<KnownToken | null> {
    const digest = hash('sha256', text, 'latin1');
    return tokens.peek(digest, store.knownRevision()) ?? readToken(text, digest);
  }

  async function readToken(text: string, digest: string): Promise<KnownToken | null> {
    const revision = await store.authorisationRevision();
    return tokens.get(digest, revision, async () => {
      const row = await find(tokenByHmac, text);
      return row === undefined ? null : { revision, row, lastUsedAt: row.last_used_at, snapshot: null };
    });
  }

  function byToken(text: string, context: AuthenticationContext): MaybePromise<Caller | null> {
    return andThen(knownToken(text), (known) => {
      const now = clock();
      if (known === null || !isGood(known.row, now)) return null;
      const made =
        known.snapshot === null
          ? callerOf(known.row, 'token', context)
          : callerWith(known.row, known.snapshot, 'token', context);
      return andThen(made, (caller) => {
        if (caller?.snapshot.revision === known.revision) known.snapshot = caller.snapshot;
        if (caller !== null) known.lastUsedAt = activity.tokenUsed(known.row.credential_id, now, known.lastUsedAt);
        return caller;
      });
    });
  }

  async function bySession(
    text: string,
    transport: 'cookie' | 'bearer',
    tabToken: string | undefined,
    context: AuthenticationContext,
  ): Promise<Caller | null> {
    const row = await find(sessionByHmac, text);
    const now = clock();
    if (row === undefined || row.transport !== transport || !isGood(row, now)) return null;
    if (now - activity.sessionLastSeen(row.credential_id, row.last_seen_at) >= sessionIdleMilliseconds) return null;
    if (transport === 'cookie' && !isTabOf(row, tabToken)) throw new StrongroomError('csrf_failed');
    const caller = await callerOf(row, 'session', context);
    if (caller !== null) activity.sessionSeen(row.credential_id, now, row.last_seen_at);
    return caller;
  }

  function isTabOf(row: SessionRow, tabToken: string | undefined): boolean {
    if (tabToken === undefined || !tabToken.startsWith(tokenPrefixes.tab)) return false;
    return keys.tokenHashes(tabToken).some(({ hmac }) => timingSafeEqualBytes(hmac, row.tab_hmac));
  }

  function accepted(caller: Caller | null): Caller {
    if (caller !== null) return caller;
    activity.credentialRefused();
    throw new StrongroomError('unauthenticated');
  }

  return {
    byBearer(token, context) {
      if (token.startsWith(tokenPrefixes.token)) return andThen(byToken(token, context), accepted);
      if (token.startsWith(tokenPrefixes.session)) return bySession(token, 'bearer', undefined, context).then(accepted);
      return workloads === undefined ? accepted(null) : workloads.find(token, context).then(accepted);
    },
    async byCookie(cookie, tabToken, context) {
      if (!cookie.startsWith(tokenPrefixes.session)) return accepted(null);
      return accepted(await bySession(cookie, 'cookie', tabToken, context));
    },
  };
}

function isGood(row: HolderRow, now: number): boolean {
  return (
    row.revoked_at === null &&
    row.deleted_at === null &&
    row.disabled_at === null &&
    row.domain_deleted_at === null &&
    (row.expires_at === null || row.expires_at > now)
  );
}
