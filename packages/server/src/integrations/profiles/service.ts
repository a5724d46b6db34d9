import { randomUUID } from 'node:crypto';
import {
  type profileRoutes,
  profileSettings,
  type ResponseOf,
  type ScopeKind,
  StrongroomError,
} from '@strongroom/contract';
import { type PageOf, type PageRequest, readPage, wholeList } from '../../access/pages.ts';
import { actionsOn } from '../../access/refusal.ts';
import type { AccessService } from '../../access/service.ts';
import type { Caller, ScopeRef } from '../../access/types.ts';
import type { AuditEvent } from '../../audit/event.ts';
import { actorOf } from '../../identities/actor.ts';
import type { Keys } from '../../keys/keys.ts';
import { time } from '../../secrets/metadata.ts';
import { newId } from '../../store/ids.ts';
import { requireSameAsMade } from '../../store/replayed.ts';
import type { IdempotencyKey, Store, Writer } from '../../store/store.ts';
import { changedNames } from '../../surfaces/compare.ts';
import { checkAddresses, type OpenEgress, type Settings, storedSettings } from '../connection.ts';
import type { BindingRow, ProfileRow } from './commands.ts';
import type { ListedProfile } from './queries.ts';

type RouteOf<Id extends string> = Extract<(typeof profileRoutes)[number], { readonly id: Id }>;
type ProfileView = ResponseOf<RouteOf<'showProfile'>>;

interface BindingInput {
  readonly scope: ScopeKind;
  readonly domain?: string;
  readonly prefix?: string;
}

interface ProfileLabelling {
  readonly description?: string;
  readonly bindings?: readonly BindingInput[];
}

/** Identities of the server, lent to integrations of named scopes. Made by platform administrators alone. */
export class Profiles {
  readonly #store: Store;
  readonly #access: AccessService;
  readonly #keys: Pick<Keys, 'sealCursor' | 'openCursor'>;
  readonly #egress: OpenEgress;

  constructor(store: Store, access: AccessService, keys: Pick<Keys, 'sealCursor' | 'openCursor'>, egress: OpenEgress) {
    this.#store = store;
    this.#access = access;
    this.#keys = keys;
    this.#egress = egress;
  }

  /** @throws StrongroomError `already_exists`, `validation_failed`, `egress_denied` */
  async create(
    caller: Caller,
    input: ProfileLabelling & { readonly name: string; readonly type: ProfileRow['type']; readonly settings: Settings },
    idempotency?: IdempotencyKey,
  ): Promise<ProfileView> {
    await checkAddresses(this.#egress, input.settings);
    const id = newId('profile');
    const bindings = await this.#bindings(caller, input.bindings ?? []);
    const made = await this.#writer(caller).execute(
      'profile.create',
      {
        id,
        name: input.name,
        type: input.type,
        description: input.description ?? '',
        settings: JSON.stringify(input.settings),
        externalId: `strongroom-${randomUUID()}`,
        bindings,
        by: caller.name,
      },
      {
        audit: [profileEvent(caller, { id, name: input.name }, ['create', input.type], { bindings: bindings.length })],
        ...(idempotency === undefined ? {} : { idempotency }),
      },
    );
    const view = await this.get(caller, input.name);
    requireSameAsMade(made.id, view);
    return view;
  }

  /** @throws StrongroomError `cursor_invalid` */
  async list(caller: Caller, request: PageRequest): Promise<PageOf<ProfileView>> {
    return readPage(this.#keys, caller, ['profiles'], request, {
      read: (args) => this.#store.query('profile.list', args),
      positionOf: ({ name }) => [name],
      toItem: (row) => profileView(caller, row),
    });
  }

  /** @throws StrongroomError `not_found` */
  async get(caller: Caller, name: string): Promise<ProfileView> {
    return profileView(caller, await this.#require(name));
  }

  /** @throws StrongroomError `not_found`, `revision_mismatch`, `validation_failed`, `egress_denied` */
  async update(
    caller: Caller,
    name: string,
    changes: ProfileLabelling & { readonly settings?: Settings },
    ifMatch: number | undefined,
  ): Promise<ProfileView> {
    const row = await this.#require(name, ifMatch);
    const before = storedSettings(row.settings);
    const settings = changes.settings ?? before;
    if (changes.settings !== undefined) {
      await requireSettingsOf(row.type, settings);
      await checkAddresses(this.#egress, settings);
    }
    const bindings = changes.bindings === undefined ? null : await this.#bindings(caller, changes.bindings);
    const because = [
      'update',
      ...changedNames(before, settings).map((each) => `settings:${each}`),
      ...(changes.description === undefined ? [] : ['description']),
      ...(bindings === null ? [] : ['bindings']),
    ];
    await this.#writer(caller).execute(
      'profile.update',
      {
        id: row.id,
        revision: row.revision,
        description: changes.description ?? row.description,
        settings: JSON.stringify(settings),
        bindings,
        by: caller.name,
      },
      { audit: [profileEvent(caller, row, because)] },
    );
    return this.get(caller, name);
  }

  /** @throws StrongroomError `not_found`, `revision_mismatch`, `in_use` */
  async delete(caller: Caller, name: string, ifMatch: number | undefined): Promise<void> {
    const row = await this.#require(name, ifMatch);
    await this.#writer(caller).execute(
      'profile.delete',
      { id: row.id, revision: row.revision },
      { audit: [profileEvent(caller, row, ['delete'])] },
    );
  }

  /** What integrations of a domain may name. @throws StrongroomError `cursor_invalid` */
  async boundTo(caller: Caller, scope: ScopeRef, { limit = wholeList, cursor }: PageRequest) {
    const request = { limit, ...(cursor === undefined ? {} : { cursor }) };
    return readPage(this.#keys, caller, ['profiles', scope.id], request, {
      read: ({ after, limit: rows }) => this.#store.query('profile.boundTo', { scopeId: scope.id, after, limit: rows }),
      positionOf: ({ name }) => [name],
      toItem: ({ name, type, description, settings, prefix }) => ({
        name,
        type,
        description,
        settings: storedSettings(settings) as ProfileView['settings'],
        prefix,
      }),
    });
  }

  #writer(caller: Caller): Writer {
    return this.#access.writer(caller, 'profile.manage', { kind: 'platform' });
  }

  async #require(name: string, ifMatch?: number): Promise<ListedProfile> {
    const [row] = await this.#store.query('profile.list', { name, q: null, after: null, limit: 1 });
    if (row === undefined) throw new StrongroomError('not_found');
    if (ifMatch !== undefined && ifMatch !== row.revision)
      throw new StrongroomError('revision_mismatch', { detail: `It is at revision ${row.revision}.` });
    return row;
  }

  async #bindings(caller: Caller, inputs: readonly BindingInput[]): Promise<readonly BindingRow[]> {
    const rows = await Promise.all(
      inputs.map(async ({ scope: kind, domain, prefix = '' }, index): Promise<BindingRow> => {
        if ((kind === 'domain') !== (domain !== undefined))
          throw invalid(`/bindings/${index}/domain`, 'goes with scope: domain');
        const scope = await this.#access.findScope(caller.snapshot, kind, domain ?? kind);
        if (scope === null) throw invalid(`/bindings/${index}/domain`, 'no such domain');
        return { scopeId: scope.id, prefix };
      }),
    );
    const seen = new Set<string>();
    for (const [index, { scopeId }] of rows.entries()) {
      if (seen.has(scopeId))
        throw invalid(`/bindings/${index}`, 'is there twice; one profile has one prefix in a scope');
      seen.add(scopeId);
    }
    return rows;
  }
}

/** A union takes the settings of any kind. */
async function requireSettingsOf(type: ProfileRow['type'], settings: Settings): Promise<void> {
  const { Value } = await import('typebox/value');
  if (!Value.Check(profileSettings[type], settings))
    throw invalid('/settings', `are not those of a profile of the kind ${type}`);
}

function profileView(caller: Caller, row: ListedProfile): ProfileView {
  return {
    id: row.id,
    name: row.name,
    type: row.type,
    description: row.description,
    settings: storedSettings(row.settings) as ProfileView['settings'],
    externalId: row.external_id,
    bindings: row.bindings.map(({ kind, name, prefix }) => ({
      scope: kind,
      ...(kind === 'domain' ? { domain: name } : {}),
      prefix,
    })),
    usedBy: row.integrations,
    revision: row.revision,
    createdAt: time(row.created_at),
    createdBy: row.created_by,
    updatedAt: time(row.updated_at),
    updatedBy: row.updated_by,
    actions: actionsOn(caller.snapshot, ['profile.manage'], { kind: 'platform' }),
  };
}

function profileEvent(
  caller: Caller,
  { id, name }: { readonly id: string; readonly name: string },
  because: readonly string[],
  detail?: AuditEvent['detail'],
): AuditEvent {
  return {
    ...actorOf(caller),
    action: 'profile.manage',
    outcome: 'allowed',
    object: { type: 'profile', id, name },
    because,
    ...(detail === undefined ? {} : { detail }),
  };
}

function invalid(pointer: string, message: string): StrongroomError {
  return new StrongroomError('validation_failed', { errors: [{ pointer, message }] });
}
