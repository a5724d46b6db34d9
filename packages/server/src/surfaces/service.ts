import { reservedSourceName, StrongroomError } from '@strongroom/contract';
import { chooseBundle } from '../access/bundle-choice.ts';
import { defaultBundleIdOf } from '../access/default-bundle.ts';
import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller, Resource, ScopeRef } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import { isAnswered } from '../secrets/import-each.ts';
import { newId } from '../store/ids.ts';
import type { MaybePromise } from '../store/maybe-promise.ts';
import { requireSameAsMade } from '../store/replayed.ts';
import type { IdempotencyKey, Store } from '../store/store.ts';
import { canonical, changedNames } from './compare.ts';
import {
  type ConfigurationPage,
  type ConfigurationQuery,
  ConfigurationViews,
  type ShownConfiguration,
} from './configuration-views.ts';
import { requireUnique, requireUnused } from './conflicts.ts';
import { consumptionsOf } from './consumptions.ts';
import type { Normalised, SaveWarning, SurfaceDefinition } from './definition.ts';
import type { OwnedSecrets } from './owned-secrets.ts';
import { resourceOf } from './registry.ts';
import { type ConfigurationRow, findConfiguration, isSameRow, type UseRow, usesOfConfiguration } from './rows.ts';
import { configurationEvent, decideSave, nothingDecided, saveEvents } from './save.ts';
import { hasSameUses } from './save-check.ts';
import { TypedCredentials } from './typed-credentials.ts';
import { assetOf } from './views.ts';

/** Configurations of one kind and domain. */
const maxConfigurations = 20_000;

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

/** Saving and showing configurations of one surface. What is typed into credential fields becomes secrets of their own. */
export class ConfigurationService<Input, Document> {
  readonly surface: SurfaceDefinition<Input, Document>;
  readonly #parts: ConfigurationParts;
  readonly #views: ConfigurationViews<Document>;

  constructor(surface: SurfaceDefinition<Input, Document>, parts: ConfigurationParts) {
    this.surface = surface;
    this.#parts = parts;
    this.#views = new ConfigurationViews(surface, parts.store, parts.access, parts.keys);
  }

  /**
   * @throws StrongroomError `validation_failed`, `reference_unresolved`, `permission_missing`; `already_exists` for the name,
   * or for what only one may have
   */
  async create(
    caller: Caller,
    scope: ScopeRef,
    name: string,
    save: SaveInput<Input>,
    idempotency?: IdempotencyKey,
  ): Promise<ShownConfiguration<Document>> {
    requireName(name);
    const id = newId('configuration');
    const normalised = this.surface.normalise(save.input, scope);
    const typed = this.#typed({ configurationId: id, name }, normalised, null);
    const done = await this.#saving(caller, scope, typed, async (current) => {
      this.#requireStill(current, scope);
      const isRepeated = await isAnswered(this.#parts.store, idempotency);
      const bundleId = await this.#bundleFor(current, scope, save.bundle, undefined);
      const { warnings, result } = await this.#decideAndWrite(current, scope, typed, normalised, {
        configurationId: id,
        before: null,
        held: [],
        consumed: [],
        isRepeated,
        commit: (document, decided) =>
          this.#parts.store.execute(
            'surfaces.create',
            {
              id,
              scopeId: scope.id,
              surface: this.surface.type,
              name,
              document: JSON.stringify(document),
              bundleId,
              managedBy: save.managedBy ?? null,
              by: caller.name,
              uses: decided.uses,
              consumptions: decided.consumptions,
              uniqueKey: this.surface.uniqueAs?.(document) ?? null,
              secretIds: decided.secretIds,
              fixed: decided.fixed,
              maxConfigurations,
            },
            {
              audit: saveEvents(this.#event(current, scope, { id, name }, this.surface.actions.create), decided, []),
              expectAuthorisationRevision: current.snapshot.revision,
              ...(idempotency === undefined ? {} : { idempotency }),
            },
          ),
      });
      return { warnings, id: result.id };
    });
    const row = await this.#require(scope, name);
    requireSameAsMade(done.id, row);
    // The answer to an earlier request with the same key: what was typed with this one is nobody's.
    if (done.id !== id) await this.#tidy(() => typed.undo(caller, scope));
    return this.#views.show(caller, scope, row, [...normalised.warnings, ...done.warnings]);
  }

  /** What {@link create} would make, with nothing written; its id is nobody's. @throws as `create` */
  async previewCreation(
    caller: Caller,
    scope: ScopeRef,
    name: string,
    save: SaveInput<Input>,
  ): Promise<ShownConfiguration<Document>> {
    requireName(name);
    const id = newId('configuration');
    const normalised = this.surface.normalise(save.input, scope);
    const typed = this.#typed({ configurationId: id, name }, normalised, null);
    const { store, access } = this.#parts;
    try {
      return await access.decided(caller, async (current) => {
        this.#requireStill(current, scope);
        if ((await findConfiguration(store, scope.id, this.surface.type, name)) !== undefined)
          throw new StrongroomError('already_exists', { detail: `The domain has a configuration named ${name}.` });
        const bundleId = await this.#bundleFor(current, scope, save.bundle, undefined);
        const document = typed.planned();
        await requireUnique(this.#parts, this.surface, current, scope, { document, id });
        const decided = await decideSave(store, access, this.surface, current, scope, {
          configurationId: id,
          document,
          origins: normalised.origins,
          before: null,
          held: [],
          consumed: [],
          areReferencesEnabled: await this.#parts.areReferencesEnabled(),
        });
        const now = Date.now();
        const row: ConfigurationRow = {
          id,
          scope_id: scope.id,
          surface: this.surface.type,
          name,
          document: JSON.stringify(document),
          bundle_id: bundleId,
          managed_by: save.managedBy ?? null,
          unique_key: this.surface.uniqueAs?.(document) ?? null,
          is_suspended: 0,
          revision: 1,
          created_at: now,
          created_by: caller.name,
          updated_at: now,
          updated_by: caller.name,
          deleted_at: null,
        };
        return this.#views.show(current, scope, row, [...normalised.warnings, ...decided.warnings]);
      });
    } finally {
      typed.destroy();
    }
  }

  /** Replaces the document but for credentials, which stay unless changed. A save that changes nothing writes nothing. */
  async update(
    caller: Caller,
    target: ConfigurationRef,
    save: SaveInput<Input>,
    ifMatch?: number,
  ): Promise<ShownConfiguration<Document>> {
    const { scope, name } = target;
    const normalised = this.surface.normalise(save.input, scope);
    const first = await this.#require(scope, name);
    const typed = this.#typed({ configurationId: first.id, name }, normalised, this.surface.parse(first.document));
    let held: UseRow[] = [];
    const done = await this.#saving(caller, scope, typed, async (current) => {
      const row = await this.#current(current, target, this.surface.actions.update, ifMatch);
      // What is kept of credentials is kept of the configuration as it was read.
      if (row.id !== first.id || (this.surface.credentials !== undefined && row.revision !== first.revision))
        throw new StrongroomError('revision_mismatch', { detail: `It is at revision ${row.revision}.` });
      held = await usesOfConfiguration(this.#parts.store, row.id);
      const before = this.surface.parse(row.document);
      const bundleId = await this.#bundleFor(current, scope, save.bundle, row.bundle_id);
      const { warnings } = await this.#decideAndWrite(current, scope, typed, normalised, {
        configurationId: row.id,
        before,
        held,
        consumed: await consumptionsOf(this.#parts.store, row.id),
        commit: async (document, decided) => {
          const changed = changedNames(before, document);
          const managedBy = save.managedBy ?? null;
          // A manifest that is applied every hour is no new revision every hour.
          const isSame = changed.length === 0 && bundleId === row.bundle_id && managedBy === row.managed_by;
          if (isSame && hasSameUses(held, decided.uses)) return;
          await this.#parts.store.execute(
            'surfaces.update',
            {
              id: row.id,
              revision: row.revision,
              by: caller.name,
              document: JSON.stringify(document),
              bundleId,
              managedBy,
              uniqueKey: this.surface.uniqueAs?.(document) ?? null,
              uses: decided.uses,
              consumptions: decided.consumptions,
              secretIds: decided.secretIds,
              fixed: decided.fixed,
            },
            {
              audit: saveEvents(this.#event(current, scope, row, this.surface.actions.update), decided, changed),
              expectAuthorisationRevision: current.snapshot.revision,
            },
          );
        },
      });
      return { warnings };
    });
    await this.#tidy(() => typed.removeReplaced(caller, scope, held));
    const warnings = [...normalised.warnings, ...done.warnings];
    return this.#views.show(caller, scope, await this.#require(scope, name), warnings);
  }

  /** What {@link update} would make of it, with nothing written; the revision is the next one where that is a change. */
  async preview(
    caller: Caller,
    { scope, name }: ConfigurationRef,
    save: SaveInput<Input>,
    ifMatch?: number,
  ): Promise<ShownConfiguration<Document>> {
    const normalised = this.surface.normalise(save.input, scope);
    const first = await this.#require(scope, name);
    const before = this.surface.parse(first.document);
    const typed = this.#typed({ configurationId: first.id, name }, normalised, before);
    try {
      return await this.#parts.access.decided(caller, async (current) => {
        const row = await this.#current(current, { scope, name }, this.surface.actions.update, ifMatch);
        if (row.id !== first.id || row.revision !== first.revision)
          throw new StrongroomError('revision_mismatch', { detail: `It is at revision ${row.revision}.` });
        const document = typed.planned();
        const { store, access } = this.#parts;
        await requireUnique(this.#parts, this.surface, current, scope, { document, id: row.id });
        const [held, consumed] = await Promise.all([usesOfConfiguration(store, row.id), consumptionsOf(store, row.id)]);
        const decided = await decideSave(store, access, this.surface, current, scope, {
          configurationId: row.id,
          document,
          origins: normalised.origins,
          before,
          held,
          consumed,
          areReferencesEnabled: await this.#parts.areReferencesEnabled(),
        });
        const bundle_id = await this.#bundleFor(current, scope, save.bundle, row.bundle_id);
        const after = { ...row, document: JSON.stringify(document), bundle_id, managed_by: save.managedBy ?? null };
        const isSame = typed.isNothing && isSameRow(row, after) && hasSameUses(held, decided.uses);
        const warnings = [...normalised.warnings, ...decided.warnings];
        return this.#views.show(current, scope, { ...after, revision: row.revision + (isSame ? 0 : 1) }, warnings);
      });
    } finally {
      typed.destroy();
    }
  }

  /** Decides, writes what was typed, decides on the whole, commits. */
  async #decideAndWrite<Result>(
    current: Caller,
    scope: ScopeRef,
    typed: TypedCredentials<Document>,
    { origins }: Normalised<Document>,
    save: Omit<Parameters<typeof decideSave<Document>>[5], 'document' | 'origins' | 'areReferencesEnabled'> & {
      /** The request was answered before: the commit repeats that answer, and nothing else is done. */
      readonly isRepeated?: boolean;
      readonly commit: (
        document: Document,
        decided: Awaited<ReturnType<typeof decideSave<Document>>>,
      ) => Promise<Result>;
    },
  ): Promise<{ readonly warnings: readonly SaveWarning[]; readonly result: Result }> {
    const { store, access } = this.#parts;
    const { commit, isRepeated = false, ...proposal } = save;
    const planned = typed.planned();
    if (isRepeated) return { warnings: [], result: await commit(planned, nothingDecided) };
    await requireUnique(this.#parts, this.surface, current, scope, { document: planned, id: proposal.configurationId });
    const areReferencesEnabled = await this.#parts.areReferencesEnabled();
    const decide = (document: Document) =>
      decideSave(store, access, this.surface, current, scope, { ...proposal, document, origins, areReferencesEnabled });
    const first = await decide(planned);
    const document = await typed.write(current, scope);
    const decided = canonical(document) === canonical(planned) ? first : await decide(document);
    return { warnings: decided.warnings, result: await commit(document, decided) };
  }

  /** Runs a save; what was typed is zeroed at its end, and taken back where the save failed. */
  async #saving<Result>(
    caller: Caller,
    scope: ScopeRef,
    typed: TypedCredentials<Document>,
    save: (current: Caller) => Promise<Result>,
  ): Promise<Result> {
    try {
      return await this.#parts.access.decided(caller, save);
    } catch (error) {
      await this.#tidy(() => typed.undo(caller, scope));
      throw error;
    } finally {
      typed.destroy();
    }
  }

  /** What is left is swept in the background. */
  async #tidy(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#parts.report('Secrets of a configuration could not be removed yet', error);
    }
  }

  #typed(
    { configurationId, name }: { readonly configurationId: string; readonly name: string },
    { document, credentials = new Map() }: Normalised<Document>,
    before: Document | null,
  ): TypedCredentials<Document> {
    const owner = { configurationId, surface: this.surface.type, name };
    try {
      return new TypedCredentials(this.#parts.owned, {
        surface: this.surface,
        owner,
        document,
        changes: credentials,
        before,
      });
    } catch (error) {
      for (const change of credentials.values()) if (change.kind === 'set') change.value.destroy();
      throw error;
    }
  }

  /** @throws StrongroomError `not_found` for a surface that can't be suspended */
  async suspend(
    caller: Caller,
    target: ConfigurationRef,
    isSuspended: boolean,
    ifMatch?: number,
  ): Promise<ShownConfiguration<Document>> {
    const action = this.surface.actions.suspend;
    if (action === undefined) throw new StrongroomError('not_found');
    await this.#parts.access.decided(caller, async (current) => {
      const row = await this.#current(current, target, action, ifMatch);
      const because = [isSuspended ? 'suspended' : 'resumed'];
      await this.#parts.store.execute(
        'surfaces.suspend',
        { id: row.id, revision: row.revision, by: caller.name, isSuspended },
        {
          audit: [{ ...this.#event(current, target.scope, row, action), because }],
          expectAuthorisationRevision: current.snapshot.revision,
        },
      );
    });
    return this.get(caller, target);
  }

  /** With the secrets it owns. @throws StrongroomError `in_use` when others consume it, unless forced */
  async delete(caller: Caller, target: ConfigurationRef, ifMatch?: number, force = false): Promise<void> {
    const id = await this.#parts.access.decided(caller, async (current) => {
      const row = await this.#current(current, target, this.surface.actions.delete, ifMatch);
      if (!force) await requireUnused(this.#parts, current, target.scope, row);
      await this.#parts.store.execute(
        'surfaces.delete',
        { id: row.id, revision: row.revision, by: caller.name, force },
        {
          audit: [this.#event(current, target.scope, row, this.surface.actions.delete)],
          expectAuthorisationRevision: current.snapshot.revision,
        },
      );
      return row.id;
    });
    await this.#tidy(() => this.#parts.owned.remove(caller, target.scope, id));
  }

  async get(caller: Caller, { scope, name }: ConfigurationRef): Promise<ShownConfiguration<Document>> {
    return this.#views.show(caller, scope, await this.#require(scope, name), []);
  }

  list(caller: Caller, scope: ScopeRef, query: ConfigurationQuery): Promise<ConfigurationPage> {
    return this.#views.list(caller, scope, query);
  }

  async #bundleFor(
    current: Caller,
    scope: ScopeRef,
    name: string | undefined,
    currentId: string | undefined,
  ): Promise<string> {
    if (scope.kind !== 'domain') return currentId ?? defaultBundleIdOf(scope.id);
    return chooseBundle(this.#parts.store, current, scope, name, currentId);
  }

  /** Access may have changed since the route's own decision. */
  #requireStill(current: Caller, scope: ScopeRef): void {
    const resource: Resource = this.surface.scope === 'admin' ? { kind: 'platform' } : { kind: 'scope', scope };
    if (!this.#parts.access.decide(current.snapshot, this.surface.actions.create, resource).allow)
      throw new StrongroomError('permission_missing');
  }

  async #current(
    current: Caller,
    { scope, name }: ConfigurationRef,
    action: typeof this.surface.actions.update,
    ifMatch: number | undefined,
  ): Promise<ConfigurationRow> {
    const row = await this.#require(scope, name);
    const resource = resourceOf(this.surface, assetOf(row, scope));
    if (!this.#parts.access.decide(current.snapshot, action, resource).allow)
      throw new StrongroomError('permission_missing');
    if (ifMatch !== undefined && ifMatch !== row.revision)
      throw new StrongroomError('revision_mismatch', { detail: `It is at revision ${row.revision}.` });
    return row;
  }

  async #require(scope: ScopeRef, name: string): Promise<ConfigurationRow> {
    const row = await findConfiguration(this.#parts.store, scope.id, this.surface.type, name);
    if (row === undefined) throw new StrongroomError('not_found');
    return row;
  }

  #event(
    caller: Caller,
    scope: ScopeRef,
    { id, name }: { readonly id: string; readonly name: string },
    action: typeof this.surface.actions.update,
  ) {
    return configurationEvent(caller, scope, { type: this.surface.type, id, name }, action);
  }
}

function requireName(name: string): void {
  if (name !== reservedSourceName) return;
  throw new StrongroomError('validation_failed', {
    errors: [{ pointer: '/name', message: `${reservedSourceName} is reserved.` }],
  });
}
