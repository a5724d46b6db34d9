import { type Action, type StoreName, StrongroomError } from '@strongroom/contract';
import { isDomainOwner } from '../access/decide.ts';
import { readPage, type PageOf, type PageRequest } from '../access/pages.ts';
import { actionsOn, type ActionAnswer } from '../access/refusal.ts';
import type { AccessService } from '../access/service.ts';
import type { AccessSnapshot, Caller, Resource, ScopeRef } from '../access/types.ts';
import type { ManagedSettings } from '../config/managed-settings.ts';
import { actorOf } from '../identities/actor.ts';
import type { Keys } from '../keys/keys.ts';
import { requireConfigured } from '../managed-stores/choice.ts';
import { requireChoosable } from '../managed-stores/commands.ts';
import { sourceTypeOf } from '../managed-stores/store-names.ts';
import { newId } from '../store/ids.ts';
import type { IdempotencyKey, Store } from '../store/store.ts';
import { domainRecord, type DomainRecord, requireFreeName, requireRevision } from './commands.ts';

export interface DomainView {
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
  readonly description: string;
  readonly store: StoreName;
  readonly managedBy?: string;
  readonly revision: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly actions: ActionAnswer[];
}

export interface DomainText {
  readonly displayName?: string;
  readonly description?: string;
  /** Where its values will be. */
  readonly store?: StoreName;
}

export interface NewDomain extends DomainText {
  readonly name: string;
  readonly managedBy?: string;
}

export interface DomainsParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly keys: Pick<Keys, 'sealCursor' | 'openCursor'>;
  /** After the commit: drops what this process still holds of the domain, such as its opened keys. */
  readonly onDelete: (scopeId: string) => void;
  readonly managed: Pick<ManagedSettings, 'stores' | 'vault'>;
}

/** What a domain's page offers, with reasons. */
const domainActions: readonly Action[] = [
  'domain.manage',
  'access.manage',
  'secret.list',
  'secret.manage',
  'integration.create',
  'bundle.create',
  'spark-job.create',
  'compute-cluster.create',
  'notebook.create',
  'storage-config.create',
  'connection.create',
  'launch.create',
  'scope.audit',
];

/** Any domain: who sees it sees all of them. */
const anywhere: Resource = { kind: 'scope', scope: { id: '', kind: 'domain', name: '' } };

/** Domains. Routes have decided `domain.create`, `domain.view` or `domain.manage`. */
export class Domains {
  readonly #store: Store;
  readonly #access: AccessService;
  readonly #keys: DomainsParts['keys'];
  readonly #onDelete: DomainsParts['onDelete'];
  readonly #managed: DomainsParts['managed'];

  constructor(parts: DomainsParts) {
    this.#store = parts.store;
    this.#access = parts.access;
    this.#keys = parts.keys;
    this.#onDelete = parts.onDelete;
    this.#managed = parts.managed;
  }

  /** Those the caller sees. @throws StrongroomError `cursor_invalid` */
  async list(caller: Caller, request: PageRequest): Promise<PageOf<DomainView>> {
    const { snapshot } = caller;
    const ids = this.#access.decide(snapshot, 'domain.view', anywhere).allow ? null : [...snapshot.domains.keys()];
    return readPage(this.#keys, caller, ['domains'], request, {
      read: (args) => this.#store.query('domains.list', { ...args, ids }),
      positionOf: ({ name }) => [name],
      toItem: (record) => domainView(snapshot, record),
    });
  }

  /** The caller becomes OWNER. @throws StrongroomError `already_exists` */
  async create(caller: Caller, input: NewDomain, idempotency?: IdempotencyKey): Promise<DomainView> {
    const store = this.#storeFor(input);
    const record = await this.#access.writer(caller, 'domain.create', { kind: 'platform' }).execute(
      'domains.create',
      {
        actor: actorOf(caller),
        id: newId('scope'),
        sourceId: newId('source'),
        name: input.name,
        displayName: input.displayName ?? input.name,
        description: input.description ?? '',
        store,
        ownerId: caller.id,
        ...(input.managedBy === undefined ? {} : { managedBy: input.managedBy }),
      },
      idempotency === undefined ? {} : { idempotency },
    );
    // The caller stands in it only since now.
    return this.#access.decided(caller, async (current) => domainView(current.snapshot, record));
  }

  /** What {@link create} would make, with nothing written; its id is nobody's. @throws as `create` */
  async previewCreation(caller: Caller, input: NewDomain): Promise<DomainView> {
    const store = this.#storeFor(input);
    return this.#access.decided(caller, async (current) => {
      await this.#access.require(current, 'domain.create', { kind: 'platform' });
      await requireFreeName(this.#store.db, input.name);
      const now = Date.now();
      return domainView(current.snapshot, {
        id: newId('scope'),
        name: input.name,
        displayName: input.displayName ?? input.name,
        description: input.description ?? '',
        store,
        managedBy: input.managedBy ?? null,
        revision: 1,
        createdAt: now,
        updatedAt: now,
      });
    });
  }

  #storeFor(input: NewDomain): StoreName {
    const store = input.store ?? this.#managed.stores.domains ?? 'database';
    requireConfigured(store, this.#managed, '/store');
    return store;
  }

  /** @throws StrongroomError `not_found` */
  async get(caller: Caller, scope: ScopeRef): Promise<DomainView> {
    return domainView(caller.snapshot, await this.#record(scope));
  }

  async #record(scope: ScopeRef): Promise<DomainRecord> {
    const row = await this.#store.db
      .selectFrom('scopes')
      .innerJoin('sources', 'sources.scope_id', 'scopes.id')
      .selectAll('scopes')
      .select('sources.type as source_type')
      .where('scopes.id', '=', scope.id)
      .where('sources.name', '=', 'managed')
      .where('scopes.deleted_at', 'is', null)
      .executeTakeFirst();
    if (row === undefined) throw new StrongroomError('not_found');
    return domainRecord(row);
  }

  /** @throws StrongroomError `not_found`, `permission_missing`, `revision_mismatch` */
  async update(caller: Caller, scope: ScopeRef, changes: DomainText, expectedRevision?: number): Promise<DomainView> {
    if (changes.store !== undefined) requireConfigured(changes.store, this.#managed, '/store');
    return this.#access.decided(caller, async (current) => {
      await this.#access.require(current, 'domain.manage', { kind: 'scope', scope });
      const record = await this.#store.execute(
        'domains.update',
        {
          actor: actorOf(caller),
          id: scope.id,
          ...changes,
          ...(expectedRevision === undefined ? {} : { expectedRevision }),
        },
        { expectAuthorisationRevision: current.snapshot.revision },
      );
      return domainView(current.snapshot, record);
    });
  }

  /** What {@link update} would make of it, with nothing written. @throws as `update`; `state_conflict` */
  async previewUpdate(
    caller: Caller,
    scope: ScopeRef,
    { displayName, description, store }: DomainText,
    expectedRevision?: number,
  ): Promise<DomainView> {
    if (store !== undefined) requireConfigured(store, this.#managed, '/store');
    return this.#access.decided(caller, async (current) => {
      await this.#access.require(current, 'domain.manage', { kind: 'scope', scope });
      const record = await this.#record(scope);
      requireRevision(record, expectedRevision);
      if (store !== undefined) await requireChoosable(this.#store, scope.id, sourceTypeOf(store));
      return domainView(current.snapshot, {
        ...record,
        displayName: displayName ?? record.displayName,
        description: description ?? record.description,
        store: store ?? record.store,
        revision: record.revision + 1,
        updatedAt: Date.now(),
      });
    });
  }

  /** @throws StrongroomError `not_found`, `permission_missing` */
  async requireMayDelete(caller: Caller, scope: ScopeRef): Promise<void> {
    const resource: Resource = { kind: 'scope', scope };
    await this.#access.require(caller, 'domain.manage', resource);
    if (!isDomainOwner(caller.snapshot, scope.id))
      await this.#access.refuse(caller, 'domain.manage', resource, { allow: false, because: ['missing:OWNER'] });
  }

  /**
   * For owners alone: a single MANAGE_ACCESS is about who may what, not about destroying keys.
   * @throws StrongroomError `not_found`, `permission_missing`, `revision_mismatch`, `in_use`, `state_conflict`
   */
  async delete(
    caller: Caller,
    scope: ScopeRef,
    options: { readonly force: boolean; readonly expectedRevision?: number },
  ): Promise<void> {
    await this.#access.decided(caller, async (current) => {
      await this.requireMayDelete(current, scope);
      await this.#store.execute(
        'domains.delete',
        { actor: actorOf(caller), id: scope.id, ...options },
        { expectAuthorisationRevision: current.snapshot.revision },
      );
    });
    this.#onDelete(scope.id);
  }
}

function domainView(snapshot: AccessSnapshot, record: DomainRecord): DomainView {
  const resource: Resource = { kind: 'scope', scope: { id: record.id, kind: 'domain', name: record.name } };
  return {
    id: record.id,
    name: record.name,
    displayName: record.displayName,
    description: record.description,
    store: record.store,
    ...(record.managedBy === null ? {} : { managedBy: record.managedBy }),
    revision: record.revision,
    createdAt: new Date(record.createdAt).toISOString(),
    updatedAt: new Date(record.updatedAt).toISOString(),
    actions: actionsOn(snapshot, domainActions, resource),
  };
}
