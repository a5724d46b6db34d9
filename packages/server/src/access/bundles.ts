import { assetPermissions, StrongroomError, type AssetPermission, type AssetType } from '@strongroom/contract';
import { actorOf } from '../identities/actor.ts';
import type { Keys } from '../keys/keys.ts';
import { newId } from '../store/ids.ts';
import { requireSameAsMade } from '../store/replayed.ts';
import type { IdempotencyKey, Store } from '../store/store.ts';
import { mayHandOutOnBundle, ownsBundle } from './authority.ts';
import { bundleExists, type BundleRecord, requireOwnable, requireRevision } from './bundle-commands.ts';
import { bundleGrantView, bundleView, type BundleGrantView, type BundleView } from './bundle-views.ts';
import { decide } from './decide.ts';
import { defaultBundleIdOf } from './default-bundle.ts';
import { accessLimits, type AccessLimits, requireRoom } from './limits.ts';
import { readPage, type PageOf, type PageRequest } from './pages.ts';
import { findPrincipal, requireNamedPrincipal, type NamedPrincipal } from './principal-names.ts';
import type { AccessService } from './service.ts';
import type { Caller, Decision, ScopeRef } from './types.ts';

export interface NewBundle {
  readonly name: string;
  readonly description?: string;
  /** Default: the caller. */
  readonly owner?: string;
  readonly managedBy?: string;
}

export interface BundleChanges {
  readonly description?: string;
  readonly owner?: string;
}

export interface NewBundleGrant {
  readonly principal: string;
  readonly assetType: AssetType;
  readonly permissions: readonly AssetPermission[];
}

/** The bundle of a domain by name. @throws StrongroomError `not_found` */
export async function findBundle(store: Store, scope: ScopeRef, name: string): Promise<BundleRecord> {
  const [bundle] = await store.query('access.listBundles', { scopeId: scope.id, name, q: null, after: null, limit: 1 });
  if (bundle === undefined) throw new StrongroomError('not_found');
  return bundle;
}

/**
 * Bundles and what is granted on them. Routes have decided `access.view`, or `bundle.create`; who may change which bundle is
 * decided here, with the bundle at hand and at the revision the change is committed at.
 */
export class Bundles {
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
  async list(caller: Caller, scope: ScopeRef, request: PageRequest): Promise<PageOf<BundleView>> {
    return readPage(this.#keys, caller, ['bundles', scope.id], request, {
      read: (args) => this.#store.query('access.listBundles', { ...args, scopeId: scope.id }),
      positionOf: ({ name }) => [name],
      toItem: (bundle) => bundleView(caller.snapshot, scope, bundle),
    });
  }

  /** @throws StrongroomError `already_exists`, `permission_missing`, `limit_exceeded`, `validation_failed` for an unknown owner */
  async create(caller: Caller, scope: ScopeRef, input: NewBundle, idempotency?: IdempotencyKey): Promise<BundleView> {
    const id = newId('bundle');
    const { name, description = '', managedBy } = input;
    const made = await this.#access.decided(caller, async (current) => {
      await this.#access.require(current, 'bundle.create', { kind: 'scope', scope });
      const owner = await this.#ownerOf(current, scope, input);
      return this.#store.execute(
        'access.createBundle',
        {
          ...change(caller, scope),
          id,
          name,
          description,
          owner,
          max: this.#limits.bundles,
          ...(managedBy && { managedBy }),
        },
        {
          expectAuthorisationRevision: current.snapshot.revision,
          ...(idempotency === undefined ? {} : { idempotency }),
        },
      );
    });
    // Only now the caller owns it: what it may do with it is said by a new snapshot.
    const view = await this.#access.decided(caller, async (current) => this.get(current, scope, name));
    requireSameAsMade(made.id, view);
    return view;
  }

  /** What {@link create} would make, with nothing written; its id is nobody's. @throws as `create` */
  async previewCreation(caller: Caller, scope: ScopeRef, input: NewBundle): Promise<BundleView> {
    const { name, description = '', managedBy } = input;
    return this.#access.decided(caller, async (current) => {
      await this.#access.require(current, 'bundle.create', { kind: 'scope', scope });
      const owner = await this.#ownerOf(current, scope, input);
      const bundles = await this.#store.query('surfaces.bundles', { scopeId: scope.id });
      if (bundles.some((each) => each.name === name)) throw bundleExists(name);
      await requireRoom(this.#store, 'bundles', scope.id, this.#limits.bundles);
      const now = Date.now();
      return bundleView(current.snapshot, scope, {
        id: newId('bundle'),
        name,
        description,
        owner,
        isDefault: false,
        managedBy: managedBy ?? null,
        revision: 1,
        createdAt: now,
        updatedAt: now,
      });
    });
  }

  async #ownerOf(caller: Caller, scope: ScopeRef, { owner }: NewBundle): Promise<NamedPrincipal> {
    if (owner !== undefined) return this.#requireInvitable(caller, scope, owner, '/owner');
    return { id: caller.id, kind: caller.kind, label: caller.name, displayName: caller.name };
  }

  /** @throws StrongroomError `not_found` */
  async get(caller: Caller, scope: ScopeRef, name: string): Promise<BundleView> {
    return bundleView(caller.snapshot, scope, await findBundle(this.#store, scope, name));
  }

  /** @throws StrongroomError `not_found`, `permission_missing`, `revision_mismatch`, `state_conflict`, `validation_failed` */
  async update(
    caller: Caller,
    scope: ScopeRef,
    name: string,
    changes: BundleChanges,
    expectedRevision?: number,
  ): Promise<BundleView> {
    await this.#access.decided(caller, async (current) => {
      const { bundle, owner } = await this.#requireMayUpdate(current, scope, name, changes);
      await this.#store.execute(
        'access.updateBundle',
        {
          ...change(caller, scope),
          bundleId: bundle.id,
          ...(changes.description === undefined ? {} : { description: changes.description }),
          ...(owner === undefined ? {} : { owner }),
          ...(expectedRevision === undefined ? {} : { expectedRevision }),
        },
        { expectAuthorisationRevision: current.snapshot.revision },
      );
    });
    return this.#access.decided(caller, async (current) => this.get(current, scope, name));
  }

  /** What {@link update} would make of it, with nothing written. @throws as `update` */
  async previewUpdate(
    caller: Caller,
    scope: ScopeRef,
    name: string,
    changes: BundleChanges,
    expectedRevision?: number,
  ): Promise<BundleView> {
    return this.#access.decided(caller, async (current) => {
      const { bundle, owner } = await this.#requireMayUpdate(current, scope, name, changes);
      requireRevision(bundle, expectedRevision);
      if (owner !== undefined) requireOwnable(bundle);
      return bundleView(current.snapshot, scope, {
        ...bundle,
        description: changes.description ?? bundle.description,
        owner: owner ?? bundle.owner,
        revision: bundle.revision + 1,
        updatedAt: Date.now(),
      });
    });
  }

  async #requireMayUpdate(current: Caller, scope: ScopeRef, name: string, { owner }: BundleChanges) {
    const bundle = await this.requireOwned(current, scope, name);
    if (owner === undefined) return { bundle };
    return { bundle, owner: await this.#requireInvitable(current, scope, owner, '/owner') };
  }

  /** @throws StrongroomError `not_found`, `permission_missing`, `revision_mismatch`, `state_conflict`, `in_use` */
  async delete(
    caller: Caller,
    scope: ScopeRef,
    name: string,
    options: { readonly force: boolean; readonly expectedRevision?: number },
  ): Promise<void> {
    await this.#access.decided(caller, async (current) => {
      const bundle = await this.requireOwned(current, scope, name);
      await this.#store.execute(
        'access.deleteBundle',
        { ...change(caller, scope), ...options, bundleId: bundle.id, defaultBundleId: defaultBundleIdOf(scope.id) },
        { expectAuthorisationRevision: current.snapshot.revision },
      );
    });
  }

  /** @throws StrongroomError `not_found`, `cursor_invalid` */
  async listGrants(
    caller: Caller,
    scope: ScopeRef,
    name: string,
    request: PageRequest,
  ): Promise<PageOf<BundleGrantView>> {
    const bundle = await findBundle(this.#store, scope, name);
    return readPage(this.#keys, caller, ['bundle-grants', bundle.id], request, {
      read: (args) => this.#store.query('access.listBundleGrants', { ...args, bundleId: bundle.id }),
      positionOf: ({ id }) => [id],
      toItem: (grant) => bundleGrantView(caller.snapshot, scope, bundle.id, grant),
    });
  }

  /**
   * In place of what the principal had on this asset type.
   * @throws StrongroomError `not_found`, `permission_missing`, `limit_exceeded`, `validation_failed` for permissions the asset
   * type hasn't
   */
  async putGrant(
    caller: Caller,
    scope: ScopeRef,
    name: string,
    input: NewBundleGrant,
    idempotency?: IdempotencyKey,
  ): Promise<BundleGrantView> {
    const id = newId('grant');
    return this.#access.decided(caller, async (current) => {
      const { snapshot } = current;
      const { bundle, principal, permissions } = await this.#requireMayGrant(current, scope, name, input);
      const record = await this.#store.execute(
        'access.putBundleGrant',
        {
          ...change(caller, scope),
          bundleId: bundle.id,
          id,
          principal,
          assetType: input.assetType,
          permissions,
          max: this.#limits.bundle_grants,
        },
        { expectAuthorisationRevision: snapshot.revision, ...(idempotency === undefined ? {} : { idempotency }) },
      );
      return bundleGrantView(snapshot, scope, bundle.id, record);
    });
  }

  /** What {@link putGrant} would make, with nothing written; the id of a new one is nobody's. @throws as `putGrant` */
  async previewGrant(caller: Caller, scope: ScopeRef, name: string, input: NewBundleGrant): Promise<BundleGrantView> {
    return this.#access.decided(caller, async (current) => {
      const { bundle, principal, permissions, replaced } = await this.#requireMayGrant(current, scope, name, input);
      if (replaced === undefined) await requireRoom(this.#store, 'bundle_grants', scope.id, this.#limits.bundle_grants);
      return bundleGrantView(current.snapshot, scope, bundle.id, {
        id: replaced?.id ?? newId('grant'),
        principal,
        assetType: input.assetType,
        permissions,
        createdAt: Date.now(),
        createdBy: caller.name,
      });
    });
  }

  async #requireMayGrant(current: Caller, scope: ScopeRef, name: string, input: NewBundleGrant) {
    const { assetType } = input;
    const permissions = requirePermissions(assetType, input.permissions);
    const bundle = await findBundle(this.#store, scope, name);
    const mayHandOut = (words: readonly AssetPermission[]) =>
      this.#requireAllowed(current, scope, mayHandOutOnBundle(current.snapshot, scope, bundle.id, assetType, words));
    await mayHandOut(permissions);
    const principal = await this.#requireInvitable(current, scope, input.principal, '/principal');
    const replaced = await this.#grantOf(bundle, { principalId: principal.id, assetType });
    // What takes the place of more takes that away.
    await mayHandOut(replaced?.permissions ?? []);
    return { bundle, principal, permissions, replaced };
  }

  /** @throws StrongroomError `not_found`, `permission_missing` */
  async deleteGrant(caller: Caller, scope: ScopeRef, name: string, id: string): Promise<void> {
    await this.#access.decided(caller, async (current) => {
      const bundle = await this.requireMayRevoke(current, scope, name, id);
      await this.#store.execute(
        'access.deleteBundleGrant',
        { ...change(caller, scope), bundleId: bundle.id, id },
        { expectAuthorisationRevision: current.snapshot.revision },
      );
    });
  }

  /** A bundle that is the caller's to change. @throws StrongroomError `not_found`, `permission_missing` */
  async requireOwned(caller: Caller, scope: ScopeRef, name: string): Promise<BundleRecord> {
    const bundle = await findBundle(this.#store, scope, name);
    await this.#requireAllowed(caller, scope, ownsBundle(caller.snapshot, scope, bundle.id));
    return bundle;
  }

  /** The bundle of a grant that the caller may take back. @throws StrongroomError `not_found`, `permission_missing` */
  async requireMayRevoke(caller: Caller, scope: ScopeRef, name: string, id: string): Promise<BundleRecord> {
    const bundle = await findBundle(this.#store, scope, name);
    const grant = await this.#grantOf(bundle, { id });
    if (grant === undefined) throw new StrongroomError('not_found');
    const decision = mayHandOutOnBundle(caller.snapshot, scope, bundle.id, grant.assetType, grant.permissions);
    await this.#requireAllowed(caller, scope, decision);
    return bundle;
  }

  async #grantOf(
    bundle: BundleRecord,
    which: { readonly id: string } | { readonly principalId: string; readonly assetType: AssetType },
  ): Promise<
    { readonly id: string; readonly assetType: AssetType; readonly permissions: readonly AssetPermission[] } | undefined
  > {
    const query = this.#store.db
      .selectFrom('bundle_grants')
      .select(['id', 'asset_type', 'permissions'])
      .where('bundle_id', '=', bundle.id);
    const row = await (
      'id' in which
        ? query.where('id', '=', which.id)
        : query.where('principal_id', '=', which.principalId).where('asset_type', '=', which.assetType)
    ).executeTakeFirst();
    return row === undefined
      ? undefined
      : { id: row.id, assetType: row.asset_type, permissions: JSON.parse(row.permissions) as AssetPermission[] };
  }

  async #requireAllowed(caller: Caller, scope: ScopeRef, decision: Decision): Promise<void> {
    if (!decision.allow) await this.#access.refuse(caller, 'access.manage', { kind: 'scope', scope }, decision);
  }

  /**
   * Who doesn't manage access may name only somebody who stands in the domain already: a bundle must not let its owner bring
   * strangers into the domain, nor tell whether there is a principal of some name.
   */
  async #requireInvitable(caller: Caller, scope: ScopeRef, label: string, pointer: string): Promise<NamedPrincipal> {
    const resource = { kind: 'scope', scope } as const;
    const manages = decide(caller.snapshot, 'access.manage', resource);
    if (manages.allow) return requireNamedPrincipal(this.#store.db, scope, label, pointer);
    const principal = await findPrincipal(this.#store.db, scope, label);
    if (principal !== null) {
      if (principal.id === caller.id) return principal;
      const snapshot = await this.#access.snapshot(principal.id);
      if (snapshot?.domains.has(scope.id) === true) return principal;
    }
    return this.#access.refuse(caller, 'access.manage', resource, manages);
  }
}

function change(caller: Caller, scope: ScopeRef) {
  return { actor: actorOf(caller), scope: { id: scope.id, name: scope.name } };
}

/** In the table's order, each once. @throws StrongroomError `validation_failed` naming the first that the type hasn't */
function requirePermissions(assetType: AssetType, permissions: readonly AssetPermission[]): readonly AssetPermission[] {
  const known: readonly AssetPermission[] = assetPermissions[assetType];
  const stranger = permissions.findIndex((permission) => !known.includes(permission));
  if (stranger === -1) return known.filter((permission) => permissions.includes(permission));
  throw new StrongroomError('validation_failed', {
    errors: [{ pointer: `/permissions/${stranger}`, message: `Permissions on ${assetType}: ${known.join(', ')}.` }],
  });
}
