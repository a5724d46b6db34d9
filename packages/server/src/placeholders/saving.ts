import { StrongroomError } from '@strongroom/contract';
import { defaultBundleIdOf } from '../access/default-bundle.ts';
import type { AccessService } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import { changedNames } from '../surfaces/compare.ts';
import { consumptionsOf } from '../surfaces/consumptions.ts';
import { type AnySurface, bundlesWhere, resourceOf, surfaceOf, surfaces } from '../surfaces/registry.ts';
import { type ConfigurationRow, configurationOf, usesOfConfiguration } from '../surfaces/rows.ts';
import { configurationEvent, decideSave, type DecidedSave, saveEvents } from '../surfaces/save.ts';
import { assetOf } from '../surfaces/views.ts';
import type { RewriteConfiguration } from './commands.ts';
import { maxPageFindings, type Selected, type Selection, type SelectionParts } from './selection.ts';

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

/** What became of a page of configurations. */
export interface RewrittenPage<Field> {
  /** Those in which there was something. */
  readonly items: RewrittenConfiguration<Field>[];
  /** Configurations that were looked at. */
  readonly configurations: number;
  readonly nextCursor?: string;
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
 * Rewrites one configuration after the other, each in a transaction of its own: what fails is told and the rest goes on. A server
 * that can't go on ends the page before that one, so that what was done is told; where nothing was, it says so for all.
 * @throws StrongroomError those of a server that can't go on
 */
export async function rewriteEach<Field>(
  { access }: { readonly access: Pick<AccessService, 'decided'> },
  caller: Caller,
  { items: selected, nextCursor, cursorAfter }: Selection,
  work: (current: Caller, one: Selected) => Promise<RewrittenConfiguration<Field>>,
): Promise<RewrittenPage<Field>> {
  const done: RewrittenConfiguration<Field>[] = [];
  let next = nextCursor;
  let count = 0;
  for (const one of selected) {
    try {
      const rewritten = await access.decided(caller, (current) => work(current, one));
      done.push(rewritten);
      count += rewritten.fields.length;
      if (count >= maxPageFindings && cursorAfter !== undefined && done.length < selected.length) {
        next = cursorAfter(one);
        break;
      }
    } catch (error) {
      if (isOfOne(error)) {
        done.push(failedOf(one, error));
        continue;
      }
      const last = selected[done.length - 1];
      if (last === undefined || !done.some(({ outcome }) => outcome === 'changed')) throw error;
      if (cursorAfter === undefined) {
        if (!(error instanceof StrongroomError)) throw error;
        // Named ones have no next page in which it would come again.
        done.push(...selected.slice(done.length).map((rest) => failedOf(rest, error)));
      } else next = cursorAfter(last);
      break;
    }
  }
  return {
    items: done.filter(({ outcome, fields }) => outcome !== 'unchanged' || fields.length > 0),
    configurations: done.length,
    ...(next === undefined ? {} : { nextCursor: next }),
  };
}

/** Whether an error says something of one configuration, and not of the server or the caller. */
function isOfOne(error: unknown): error is StrongroomError {
  return error instanceof StrongroomError && error.status < 500 && error.code !== 'unauthenticated';
}

function failedOf({ row }: Selected, error: StrongroomError): RewrittenConfiguration<never> {
  const { surface, name: configuration, revision } = row;
  return { surface, configuration, revision, outcome: 'failed', fields: [], problem: problemOf(error) };
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
