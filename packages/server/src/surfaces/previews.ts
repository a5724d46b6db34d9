import { StrongroomError } from '@strongroom/contract';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { ConfigurationViews, ShownConfiguration } from './configuration-views.ts';
import { requireUnique } from './conflicts.ts';
import { consumptionsOf } from './consumptions.ts';
import type { Normalised, SurfaceDefinition } from './definition.ts';
import type { ConfigurationParts, ConfigurationRef, FoundConfigurations, SaveInput } from './found-configurations.ts';
import { type ConfigurationRow, findConfiguration, isSameRow, usesOfConfiguration } from './rows.ts';
import { decideSave, type DecidedSave, type Proposal } from './save.ts';
import { hasSameUses } from './save-check.ts';
import type { TypedCredentials } from './typed-credentials.ts';

/** What saves would make, with nothing written: every refusal of the save is one here. */
export class ConfigurationPreviews<Input, Document> {
  readonly #surface: SurfaceDefinition<Input, Document>;
  readonly #parts: ConfigurationParts;
  readonly #found: FoundConfigurations<Input, Document>;
  readonly #views: ConfigurationViews<Document>;

  constructor(
    surface: SurfaceDefinition<Input, Document>,
    parts: ConfigurationParts,
    found: FoundConfigurations<Input, Document>,
    views: ConfigurationViews<Document>,
  ) {
    this.#surface = surface;
    this.#parts = parts;
    this.#found = found;
    this.#views = views;
  }

  /** Its id is nobody's. @throws as `ConfigurationService.create` */
  async creation(
    caller: Caller,
    scope: ScopeRef,
    name: string,
    save: SaveInput<Input>,
  ): Promise<ShownConfiguration<Document>> {
    const { id, normalised, typed } = this.#found.fresh(scope, name, save);
    return this.#trying(caller, typed, async (current) => {
      this.#found.requireStill(current, scope);
      if ((await findConfiguration(this.#parts.store, scope.id, this.#surface.type, name)) !== undefined)
        throw new StrongroomError('already_exists', { detail: `The domain has a configuration named ${name}.` });
      const bundleId = await this.#found.bundleFor(current, scope, save.bundle, undefined);
      const document = typed.planned();
      const proposal = { configurationId: id, document, before: null, held: [], consumed: [] };
      const decided = await this.#decided(current, scope, normalised, proposal);
      const now = Date.now();
      const row: ConfigurationRow = {
        id,
        scope_id: scope.id,
        surface: this.#surface.type,
        name,
        document: JSON.stringify(document),
        bundle_id: bundleId,
        managed_by: save.managedBy ?? null,
        unique_key: this.#surface.uniqueAs?.(document) ?? null,
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
  }

  /** The revision is the next one where it is a change. @throws as `ConfigurationService.update` */
  async update(
    caller: Caller,
    target: ConfigurationRef,
    save: SaveInput<Input>,
    ifMatch?: number,
  ): Promise<ShownConfiguration<Document>> {
    const { scope } = target;
    const { row: first, before, normalised, typed } = await this.#found.changed(target, save);
    return this.#trying(caller, typed, async (current) => {
      const row = await this.#found.current(current, target, this.#surface.actions.update, ifMatch);
      if (row.id !== first.id || row.revision !== first.revision)
        throw new StrongroomError('revision_mismatch', { detail: `It is at revision ${row.revision}.` });
      const { store } = this.#parts;
      const [held, consumed] = await Promise.all([usesOfConfiguration(store, row.id), consumptionsOf(store, row.id)]);
      const document = typed.planned();
      const proposal = { configurationId: row.id, document, before, held, consumed };
      const decided = await this.#decided(current, scope, normalised, proposal);
      const bundle_id = await this.#found.bundleFor(current, scope, save.bundle, row.bundle_id);
      const after = { ...row, document: JSON.stringify(document), bundle_id, managed_by: save.managedBy ?? null };
      const isSame = typed.isNothing && isSameRow(row, after) && hasSameUses(held, decided.uses);
      const warnings = [...normalised.warnings, ...decided.warnings];
      return this.#views.show(current, scope, { ...after, revision: row.revision + (isSame ? 0 : 1) }, warnings);
    });
  }

  async #decided(
    current: Caller,
    scope: ScopeRef,
    { origins }: Normalised<Document>,
    proposal: Omit<Proposal<Document>, 'origins' | 'areReferencesEnabled'>,
  ): Promise<DecidedSave> {
    const { document, configurationId: id } = proposal;
    await requireUnique(this.#parts, this.#surface, current, scope, { document, id });
    const { store, access } = this.#parts;
    const areReferencesEnabled = await this.#parts.areReferencesEnabled();
    return decideSave(store, access, this.#surface, current, scope, { ...proposal, origins, areReferencesEnabled });
  }

  /** What was typed is zeroed at its end. */
  async #trying(
    caller: Caller,
    typed: TypedCredentials<Document>,
    work: (current: Caller) => Promise<ShownConfiguration<Document>>,
  ): Promise<ShownConfiguration<Document>> {
    try {
      return await this.#parts.access.decided(caller, work);
    } finally {
      typed.destroy();
    }
  }
}
