import { StrongroomError } from '@strongroom/contract';
import type { Caller, ScopeRef } from '../access/types.ts';
import { isAnswered } from '../secrets/import-each.ts';
import { requireSameAsMade } from '../store/replayed.ts';
import type { IdempotencyKey } from '../store/store.ts';
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
import {
  type ConfigurationParts,
  type ConfigurationRef,
  FoundConfigurations,
  type SaveInput,
} from './found-configurations.ts';
import { ConfigurationPreviews } from './previews.ts';
import { type UseRow, usesOfConfiguration } from './rows.ts';
import { configurationEvent, decideSave, nothingDecided, saveEvents } from './save.ts';
import { hasSameUses } from './save-check.ts';
import type { TypedCredentials, WrittenCredentials } from './typed-credentials.ts';

/** Configurations of one kind and domain. */
const maxConfigurations = 20_000;

/** Saving and showing configurations of one surface. What is typed into credential fields becomes secrets of their own. */
export class ConfigurationService<Input, Document> {
  readonly surface: SurfaceDefinition<Input, Document>;
  readonly #parts: ConfigurationParts;
  readonly previews: ConfigurationPreviews<Input, Document>;
  readonly #found: FoundConfigurations<Input, Document>;
  readonly #views: ConfigurationViews<Document>;

  constructor(surface: SurfaceDefinition<Input, Document>, parts: ConfigurationParts) {
    this.surface = surface;
    this.#parts = parts;
    this.#found = new FoundConfigurations(surface, parts);
    this.#views = new ConfigurationViews(surface, parts.store, parts.access, parts.keys);
    this.previews = new ConfigurationPreviews(surface, parts, this.#found, this.#views);
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
    const { id, normalised, typed } = this.#found.fresh(scope, name, save);
    const done = await this.#saving(caller, scope, typed, async (current) => {
      this.#found.requireStill(current, scope);
      const isRepeated = await isAnswered(this.#parts.store, idempotency);
      const bundleId = await this.#found.bundleFor(current, scope, save.bundle, undefined);
      const { warnings, result } = await this.#decideAndWrite(current, scope, typed, normalised, {
        configurationId: id,
        before: null,
        held: [],
        consumed: [],
        isRepeated,
        commit: ({ document }, decided) =>
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
    const row = await this.#found.require(scope, name);
    requireSameAsMade(done.id, row);
    // The answer to an earlier request with the same key: what was typed with this one is nobody's.
    if (done.id !== id) await this.#tidy(() => typed.undo(caller, scope));
    return this.#views.show(caller, scope, row, [...normalised.warnings, ...done.warnings]);
  }

  /** Replaces the document but for credentials, which stay unless changed. A save that changes nothing writes nothing. */
  async update(
    caller: Caller,
    target: ConfigurationRef,
    save: SaveInput<Input>,
    ifMatch?: number,
  ): Promise<ShownConfiguration<Document>> {
    const { scope, name } = target;
    const { row: first, normalised, typed } = await this.#found.changed(target, save);
    let held: UseRow[] = [];
    const done = await this.#saving(caller, scope, typed, async (current) => {
      const row = await this.#found.current(current, target, this.surface.actions.update, ifMatch);
      // What is kept of credentials is kept of the configuration as it was read.
      if (row.id !== first.id || (this.surface.credentials !== undefined && row.revision !== first.revision))
        throw new StrongroomError('revision_mismatch', { detail: `It is at revision ${row.revision}.` });
      held = await usesOfConfiguration(this.#parts.store, row.id);
      const before = this.surface.parse(row.document);
      const bundleId = await this.#found.bundleFor(current, scope, save.bundle, row.bundle_id);
      const { warnings } = await this.#decideAndWrite(current, scope, typed, normalised, {
        configurationId: row.id,
        before,
        held,
        consumed: await consumptionsOf(this.#parts.store, row.id),
        commit: async ({ document, rotations, retyped }, decided) => {
          const changed = [...changedNames(before, document), ...retyped];
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
              rotations: rotations.map(({ args }) => args),
            },
            {
              audit: [
                ...saveEvents(this.#event(current, scope, row, this.surface.actions.update), decided, changed),
                ...rotations.map(({ audit }) => audit),
              ],
              expectAuthorisationRevision: current.snapshot.revision,
            },
          );
        },
      });
      return { warnings };
    });
    await this.#tidy(() => typed.removeReplaced(caller, scope, held));
    const warnings = [...normalised.warnings, ...done.warnings];
    return this.#views.show(caller, scope, await this.#found.require(scope, name), warnings);
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
        written: WrittenCredentials<Document>,
        decided: Awaited<ReturnType<typeof decideSave<Document>>>,
      ) => Promise<Result>;
    },
  ): Promise<{ readonly warnings: readonly SaveWarning[]; readonly result: Result }> {
    const { store, access } = this.#parts;
    const { commit, isRepeated = false, ...proposal } = save;
    const planned = typed.planned();
    const nothingWritten = { document: planned, rotations: [], retyped: [] };
    if (isRepeated) return { warnings: [], result: await commit(nothingWritten, nothingDecided) };
    await requireUnique(this.#parts, this.surface, current, scope, { document: planned, id: proposal.configurationId });
    const areReferencesEnabled = await this.#parts.areReferencesEnabled();
    const decide = (document: Document) =>
      decideSave(store, access, this.surface, current, scope, { ...proposal, document, origins, areReferencesEnabled });
    const first = await decide(planned);
    const written = await typed.write(current, scope);
    const { document } = written;
    const decided = canonical(document) === canonical(planned) ? first : await decide(document);
    return { warnings: decided.warnings, result: await commit(written, decided) };
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
      throw typed.explain(error);
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
      const row = await this.#found.current(current, target, action, ifMatch);
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
      const row = await this.#found.current(current, target, this.surface.actions.delete, ifMatch);
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
    return this.#views.show(caller, scope, await this.#found.require(scope, name), []);
  }

  list(caller: Caller, scope: ScopeRef, query: ConfigurationQuery): Promise<ConfigurationPage> {
    return this.#views.list(caller, scope, query);
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
