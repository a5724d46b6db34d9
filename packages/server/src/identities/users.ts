import { type PlatformRole, StrongroomError } from '@strongroom/contract';
import type { Caller } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import { newId } from '../store/ids.ts';
import type { ExecuteOptions, IdempotencyKey, Store } from '../store/store.ts';
import { actorOf, type PrincipalName } from './actor.ts';
import { type ManagingAccess, writeAsManager } from './authority.ts';
import { createLink, type SignInLink } from './credentials.ts';
import { type ListPage, type ListRequest, readPage } from './lists.ts';
import { type PrincipalRecord, principalRecord } from './principals.ts';
import { hashNewPassword } from './sign-in.ts';
import { foldUserName } from './user-name.ts';

export interface NewUser {
  readonly name: string;
  readonly displayName?: string | undefined;
  readonly email?: string | undefined;
  readonly roles?: readonly PlatformRole[] | undefined;
  readonly password?: string | undefined;
  readonly signInLink?: boolean | undefined;
}

export interface PrincipalChange {
  readonly displayName?: string | undefined;
  readonly email?: string | null | undefined;
  readonly roles?: readonly PlatformRole[] | undefined;
  readonly isDisabled?: boolean | undefined;
}

/** A live principal by id. @throws StrongroomError `not_found`; also when it is not in the scope asked for */
export async function readPrincipal(
  store: Store,
  kind: PrincipalName['kind'],
  id: string,
  scopeId?: string,
): Promise<PrincipalRecord> {
  const row = await store.db
    .selectFrom('principals')
    .leftJoin('scopes', 'scopes.id', 'principals.scope_id')
    .selectAll('principals')
    .select('scopes.name as domain')
    .where('principals.id', '=', id)
    .where('principals.kind', '=', kind)
    .where('principals.deleted_at', 'is', null)
    .executeTakeFirst();
  if (row === undefined || (scopeId !== undefined && row.scope_id !== scopeId)) throw new StrongroomError('not_found');
  return principalRecord(row);
}

/** Only what was sent: an absent field stays as it is. */
export function sentFields(change: PrincipalChange) {
  return {
    ...(change.displayName === undefined ? {} : { displayName: change.displayName }),
    ...(change.email === undefined ? {} : { email: change.email }),
    ...(change.roles === undefined ? {} : { roles: change.roles }),
    ...(change.isDisabled === undefined ? {} : { isDisabled: change.isDisabled }),
  };
}

/** Local users, managed by administrators. */
export class UserService {
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

  /** @throws StrongroomError `already_exists`, `validation_failed`, `replayed_issue` */
  async create(
    caller: Caller,
    user: NewUser,
    idempotency?: IdempotencyKey,
  ): Promise<{ readonly user: PrincipalRecord; readonly link?: SignInLink }> {
    const name = foldUserName(user.name);
    if (name === null) {
      throw new StrongroomError('validation_failed', { errors: [{ pointer: '/name', message: 'It is not a name.' }] });
    }
    const passwordHash = user.password === undefined ? null : await hashNewPassword(user.password, name, '/password');
    const link = user.signInLink === true ? createLink(this.#keys, this.#clock()) : null;
    const args = {
      actor: actorOf(caller),
      id: newId('user'),
      name,
      displayName: user.displayName ?? name,
      email: user.email ?? null,
      roles: user.roles ?? [],
      passwordHash,
      link: link?.row ?? null,
    };
    const created = await writeAsManager(
      this.#access,
      caller,
      undefined,
      (options) => this.#store.execute('identities.createUser', args, options),
      idempotency === undefined ? undefined : { ...idempotency, shownOnce: link !== null },
    );
    return link === null ? { user: created } : { user: created, link: link.link };
  }

  async list(caller: Caller, request: ListRequest): Promise<ListPage<PrincipalRecord>> {
    return readPage(this.#keys, caller.id, ['users'], request, (args) =>
      this.#store.query('identities.listPrincipals', { kind: 'user', ...args }),
    );
  }

  /** @throws StrongroomError `not_found` */
  async get(id: string): Promise<PrincipalRecord> {
    return readPrincipal(this.#store, 'user', id);
  }

  /** @throws StrongroomError `not_found`, `revision_mismatch`, `last_admin` */
  async change(caller: Caller, id: string, change: PrincipalChange, ifMatch?: number): Promise<PrincipalRecord> {
    return this.#write(caller, (options) =>
      this.#store.execute(
        'identities.changePrincipal',
        {
          actor: actorOf(caller),
          kind: 'user',
          id,
          ...sentFields(change),
          ...(ifMatch === undefined ? {} : { expectedRevision: ifMatch }),
        },
        options,
      ),
    );
  }

  /** @throws StrongroomError `not_found`, `revision_mismatch`, `last_admin` */
  async delete(caller: Caller, id: string, ifMatch?: number): Promise<void> {
    await this.#write(caller, (options) =>
      this.#store.execute(
        'identities.deletePrincipal',
        {
          actor: actorOf(caller),
          kind: 'user',
          id,
          ...(ifMatch === undefined ? {} : { expectedRevision: ifMatch }),
        },
        options,
      ),
    );
  }

  /**
   * A one-time link for the user. Nobody sets a password for somebody else: with `resetPassword` the old one is forgotten,
   * all sessions end, and the user sets a new one after signing in with the link.
   * @throws StrongroomError `not_found`, `state_conflict`
   */
  async createSignInLink(caller: Caller, userId: string, resetPassword: boolean): Promise<SignInLink> {
    const { link, row } = createLink(this.#keys, this.#clock());
    await this.#write(caller, (options) =>
      this.#store.execute(
        'identities.createSignInLink',
        {
          actor: actorOf(caller),
          userId,
          link: row,
          resetPassword,
        },
        options,
      ),
    );
    return link;
  }

  /** @throws StrongroomError `not_found` */
  async revokeSessions(caller: Caller, userId: string): Promise<void> {
    await this.#write(caller, (options) =>
      this.#store.execute('identities.revokeUserSessions', { actor: actorOf(caller), userId }, options),
    );
  }

  #write<Result>(caller: Caller, write: (options: ExecuteOptions) => Promise<Result>): Promise<Result> {
    return writeAsManager(this.#access, caller, undefined, write);
  }
}
