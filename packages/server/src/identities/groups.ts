import type { PlatformRole } from '@strongroom/contract';
import type { Caller } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import { newId } from '../store/ids.ts';
import type { ExecuteOptions, IdempotencyKey, Store } from '../store/store.ts';
import { actorOf } from './actor.ts';
import { type ManagingAccess, writeAsManager } from './authority.ts';
import { type ListPage, type ListRequest, readPage } from './lists.ts';
import type { PrincipalRecord } from './principals.ts';
import type { MemberRecord } from './queries.ts';
import { type PrincipalChange, readPrincipal, sentFields } from './users.ts';

export interface NewGroup {
  readonly name: string;
  readonly displayName?: string | undefined;
  readonly roles?: readonly PlatformRole[] | undefined;
}

/** Groups of users and of the platform's service accounts. Managing them is managing identities: groups can hold roles. */
export class GroupService {
  readonly #store: Store;
  readonly #keys: Keys;
  readonly #access: ManagingAccess;

  constructor(store: Store, keys: Keys, access: ManagingAccess) {
    this.#store = store;
    this.#keys = keys;
    this.#access = access;
  }

  /** @throws StrongroomError `already_exists` */
  async create(caller: Caller, group: NewGroup, idempotency?: IdempotencyKey): Promise<PrincipalRecord> {
    return this.#write(
      caller,
      (options) =>
        this.#store.execute(
          'identities.createGroup',
          {
            actor: actorOf(caller),
            id: newId('group'),
            name: group.name,
            displayName: group.displayName ?? group.name,
            roles: group.roles ?? [],
          },
          options,
        ),
      idempotency,
    );
  }

  async list(caller: Caller, request: ListRequest): Promise<ListPage<PrincipalRecord>> {
    return readPage(this.#keys, caller.id, ['groups'], request, (args) =>
      this.#store.query('identities.listPrincipals', { kind: 'group', ...args }),
    );
  }

  /** @throws StrongroomError `not_found` */
  async get(id: string): Promise<PrincipalRecord> {
    return readPrincipal(this.#store, 'group', id);
  }

  /** @throws StrongroomError `not_found`, `revision_mismatch`, `last_admin` */
  async change(caller: Caller, id: string, change: PrincipalChange, ifMatch?: number): Promise<PrincipalRecord> {
    return this.#write(caller, (options) =>
      this.#store.execute(
        'identities.changePrincipal',
        {
          actor: actorOf(caller),
          kind: 'group',
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
          kind: 'group',
          id,
          ...(ifMatch === undefined ? {} : { expectedRevision: ifMatch }),
        },
        options,
      ),
    );
  }

  /** @throws StrongroomError `not_found`, `cursor_invalid` */
  async listMembers(caller: Caller, groupId: string, request: ListRequest): Promise<ListPage<MemberRecord>> {
    await this.get(groupId);
    return readPage(this.#keys, caller.id, ['members', groupId], request, ({ limit, prefix, after }) =>
      this.#store.query('identities.listGroupMembers', {
        groupId,
        limit,
        ...(prefix === undefined ? {} : { prefix }),
        ...(after === undefined ? {} : { after }),
      }),
    );
  }

  /** @throws StrongroomError `not_found`, `state_conflict`, `limit_exceeded` */
  async addMember(caller: Caller, groupId: string, principalId: string): Promise<void> {
    await this.#write(caller, (options) =>
      this.#store.execute('identities.addGroupMember', { actor: actorOf(caller), groupId, principalId }, options),
    );
  }

  /** @throws StrongroomError `not_found`, `last_admin` */
  async removeMember(caller: Caller, groupId: string, principalId: string): Promise<void> {
    await this.#write(caller, (options) =>
      this.#store.execute('identities.removeGroupMember', { actor: actorOf(caller), groupId, principalId }, options),
    );
  }

  #write<Result>(
    caller: Caller,
    write: (options: ExecuteOptions) => Promise<Result>,
    idempotency?: IdempotencyKey,
  ): Promise<Result> {
    return writeAsManager(this.#access, caller, undefined, write, idempotency);
  }
}
