import { assetPermissions, foldKey, StrongroomError, type AssetType } from '@strongroom/contract';
import { actorOf } from '../identities/actor.ts';
import type { Keys } from '../keys/keys.ts';
import { newId } from '../store/ids.ts';
import type { IdempotencyKey, Store } from '../store/store.ts';
import { ownsBundle } from './authority.ts';
import { selectorExists } from './asset-commands.ts';
import type { BundleRecord } from './bundle-commands.ts';
import { bundleAssetView, type BundleAssetView } from './bundle-views.ts';
import { findBundle } from './bundles.ts';
import { isDomainOwner, sees } from './decide.ts';
import { defaultBundleIdOf } from './default-bundle.ts';
import { accessLimits, type AccessLimits, requireRoom } from './limits.ts';
import type { AssetRecord } from './list-queries.ts';
import { readPage, type PageOf, type PageRequest } from './pages.ts';
import type { Selector } from './selectors.ts';
import { isAssetType } from './snapshot.ts';
import type { AccessService } from './service.ts';
import type { AccessSnapshot, Caller, Decision, ScopeRef } from './types.ts';

/** Secrets by `key` or `prefix`, or a configuration or an integration by `name`. */
export interface AssetInput {
  readonly type: AssetType;
  readonly name?: string;
  readonly key?: string;
  readonly prefix?: string;
  readonly scope?: 'domain' | 'global';
}

/**
 * Which assets are in which bundle. Whoever owns the bundle that has an asset now decides where it goes: putting a secret
 * into another bundle takes it from the default one, and gives it to that bundle's owner.
 */
export class BundleAssets {
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

  /** Those that the caller may see; its owner sees them all. @throws StrongroomError `not_found`, `cursor_invalid` */
  async list(
    caller: Caller,
    scope: ScopeRef,
    bundleName: string,
    request: PageRequest,
  ): Promise<PageOf<BundleAssetView>> {
    const bundle = await findBundle(this.#store, scope, bundleName);
    const types = typesSeen(caller.snapshot, scope, bundle.id);
    return readPage(this.#keys, caller, ['bundle-assets', bundle.id], request, {
      read: (args) => this.#store.query('access.listBundleAssets', { ...args, bundleId: bundle.id, types }),
      positionOf: ({ type, name, id }) => [type, name, id],
      toItem: (asset) => bundleAssetView(caller.snapshot, scope, bundle.id, asset),
    });
  }

  /** @throws StrongroomError `not_found`, `permission_missing`, `already_exists`, `limit_exceeded`, `validation_failed` */
  async add(
    caller: Caller,
    scope: ScopeRef,
    bundleName: string,
    input: AssetInput,
    idempotency?: IdempotencyKey,
  ): Promise<BundleAssetView> {
    const subject = readInput(input);
    const id = newId('asset');
    return this.#access.decided(caller, async (current) => {
      const bundle = await findBundle(this.#store, scope, bundleName);
      const placed = await this.#requireMayPlace(current, scope, bundle, subject);
      if (!('selector' in placed)) return this.#moveConfiguration(current, scope, placed, bundle);
      const record = await this.#store.execute(
        'access.addSelector',
        { ...change(caller, scope), bundleId: bundle.id, id, ...placed, max: this.#limits.bundle_assets },
        {
          expectAuthorisationRevision: current.snapshot.revision,
          ...(idempotency === undefined ? {} : { idempotency }),
        },
      );
      return bundleAssetView(current.snapshot, scope, bundle.id, { ...record, type: 'secret', name: record.selector });
    });
  }

  /** What {@link add} would make, with nothing written; the id of new secrets is nobody's. @throws as `add` */
  async preview(caller: Caller, scope: ScopeRef, bundleName: string, input: AssetInput): Promise<BundleAssetView> {
    const subject = readInput(input);
    return this.#access.decided(caller, async (current) => {
      const bundle = await findBundle(this.#store, scope, bundleName);
      const placed = await this.#requireMayPlace(current, scope, bundle, subject);
      const view = (record: AssetRecord) => bundleAssetView(current.snapshot, scope, bundle.id, record);
      if (!('selector' in placed))
        return view({ ...placed, name: input.name ?? '', selectorScope: null, isPrefix: false });
      const { selectorScope, selector, isPrefix } = placed;
      const held = await this.#store.db
        .selectFrom('bundle_assets')
        .select('id')
        .where('bundle_id', '=', bundle.id)
        .where('asset_type', '=', 'secret')
        .where('selector_scope', '=', selectorScope)
        .where('selector', '=', selector)
        .where('is_prefix', '=', isPrefix ? 1 : 0)
        .executeTakeFirst();
      if (held !== undefined) throw selectorExists(bundle.name);
      await requireRoom(this.#store, 'bundle_assets', scope.id, this.#limits.bundle_assets);
      return view({ id: newId('asset'), type: 'secret', name: selector, selectorScope, isPrefix });
    });
  }

  /** @throws StrongroomError `not_found`, `permission_missing`, `already_exists` */
  async move(
    caller: Caller,
    scope: ScopeRef,
    bundleName: string,
    assetId: string,
    targetName: string,
  ): Promise<BundleAssetView> {
    return this.#access.decided(caller, async (current) => {
      const { bundle: from, asset } = await this.requireOwned(current, scope, bundleName, assetId);
      const to = await findBundle(this.#store, scope, targetName);
      if (asset.selectorScope === null)
        return this.#moveConfiguration(current, scope, { ...asset, bundleId: from.id }, to);
      const record = await this.#store.execute(
        'access.moveSelector',
        { ...change(caller, scope), id: asset.id, from: from.id, to: to.id },
        { expectAuthorisationRevision: current.snapshot.revision },
      );
      return bundleAssetView(current.snapshot, scope, to.id, { ...record, type: asset.type, name: record.selector });
    });
  }

  /** @throws StrongroomError `not_found`, `permission_missing`, `state_conflict` for a configuration in the default bundle */
  async delete(caller: Caller, scope: ScopeRef, bundleName: string, assetId: string): Promise<void> {
    await this.#access.decided(caller, async (current) => {
      const { bundle, asset } = await this.requireOwned(current, scope, bundleName, assetId);
      const expect = { expectAuthorisationRevision: current.snapshot.revision };
      if (asset.selectorScope !== null) {
        await this.#store.execute(
          'access.deleteSelector',
          { ...change(caller, scope), bundleId: bundle.id, id: asset.id },
          expect,
        );
        return;
      }
      requireOutsideDefault(bundle);
      await this.#store.execute(
        'access.moveConfiguration',
        {
          ...change(caller, scope),
          type: asset.type,
          configurationId: asset.id,
          from: bundle.id,
          to: defaultBundleIdOf(scope.id),
        },
        expect,
      );
    });
  }

  /** An asset of a bundle that is the caller's to change. @throws StrongroomError `not_found`, `permission_missing` */
  async requireOwned(
    caller: Caller,
    scope: ScopeRef,
    bundleName: string,
    assetId: string,
  ): Promise<{ readonly bundle: BundleRecord; readonly asset: AssetRecord }> {
    const bundle = await findBundle(this.#store, scope, bundleName);
    const asset = await this.#assetOf(bundle, assetId, typesSeen(caller.snapshot, scope, bundle.id));
    await this.#requireOwned(caller, scope, ownsBundle(caller.snapshot, scope, bundle.id));
    return { bundle, asset };
  }

  /**
   * What the caller may add to a bundle: a selector of secrets, or a configuration of another one.
   * @throws StrongroomError `not_found`, `permission_missing`, `validation_failed`
   */
  async requireMayAdd(
    caller: Caller,
    scope: ScopeRef,
    bundleName: string,
    input: AssetInput,
  ): Promise<{ readonly bundle: BundleRecord; readonly added: SelectorInput | PlacedConfiguration }> {
    const subject = readInput(input);
    const bundle = await findBundle(this.#store, scope, bundleName);
    return { bundle, added: await this.#requireMayPlace(caller, scope, bundle, subject) };
  }

  async #requireMayPlace(
    caller: Caller,
    scope: ScopeRef,
    bundle: BundleRecord,
    subject: ReturnType<typeof readInput>,
  ): Promise<SelectorInput | PlacedConfiguration> {
    if ('name' in subject) return this.#configuration(caller, scope, subject);
    await this.#requireOwned(caller, scope, ownsBundle(caller.snapshot, scope, bundle.id));
    const selectors = await this.#store.query('access.selectors', { scopeId: scope.id });
    await this.#requireOwned(caller, scope, mayPlace(caller.snapshot, scope, subject, selectors));
    return subject;
  }

  async #assetOf(bundle: BundleRecord, id: string, types: readonly AssetType[]): Promise<AssetRecord> {
    const [asset] = await this.#store.query('access.listBundleAssets', {
      bundleId: bundle.id,
      id,
      types,
      q: null,
      after: null,
      limit: 1,
    });
    if (asset === undefined) throw new StrongroomError('not_found');
    return asset;
  }

  /** What the caller may not see is not there. @throws StrongroomError `not_found` */
  async #configuration(
    caller: Caller,
    scope: ScopeRef,
    subject: { readonly type: AssetType; readonly name: string },
  ): Promise<PlacedConfiguration> {
    const asset = await this.#access.configurationAsset(scope, subject.type, subject.name);
    const [bundleId] = asset?.bundleIds ?? [];
    if (asset === null || bundleId === undefined) throw new StrongroomError('not_found');
    const owns = ownsBundle(caller.snapshot, scope, bundleId);
    if (!owns.allow) await this.#access.refuse(caller, 'access.manage', { kind: 'asset', asset }, owns);
    return { id: asset.id, type: subject.type, bundleId };
  }

  async #moveConfiguration(
    caller: Caller,
    scope: ScopeRef,
    configuration: PlacedConfiguration,
    to: BundleRecord,
  ): Promise<BundleAssetView> {
    const moved = await this.#store.execute(
      'access.moveConfiguration',
      {
        ...change(caller, scope),
        type: configuration.type,
        configurationId: configuration.id,
        from: configuration.bundleId,
        to: to.id,
      },
      { expectAuthorisationRevision: caller.snapshot.revision },
    );
    return bundleAssetView(caller.snapshot, scope, to.id, { ...moved, selectorScope: null, isPrefix: false });
  }

  async #requireOwned(caller: Caller, scope: ScopeRef, decision: Decision): Promise<void> {
    if (!decision.allow) await this.#access.refuse(caller, 'access.manage', { kind: 'scope', scope }, decision);
  }
}

/** @throws StrongroomError `state_conflict`: nothing else has a configuration that is taken out of it */
export function requireOutsideDefault(bundle: Pick<BundleRecord, 'isDefault'>): void {
  if (bundle.isDefault)
    throw new StrongroomError('state_conflict', {
      detail: 'It is in the default bundle; move it to another one instead.',
    });
}

export interface PlacedConfiguration {
  readonly id: string;
  readonly type: AssetType;
  readonly bundleId: string;
}

export type SelectorInput = Omit<Selector, 'bundleId'>;

/** The types of a bundle's assets that somebody may see: all for its owner, else those that it may do something with or list. */
function typesSeen(snapshot: AccessSnapshot, scope: ScopeRef, bundleId: string): readonly AssetType[] {
  const types = Object.keys(assetPermissions).filter(isAssetType);
  if (ownsBundle(snapshot, scope, bundleId).allow) return types;
  return types.filter((type) =>
    sees(snapshot, { kind: 'asset', asset: { type, id: '', name: '', scope, bundleIds: [bundleId] } }),
  );
}

/** @throws StrongroomError `validation_failed` unless it is a secret with a key or a prefix, or something else with a name */
function readInput(input: AssetInput): SelectorInput | { readonly type: AssetType; readonly name: string } {
  const { type, name, key, prefix, scope } = input;
  if (type !== 'secret') {
    if (name === undefined || key !== undefined || prefix !== undefined || scope !== undefined) {
      throw invalid('/name', 'It is named by its name alone.');
    }
    return { type, name };
  }
  if (name !== undefined || (key === undefined) === (prefix === undefined)) {
    throw invalid('/key', 'Secrets are named by either a key or a prefix.');
  }
  return { selectorScope: scope ?? 'domain', selector: foldKey(key ?? prefix ?? ''), isPrefix: key === undefined };
}

/**
 * Whether the caller may say which bundle these secrets are in: as OWNER of the domain, or as owner of a bundle that has all
 * of them already.
 */
function mayPlace(
  snapshot: AccessSnapshot,
  scope: ScopeRef,
  wanted: SelectorInput,
  selectors: readonly Selector[],
): Decision {
  const refused: Decision = { allow: false, because: ['missing:OWNER', 'bundle:default'] };
  if (isDomainOwner(snapshot, scope.id)) return { allow: true, because: ['preset:OWNER'] };
  const holder = selectors.find((held) => covers(held, wanted) && ownsBundle(snapshot, scope, held.bundleId).allow);
  return holder === undefined ? refused : { allow: true, because: ['bundle-owner', `bundle:${holder.bundleId}`] };
}

/** Whether every secret that `wanted` selects is selected by `held`. */
function covers(held: Selector, wanted: SelectorInput): boolean {
  if (held.selectorScope !== wanted.selectorScope) return false;
  if (held.isPrefix) return wanted.selector.startsWith(held.selector);
  return !wanted.isPrefix && wanted.selector === held.selector;
}

function change(caller: Caller, scope: ScopeRef) {
  return { actor: actorOf(caller), scope: { id: scope.id, name: scope.name } };
}

function invalid(pointer: string, message: string): StrongroomError {
  return new StrongroomError('validation_failed', { errors: [{ pointer, message }] });
}
