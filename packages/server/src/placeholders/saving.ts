import { StrongroomError } from '@strongroom/contract';
import { defaultBundleIdOf } from '../access/default-bundle.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import { changedNames } from '../surfaces/compare.ts';
import { consumptionsOf } from '../surfaces/consumptions.ts';
import { type AnySurface, bundlesWhere, resourceOf, surfaceOf, surfaces } from '../surfaces/registry.ts';
import { type ConfigurationRow, configurationOf, usesOfConfiguration } from '../surfaces/rows.ts';
import { configurationEvent, decideSave, type DecidedSave, saveEvents } from '../surfaces/save.ts';
import { assetOf } from '../surfaces/views.ts';
import type { RewriteConfiguration } from './commands.ts';
import type { Selected, SelectionParts } from './selection.ts';

/** Why one configuration was left as it is. */
export interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly errors?: { readonly pointer: string; readonly message: string }[];
}

/** What became of one configuration. */
export interface RewrittenConfiguration<Field> {
  readonly surface: ConfigurationRow['surface'];
  readonly configuration: string;
  readonly outcome: 'changed' | 'would-change' | 'unchanged' | 'failed';
  readonly revision: number;
  readonly managedBy?: string;
  readonly fields: Field[];
  readonly problem?: Problem;
}

/** One configuration as it is at this moment, about to be rewritten by somebody who may see it. */
export class Rewriting {
  readonly row: ConfigurationRow;
  readonly surface: AnySurface;
  readonly document: unknown;
  readonly #parts: SelectionParts;
  readonly #caller: Caller;
  readonly #scope: ScopeRef;

  private constructor(parts: SelectionParts, caller: Caller, scope: ScopeRef, row: ConfigurationRow) {
    this.#parts = parts;
    this.#caller = caller;
    this.#scope = scope;
    this.row = row;
    this.surface = surfaceOf(row.surface);
    this.document = this.surface.parse(row.document);
  }

  /** @throws StrongroomError `not_found` when it is gone; `revision_mismatch` when it is not the one that was meant */
  static async open(parts: SelectionParts, caller: Caller, scope: ScopeRef, selected: Selected): Promise<Rewriting> {
    const row = await configurationOf(parts.store, selected.row.id);
    if (row === undefined || row.deleted_at !== null) throw new StrongroomError('not_found');
    const expected = selected.asked?.revision;
    if (expected !== undefined && expected !== row.revision)
      throw new StrongroomError('revision_mismatch', { detail: `It is at revision ${row.revision}.` });
    return new Rewriting(parts, caller, scope, row);
  }

  /** @throws StrongroomError `permission_missing`, which is recorded */
  async requireUpdate(): Promise<void> {
    const resource = resourceOf(this.surface, assetOf(this.row, this.#scope));
    await this.#parts.access.require(this.#caller, this.surface.actions.update, resource);
  }

  /** Decides on the document as a save would. @throws StrongroomError `reference_unresolved`, `permission_missing` */
  async decide(document: unknown): Promise<DecidedSave> {
    const { store, access } = this.#parts;
    return decideSave(store, access, this.surface, this.#caller, this.#scope, {
      configurationId: this.row.id,
      document,
      origins: new Map(),
      before: this.document,
      held: await usesOfConfiguration(store, this.row.id),
      consumed: await consumptionsOf(store, this.row.id),
      areReferencesEnabled: await this.#parts.areReferencesEnabled(),
    });
  }

  /**
   * One transaction: the document with its uses, what was changed in it, and the records.
   * @param verb as the audit names it
   * @returns the new revision
   * @throws StrongroomError `version_conflict` when the configuration or somebody's access changed meanwhile
   */
  async commit(
    verb: string,
    document: unknown,
    decided: DecidedSave,
    fields: Omit<RewriteConfiguration, 'save'>,
  ): Promise<number> {
    const { row, surface } = this;
    const event = configurationEvent(
      this.#caller,
      this.#scope,
      { type: surface.type, id: row.id, name: row.name },
      surface.actions.update,
    );
    const save = {
      id: row.id,
      revision: row.revision,
      by: this.#caller.name,
      document: JSON.stringify(document),
      bundleId: row.bundle_id,
      managedBy: row.managed_by,
      uniqueKey: row.unique_key,
      uses: decided.uses,
      consumptions: decided.consumptions,
      secretIds: decided.secretIds,
      fixed: decided.fixed,
    };
    await this.#parts.store.execute(
      'placeholders.rewrite',
      { save, ...fields },
      {
        audit: saveEvents(event, decided, [verb, ...changedNames(this.document, document)]),
        expectAuthorisationRevision: this.#caller.snapshot.revision,
      },
    );
    return row.revision + 1;
  }
}

/**
 * Whoever may change no configuration at all is told so; who may change some gets an answer for each.
 * @throws StrongroomError `permission_missing`, which is recorded
 */
export async function requireUpdateSomewhere(
  { store, access }: SelectionParts,
  caller: Caller,
  scope: ScopeRef,
): Promise<void> {
  const kind = scope.kind === 'domain' ? 'domain' : 'admin';
  const own = Object.values(surfaces).filter((surface) => surface.scope === kind);
  const bundles = scope.kind === 'domain' ? await store.query('surfaces.bundles', { scopeId: scope.id }) : [];
  const bundleIds = scope.kind === 'domain' ? bundles.map(({ id }) => id) : [defaultBundleIdOf(scope.id)];
  const mayUpdate = (surface: AnySurface): boolean =>
    bundlesWhere(access, caller.snapshot, scope, surface, surface.actions.update, bundleIds).length > 0;
  const [first] = own;
  if (first === undefined || own.some(mayUpdate)) return;
  const { update } = first.actions;
  const asset = { type: first.type, id: '', name: '', scope, bundleIds };
  const decision = access.decide(caller.snapshot, update, resourceOf(first, asset));
  await access.refuse(caller, update, { kind: 'scope', scope }, decision);
}

/**
 * Rewrites one configuration after the other, each in a transaction of its own: what fails is told and the rest goes on, but a
 * server that can't go on says so for all.
 */
export async function rewriteEach<Field>(
  { access }: SelectionParts,
  caller: Caller,
  selected: readonly Selected[],
  work: (current: Caller, one: Selected) => Promise<RewrittenConfiguration<Field>>,
): Promise<RewrittenConfiguration<Field>[]> {
  const items: RewrittenConfiguration<Field>[] = [];
  for (const one of selected) {
    try {
      items.push(await access.decided(caller, (current) => work(current, one)));
    } catch (error) {
      if (!(error instanceof StrongroomError) || error.status >= 500 || error.code === 'unauthenticated') throw error;
      const { surface, name: configuration, revision } = one.row;
      items.push({ surface, configuration, revision, outcome: 'failed', fields: [], problem: problemOf(error) });
    }
  }
  return items;
}

function problemOf({ code, message, errors }: StrongroomError): Problem {
  return {
    code,
    detail: message,
    ...(errors === undefined
      ? {}
      : { errors: errors.map(({ pointer, message: text }) => ({ pointer, message: text })) }),
  };
}
