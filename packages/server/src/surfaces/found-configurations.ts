import { reservedSourceName, StrongroomError } from '@strongroom/contract';
import { chooseBundle } from '../access/bundle-choice.ts';
import { defaultBundleIdOf } from '../access/default-bundle.ts';
import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller, Resource, ScopeRef } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import { newId } from '../store/ids.ts';
import type { MaybePromise } from '../store/maybe-promise.ts';
import type { Store } from '../store/store.ts';
import type { Normalised, SurfaceDefinition } from './definition.ts';
import type { OwnedSecrets } from './owned-secrets.ts';
import { resourceOf } from './registry.ts';
import { type ConfigurationRow, findConfiguration } from './rows.ts';
import { TypedCredentials } from './typed-credentials.ts';
import { assetOf } from './views.ts';

/** A save as a route reads it. */
export interface SaveInput<Input> {
  readonly input: Input;
  readonly bundle?: string | undefined;
  readonly managedBy?: string | undefined;
}

/** A configuration that a route or a launch found. */
export type ConfigurationRef = Pick<AssetRef, 'scope' | 'name'>;

export interface ConfigurationParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly keys: Pick<Keys, 'sealCursor' | 'openCursor'>;
  readonly owned: OwnedSecrets;
  /** Whether configurations may come to hold references. */
  readonly areReferencesEnabled: () => MaybePromise<boolean>;
  /** Where failures of tidying up go; never with a value. */
  readonly report: (message: string, error: unknown) => void;
}

/** What a save begins with, whether it is carried out or only tried: what is there, and whether the caller may still change it. */
export class FoundConfigurations<Input, Document> {
  readonly #surface: SurfaceDefinition<Input, Document>;
  readonly #parts: ConfigurationParts;

  constructor(surface: SurfaceDefinition<Input, Document>, parts: ConfigurationParts) {
    this.#surface = surface;
    this.#parts = parts;
  }

  /** Of one that is to be. @throws StrongroomError `validation_failed` */
  fresh(scope: ScopeRef, name: string, { input }: SaveInput<Input>) {
    if (name === reservedSourceName)
      throw new StrongroomError('validation_failed', {
        errors: [{ pointer: '/name', message: `${reservedSourceName} is reserved.` }],
      });
    const id = newId('configuration');
    const normalised = this.#surface.normalise(input, scope);
    return { id, normalised, typed: this.#typed({ configurationId: id, name }, normalised, null) };
  }

  /** Of one that is there. @throws StrongroomError `not_found`, `validation_failed` */
  async changed({ scope, name }: ConfigurationRef, { input }: SaveInput<Input>) {
    const normalised = this.#surface.normalise(input, scope);
    const row = await this.require(scope, name);
    const before = this.#surface.parse(row.document);
    return { row, before, normalised, typed: this.#typed({ configurationId: row.id, name }, normalised, before) };
  }

  /** Access may have changed since the route's own decision. @throws StrongroomError `permission_missing` */
  requireStill(current: Caller, scope: ScopeRef): void {
    const resource: Resource = this.#surface.scope === 'admin' ? { kind: 'platform' } : { kind: 'scope', scope };
    if (!this.#parts.access.decide(current.snapshot, this.#surface.actions.create, resource).allow)
      throw new StrongroomError('permission_missing');
  }

  /** @throws StrongroomError `not_found`, `permission_missing`, `revision_mismatch` */
  async current(
    current: Caller,
    { scope, name }: ConfigurationRef,
    action: SurfaceDefinition<Input, Document>['actions']['update'],
    ifMatch: number | undefined,
  ): Promise<ConfigurationRow> {
    const row = await this.require(scope, name);
    const resource = resourceOf(this.#surface, assetOf(row, scope));
    if (!this.#parts.access.decide(current.snapshot, action, resource).allow)
      throw new StrongroomError('permission_missing');
    if (ifMatch !== undefined && ifMatch !== row.revision)
      throw new StrongroomError('revision_mismatch', { detail: `It is at revision ${row.revision}.` });
    return row;
  }

  /** @throws StrongroomError `not_found` */
  async require(scope: ScopeRef, name: string): Promise<ConfigurationRow> {
    const row = await findConfiguration(this.#parts.store, scope.id, this.#surface.type, name);
    if (row === undefined) throw new StrongroomError('not_found');
    return row;
  }

  /** @param currentId of one that is there. @throws StrongroomError `validation_failed` for a bundle nobody has */
  async bundleFor(
    current: Caller,
    scope: ScopeRef,
    name: string | undefined,
    currentId: string | undefined,
  ): Promise<string> {
    if (scope.kind !== 'domain') return currentId ?? defaultBundleIdOf(scope.id);
    return chooseBundle(this.#parts.store, current, scope, name, currentId);
  }

  #typed(
    { configurationId, name }: { readonly configurationId: string; readonly name: string },
    { document, credentials = new Map() }: Normalised<Document>,
    before: Document | null,
  ): TypedCredentials<Document> {
    const owner = { configurationId, surface: this.#surface.type, name };
    const save = { surface: this.#surface, owner, document, changes: credentials, before };
    try {
      return new TypedCredentials(this.#parts.owned, save);
    } catch (error) {
      for (const change of credentials.values()) if (change.kind === 'set') change.value.destroy();
      throw error;
    }
  }
}
