import { StrongroomError, type DomainPermission, type Preset } from '@strongroom/contract';
import { actorOf } from '../identities/actor.ts';
import type { Keys } from '../keys/keys.ts';
import { newId } from '../store/ids.ts';
import type { IdempotencyKey, Store } from '../store/store.ts';
import { mayHandOutPermission, mayHandOutPreset } from './authority.ts';
import { decide } from './decide.ts';
import { accessLimits, type AccessLimits, requireRoom } from './limits.ts';
import {
  alreadyGranted,
  alreadyMember,
  letsPeopleReceiveValues,
  requireAcknowledged,
  type GrantRecord,
  type MemberRecord,
  type PutMemberArgs,
} from './member-commands.ts';
import { readPage, type PageOf, type PageRequest } from './pages.ts';
import { findPrincipal, requireNamedPrincipal, type NamedPrincipal } from './principal-names.ts';
import { refusalText, type ActionAnswer } from './refusal.ts';
import type { AccessService } from './service.ts';
import type { AccessSnapshot, Caller, Decision, ScopeRef } from './types.ts';

export interface MemberView {
  readonly principal: string;
  readonly displayName: string;
  readonly preset: Preset;
  readonly managedBy?: string;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly actions: ActionAnswer[];
}

export interface GrantView {
  readonly id: string;
  readonly principal: string;
  readonly displayName: string;
  readonly permission: DomainPermission;
  readonly warning?: string;
  readonly managedBy?: string;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly actions: ActionAnswer[];
}

export interface NewGrant {
  readonly principal: string;
  readonly permission: DomainPermission;
  /** RESOLVE to people: that is meant. */
  readonly acknowledge?: boolean;
  readonly managedBy?: string;
}

type PutMember = Pick<PutMemberArgs, 'preset' | 'mode' | 'managedBy'>;

const resolveWarning =
  'RESOLVE lets people receive the values of the secrets they may use. What somebody received cannot be taken back; rotate the secrets when they leave.';

/**
 * Who stands in a domain by preset, and single permissions there. Routes have decided `access.view` or `access.manage`; what
 * the caller may hand out or take away is decided here, at the revision the change is committed at.
 */
export class Members {
  readonly #store: Store;
  readonly #access: AccessService;
  readonly #keys: Pick<Keys, 'sealCursor' | 'openCursor'>;
  readonly #limits: AccessLimits;

  constructor(
    store: Store,
    access: AccessService,
    keys: Pick<Keys, 'sealCursor' | 'openCursor'>,
    limits: AccessLimits = accessLimits,
  ) {
    this.#store = store;
    this.#access = access;
    this.#keys = keys;
    this.#limits = limits;
  }

  /** @throws StrongroomError `cursor_invalid` */
  async list(caller: Caller, scope: ScopeRef, request: PageRequest): Promise<PageOf<MemberView>> {
    return readPage(this.#keys, caller, ['members', scope.id], request, {
      read: (args) => this.#store.query('access.listMembers', { ...args, scopeId: scope.id }),
      positionOf: ({ principal }) => [principal.kind, nameOf(principal), principal.id],
      toItem: (record) => memberView(caller.snapshot, scope, record),
    });
  }

  /** @throws StrongroomError `already_exists`, `permission_missing`, `limit_exceeded`, `validation_failed` for an unknown principal */
  async add(
    caller: Caller,
    scope: ScopeRef,
    input: { readonly principal: string; readonly preset: Preset; readonly managedBy?: string },
    idempotency?: IdempotencyKey,
  ): Promise<MemberView> {
    const principal = await requireNamedPrincipal(this.#store.db, scope, input.principal, '/principal');
    const { preset, managedBy } = input;
    return this.#put(caller, scope, principal, { preset, mode: 'add', ...(managedBy && { managedBy }) }, idempotency);
  }

  /** @throws StrongroomError `permission_missing`, `validation_failed` for an unknown principal */
  async put(caller: Caller, scope: ScopeRef, name: string, preset: Preset): Promise<MemberView> {
    const principal = await requireNamedPrincipal(this.#store.db, scope, name, 'principal');
    return this.#put(caller, scope, principal, { preset, mode: 'set' });
  }

  /** What {@link add} would make, with nothing written. @throws as `add` */
  async preview(
    caller: Caller,
    scope: ScopeRef,
    { principal: name, preset, managedBy }: { principal: string; preset: Preset; managedBy?: string },
  ): Promise<MemberView> {
    const principal = await requireNamedPrincipal(this.#store.db, scope, name, '/principal');
    return this.#preview(caller, scope, principal, { preset, mode: 'add', ...(managedBy && { managedBy }) });
  }

  /** What {@link put} would make, with nothing written. @throws as `put` */
  async previewPut(caller: Caller, scope: ScopeRef, name: string, preset: Preset): Promise<MemberView> {
    const principal = await requireNamedPrincipal(this.#store.db, scope, name, 'principal');
    return this.#preview(caller, scope, principal, { preset, mode: 'set' });
  }

  async #preview(caller: Caller, scope: ScopeRef, principal: NamedPrincipal, put: PutMember): Promise<MemberView> {
    const { preset, mode, managedBy } = put;
    return this.#access.decided(caller, async (current) => {
      const existing = await this.#memberOf(scope, principal);
      await this.#requireMayPut(current, scope, preset, existing?.preset);
      if (existing !== undefined && mode === 'add') throw alreadyMember(principal, existing.preset);
      if (existing === undefined) await requireRoom(this.#store, 'members', scope.id, this.#limits.members);
      return memberView(current.snapshot, scope, {
        principal,
        preset,
        managedBy: existing === undefined ? (managedBy ?? null) : existing.managed_by,
        createdAt: Date.now(),
        createdBy: caller.name,
      });
    });
  }

  async #put(
    caller: Caller,
    scope: ScopeRef,
    principal: NamedPrincipal,
    put: PutMember,
    idempotency?: IdempotencyKey,
  ): Promise<MemberView> {
    return this.#access.decided(caller, async (current) => {
      const { snapshot } = current;
      const existing = await this.#memberOf(scope, principal);
      await this.#requireMayPut(current, scope, put.preset, existing?.preset);
      const record = await this.#store.execute(
        'access.putMember',
        { ...change(caller, scope), principal, ...put, max: this.#limits.members },
        { expectAuthorisationRevision: snapshot.revision, ...(idempotency === undefined ? {} : { idempotency }) },
      );
      return memberView(snapshot, scope, record);
    });
  }

  /** @throws StrongroomError `not_found`, `permission_missing` */
  async delete(caller: Caller, scope: ScopeRef, name: string): Promise<void> {
    const principal = await findPrincipal(this.#store.db, scope, name);
    if (principal === null) throw new StrongroomError('not_found');
    await this.#access.decided(caller, async (current) => {
      const existing = await this.#memberOf(scope, principal);
      if (existing === undefined) throw new StrongroomError('not_found');
      await this.#requireHandOut(current, scope, mayHandOutPreset(current.snapshot, scope, existing.preset));
      await this.#store.execute(
        'access.deleteMember',
        { ...change(caller, scope), principal },
        { expectAuthorisationRevision: current.snapshot.revision },
      );
    });
  }

  /** @throws StrongroomError `cursor_invalid` */
  async listGrants(caller: Caller, scope: ScopeRef, request: PageRequest): Promise<PageOf<GrantView>> {
    return readPage(this.#keys, caller, ['grants', scope.id], request, {
      read: (args) => this.#store.query('access.listGrants', { ...args, scopeId: scope.id }),
      positionOf: ({ id }) => [id],
      toItem: (record) => grantView(caller.snapshot, scope, record),
    });
  }

  /** @throws StrongroomError `already_exists`, `permission_missing`, `limit_exceeded`, `validation_failed` */
  async addGrant(caller: Caller, scope: ScopeRef, input: NewGrant, idempotency?: IdempotencyKey): Promise<GrantView> {
    const { permission, acknowledge, managedBy } = input;
    const principal = await requireNamedPrincipal(this.#store.db, scope, input.principal, '/principal');
    const id = newId('grant');
    return this.#access.decided(caller, async (current) => {
      await this.#requireHandOut(current, scope, mayHandOutPermission(current.snapshot, scope, permission));
      const record = await this.#store.execute(
        'access.addGrant',
        {
          ...change(caller, scope),
          id,
          principal,
          permission,
          isAcknowledged: acknowledge === true,
          max: this.#limits.grants,
          ...(managedBy === undefined ? {} : { managedBy }),
        },
        {
          expectAuthorisationRevision: current.snapshot.revision,
          ...(idempotency === undefined ? {} : { idempotency }),
        },
      );
      return grantView(current.snapshot, scope, record);
    });
  }

  /** What {@link addGrant} would make, with nothing written; its id is nobody's. @throws as `addGrant` */
  async previewGrant(caller: Caller, scope: ScopeRef, input: NewGrant): Promise<GrantView> {
    const { permission, acknowledge, managedBy } = input;
    const principal = await requireNamedPrincipal(this.#store.db, scope, input.principal, '/principal');
    return this.#access.decided(caller, async (current) => {
      await this.#requireHandOut(current, scope, mayHandOutPermission(current.snapshot, scope, permission));
      requireAcknowledged(permission, principal, acknowledge === true);
      const held = await this.#store.db
        .selectFrom('grants')
        .select('id')
        .where('scope_id', '=', scope.id)
        .where('principal_id', '=', principal.id)
        .where('permission', '=', permission)
        .executeTakeFirst();
      if (held !== undefined) throw alreadyGranted(principal, permission);
      await requireRoom(this.#store, 'grants', scope.id, this.#limits.grants);
      return grantView(current.snapshot, scope, {
        id: newId('grant'),
        principal,
        permission,
        managedBy: managedBy ?? null,
        createdAt: Date.now(),
        createdBy: caller.name,
      });
    });
  }

  /** @throws StrongroomError `not_found`, `permission_missing` */
  async deleteGrant(caller: Caller, scope: ScopeRef, id: string): Promise<void> {
    await this.#access.decided(caller, async (current) => {
      const row = await this.#store.db
        .selectFrom('grants')
        .select('permission')
        .where('id', '=', id)
        .where('scope_id', '=', scope.id)
        .executeTakeFirst();
      if (row === undefined) throw new StrongroomError('not_found');
      await this.#requireHandOut(current, scope, mayHandOutPermission(current.snapshot, scope, row.permission));
      await this.#store.execute(
        'access.deleteGrant',
        { ...change(caller, scope), id },
        { expectAuthorisationRevision: current.snapshot.revision },
      );
    });
  }

  /** Decided with the current snapshot: the guard's may be of before a change. */
  async #requireHandOut(caller: Caller, scope: ScopeRef, ...decisions: readonly Decision[]): Promise<void> {
    const resource = { kind: 'scope', scope } as const;
    await this.#access.require(caller, 'access.manage', resource);
    const refused = decisions.find((decision) => !decision.allow);
    if (refused !== undefined) await this.#access.refuse(caller, 'access.manage', resource, refused);
  }

  /** Replacing a stronger preset takes it away. */
  #requireMayPut(current: Caller, scope: ScopeRef, preset: Preset, existing: Preset | undefined): Promise<void> {
    const presets = existing === undefined ? [preset] : [preset, existing];
    return this.#requireHandOut(
      current,
      scope,
      ...presets.map((each) => mayHandOutPreset(current.snapshot, scope, each)),
    );
  }

  #memberOf(scope: ScopeRef, principal: NamedPrincipal) {
    return this.#store.db
      .selectFrom('members')
      .select(['preset', 'managed_by'])
      .where('scope_id', '=', scope.id)
      .where('principal_id', '=', principal.id)
      .executeTakeFirst();
  }
}

function change(caller: Caller, scope: ScopeRef) {
  return { actor: actorOf(caller), scope: { id: scope.id, name: scope.name } };
}

/** The part of the label that lists are ordered by. */
function nameOf(principal: NamedPrincipal): string {
  return principal.label.slice(Math.max(principal.label.indexOf(':'), principal.label.lastIndexOf('/')) + 1);
}

function memberView(snapshot: AccessSnapshot, scope: ScopeRef, record: MemberRecord): MemberView {
  return {
    principal: record.principal.label,
    displayName: record.principal.displayName,
    preset: record.preset,
    ...(record.managedBy === null ? {} : { managedBy: record.managedBy }),
    createdAt: new Date(record.createdAt).toISOString(),
    createdBy: record.createdBy,
    actions: [manageAction(snapshot, scope, mayHandOutPreset(snapshot, scope, record.preset))],
  };
}

function grantView(snapshot: AccessSnapshot, scope: ScopeRef, record: GrantRecord): GrantView {
  return {
    id: record.id,
    principal: record.principal.label,
    displayName: record.principal.displayName,
    permission: record.permission,
    ...(letsPeopleReceiveValues(record.permission, record.principal.kind) ? { warning: resolveWarning } : {}),
    ...(record.managedBy === null ? {} : { managedBy: record.managedBy }),
    createdAt: new Date(record.createdAt).toISOString(),
    createdBy: record.createdBy,
    actions: [manageAction(snapshot, scope, mayHandOutPermission(snapshot, scope, record.permission))],
  };
}

function manageAction(snapshot: AccessSnapshot, scope: ScopeRef, handOut: Decision): ActionAnswer {
  const resource = { kind: 'scope', scope } as const;
  const manages = decide(snapshot, 'access.manage', resource);
  const decision = manages.allow ? handOut : manages;
  return decision.allow
    ? { action: 'access.manage', allowed: true }
    : { action: 'access.manage', allowed: false, reason: refusalText(decision, resource) };
}
