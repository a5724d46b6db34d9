import type { PlatformRole } from '@strongroom/contract';
import { type PageRequest, readPage as readKeysetPage, wholeList } from '../access/pages.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import { newId } from '../store/ids.ts';
import type { ExecuteOptions, IdempotencyKey, Store } from '../store/store.ts';
import { actorOf } from './actor.ts';
import { type ManagingAccess, requireMayActAs, writeAsManager } from './authority.ts';
import { createCredential } from './credentials.ts';
import { type ListPage, type ListRequest, readPage } from './lists.ts';
import type { PrincipalRecord } from './principals.ts';
import type { TokenRecord } from './service-account-commands.ts';
import { type PrincipalChange, readPrincipal, sentFields } from './users.ts';

const dayMilliseconds = 24 * 60 * 60_000;
const defaultTokenDays = 90;

export interface NewServiceAccount {
  readonly name: string;
  readonly displayName?: string | undefined;
  /** A domain's name; only administrators of the platform say one. */
  readonly domain?: string | undefined;
  readonly roles?: readonly PlatformRole[] | undefined;
}

export interface NewToken {
  readonly description?: string | undefined;
  /** 1–365; null: never expires. */
  readonly expiresInDays?: number | null | undefined;
}

/**
 * Service accounts and their tokens. With a `scope` only that domain's accounts exist: those who manage access in a domain
 * manage its accounts and see no others. A token of an account, and enabling, disabling or deleting it, is only for those who
 * have in the domain whatever the account has; revoking a token raises nobody and is for all of them.
 */
export class ServiceAccountService {
  readonly #store: Store;
  readonly #keys: Keys;
  readonly #access: ManagingAccess;
  readonly #clock: () => number;

  constructor(store: Store, keys: Keys, access: ManagingAccess, clock: () => number = Date.now) {
    this.#store = store;
    this.#keys = keys;
    this.#access = access;
    this.#clock = clock;
  }

  /** @throws StrongroomError `already_exists`, `not_found`, `state_conflict` */
  async create(
    caller: Caller,
    account: NewServiceAccount,
    scope?: ScopeRef,
    idempotency?: IdempotencyKey,
  ): Promise<PrincipalRecord> {
    return this.#write(
      caller,
      scope,
      (options) =>
        this.#store.execute(
          'identities.createServiceAccount',
          {
            actor: actorOf(caller),
            id: newId('serviceAccount'),
            name: account.name,
            displayName: account.displayName ?? account.name,
            roles: account.roles ?? [],
            ...(account.domain === undefined ? {} : { domain: account.domain }),
            ...scopeArgument(scope),
          },
          options,
        ),
      idempotency,
    );
  }

  async list(caller: Caller, request: ListRequest, scope?: ScopeRef): Promise<ListPage<PrincipalRecord>> {
    return readPage(this.#keys, caller.id, ['service-accounts', scope?.id ?? ''], request, (args) =>
      this.#store.query('identities.listPrincipals', {
        kind: 'service-account',
        ...args,
        ...(scope === undefined ? {} : { scopeId: scope.id }),
      }),
    );
  }

  /** @throws StrongroomError `not_found` */
  async get(id: string, scope?: ScopeRef): Promise<PrincipalRecord> {
    return readPrincipal(this.#store, 'service-account', id, scope?.id);
  }

  /** @throws StrongroomError `not_found`, `revision_mismatch`, `last_admin`, `state_conflict` */
  async change(
    caller: Caller,
    id: string,
    change: PrincipalChange,
    scope?: ScopeRef,
    ifMatch?: number,
  ): Promise<PrincipalRecord> {
    const write = (options: ExecuteOptions): Promise<PrincipalRecord> =>
      this.#store.execute(
        'identities.changePrincipal',
        {
          actor: actorOf(caller),
          kind: 'service-account',
          id,
          ...sentFields(change),
          ...scopeArgument(scope),
          ...(ifMatch === undefined ? {} : { expectedRevision: ifMatch }),
        },
        options,
      );
    return change.isDisabled === undefined
      ? this.#write(caller, scope, write)
      : this.#writeAbove(id, caller, scope, write);
  }

  /** That the caller, who manages accounts here, may disable or delete this one. @throws StrongroomError `not_found`, `permission_missing` */
  async requireMayEnd(caller: Caller, id: string, scope?: ScopeRef): Promise<void> {
    if (scope === undefined) return;
    await this.get(id, scope);
    await requireMayActAs(this.#access, caller, scope, id);
  }

  /** @throws StrongroomError `not_found`, `permission_missing`, `revision_mismatch`, `last_admin` */
  async delete(caller: Caller, id: string, scope?: ScopeRef, ifMatch?: number): Promise<void> {
    await this.#writeAbove(id, caller, scope, (options) =>
      this.#store.execute(
        'identities.deletePrincipal',
        {
          actor: actorOf(caller),
          kind: 'service-account',
          id,
          ...scopeArgument(scope),
          ...(ifMatch === undefined ? {} : { expectedRevision: ifMatch }),
        },
        options,
      ),
    );
  }

  /**
   * The token's text is in the answer and nowhere else.
   * @throws StrongroomError `not_found`, `permission_missing`, `state_conflict`, `limit_exceeded`, `replayed_issue`
   */
  async issueToken(
    caller: Caller,
    accountId: string,
    request: NewToken,
    scope?: ScopeRef,
    idempotency?: IdempotencyKey,
  ): Promise<TokenRecord & { readonly token: string }> {
    const { text, hmac, termId } = createCredential(this.#keys, 'token');
    const days = request.expiresInDays === undefined ? defaultTokenDays : request.expiresInDays;
    const issued = await this.#writeAbove(
      accountId,
      caller,
      scope,
      (options) =>
        this.#store.execute(
          'identities.issueToken',
          {
            actor: actorOf(caller),
            serviceAccountId: accountId,
            ...scopeArgument(scope),
            token: {
              id: newId('token'),
              hmac,
              termId,
              lastFour: text.slice(-4),
              description: request.description ?? '',
              expiresAt: days === null ? null : this.#clock() + days * dayMilliseconds,
            },
          },
          options,
        ),
      idempotency === undefined ? undefined : { ...idempotency, shownOnce: true },
    );
    return { ...issued, token: text };
  }

  /** Newest first. @throws StrongroomError `not_found`, `cursor_invalid` */
  async listTokens(
    caller: Caller,
    accountId: string,
    { limit = wholeList, cursor }: PageRequest,
    scope?: ScopeRef,
  ): Promise<ListPage<TokenRecord>> {
    await this.get(accountId, scope);
    const request = { limit, ...(cursor === undefined ? {} : { cursor }) };
    return readKeysetPage(this.#keys, caller, ['tokens', accountId], request, {
      read: ({ after, limit: rows }) =>
        this.#store.query('identities.listTokens', {
          principalId: accountId,
          before: after?.[0] ?? null,
          limit: rows,
        }),
      positionOf: ({ id }) => [id],
      toItem: (token) => token,
    });
  }

  /** @throws StrongroomError `not_found` */
  async revokeToken(caller: Caller, accountId: string, tokenId: string, scope?: ScopeRef): Promise<void> {
    await this.#write(caller, scope, (options) =>
      this.#store.execute(
        'identities.revokeToken',
        {
          actor: actorOf(caller),
          serviceAccountId: accountId,
          tokenId,
          ...scopeArgument(scope),
        },
        options,
      ),
    );
  }

  #write<Result>(
    caller: Caller,
    scope: ScopeRef | undefined,
    write: (options: ExecuteOptions) => Promise<Result>,
    idempotency?: IdempotencyKey,
  ): Promise<Result> {
    return writeAsManager(this.#access, caller, scope, write, idempotency);
  }

  /** `#write` for those alone who have whatever the account has. Whoever manages all identities may anyway. */
  #writeAbove<Result>(
    accountId: string,
    caller: Caller,
    scope: ScopeRef | undefined,
    write: (options: ExecuteOptions) => Promise<Result>,
    idempotency?: IdempotencyKey,
  ): Promise<Result> {
    return writeAsManager(this.#access, caller, scope, write, idempotency, (current) =>
      this.requireMayEnd(current, accountId, scope),
    );
  }
}

function scopeArgument(scope: ScopeRef | undefined): {
  readonly scope?: { readonly id: string; readonly name: string };
} {
  return scope === undefined ? {} : { scope: { id: scope.id, name: scope.name } };
}
