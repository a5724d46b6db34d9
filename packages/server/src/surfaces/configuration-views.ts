import { type ActionsField, StrongroomError } from '@strongroom/contract';
import type { Static } from 'typebox';
import { actionsOn } from '../access/refusal.ts';
import type { AccessService } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import { unfinishedRunOf } from '../runs/queries.ts';
import type { Store } from '../store/store.ts';
import type { SaveWarning, SurfaceDefinition } from './definition.ts';
import { plainSecretWarning } from './plain-text.ts';
import { bundlesWhere, resourceOf } from './registry.ts';
import type { ConfigurationRow } from './rows.ts';
import { assetOf, timeText } from './views.ts';

/** What every surface shows of a configuration beside its document. */
export interface ConfigurationView {
  readonly id: string;
  readonly name: string;
  readonly domain: string;
  readonly bundle: string;
  readonly managedBy?: string;
  readonly suspended: boolean;
  readonly revision: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
  readonly actions: Static<typeof ActionsField>;
}

/** What is up of a configuration that runs until it is stopped. */
export interface RunningView {
  readonly run: string;
  readonly state: 'queued' | 'running';
  readonly restartRequired: boolean;
}

export interface ShownConfiguration<Document> extends ConfigurationView {
  readonly document: Document;
  readonly warnings: SaveWarning[];
  readonly running?: RunningView;
}

export interface ConfigurationQuery {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly q?: string | undefined;
}

export interface ConfigurationPage {
  readonly items: (ConfigurationView & { readonly references: number })[];
  readonly nextCursor?: string;
}

/** Configurations of one surface as people see them. */
export class ConfigurationViews<Document> {
  readonly #surface: SurfaceDefinition<unknown, Document>;
  readonly #store: Store;
  readonly #access: AccessService;
  readonly #keys: Pick<Keys, 'sealCursor' | 'openCursor'>;

  constructor(
    surface: SurfaceDefinition<unknown, Document>,
    store: Store,
    access: AccessService,
    keys: Pick<Keys, 'sealCursor' | 'openCursor'>,
  ) {
    this.#surface = surface;
    this.#store = store;
    this.#access = access;
    this.#keys = keys;
  }

  /** A page by name of what the caller may see; `references` is how many each holds. */
  async list(caller: Caller, scope: ScopeRef, query: ConfigurationQuery): Promise<ConfigurationPage> {
    const limit = query.limit ?? 50;
    const surface = this.#surface;
    const binding = JSON.stringify(['surfaces.list', caller.id, scope.id, surface.type, query.q ?? '']);
    const after = query.cursor === undefined ? undefined : this.#after(query.cursor, binding);
    const bundles = await this.#store.query('surfaces.bundles', { scopeId: scope.id });
    const ids = bundles.map(({ id }) => id);
    const rows = await this.#store.query('surfaces.list', {
      scopeId: scope.id,
      surface: surface.type,
      bundleIds: bundlesWhere(this.#access, caller.snapshot, scope, surface, surface.actions.view, ids),
      limit: limit + 1,
      ...(query.q === undefined ? {} : { q: query.q }),
      ...(after === undefined ? {} : { after }),
    });
    const shown = rows.slice(0, limit);
    const items = shown.map((row) => ({
      ...this.#view(caller, scope, row, row.bundle_name),
      references: row.references,
    }));
    const last = shown.at(-1);
    if (rows.length <= limit || last === undefined) return { items };
    return { items, nextCursor: this.#keys.sealCursor({ after: last.name }, binding) };
  }

  async show(
    caller: Caller,
    scope: ScopeRef,
    row: ConfigurationRow,
    warnings: readonly SaveWarning[],
  ): Promise<ShownConfiguration<Document>> {
    const document = this.#surface.parse(row.document);
    const bundles = await this.#store.query('surfaces.bundles', { scopeId: scope.id });
    const bundle = bundles.find(({ id }) => id === row.bundle_id)?.name ?? 'default';
    const running = this.#surface.launch?.runsUntilStopped === true ? await this.#running(row) : undefined;
    return {
      ...this.#view(caller, scope, row, bundle),
      document,
      warnings: [...warnings, ...this.#plainSecrets(document)],
      ...(running === undefined ? {} : { running }),
    };
  }

  async #running(row: ConfigurationRow): Promise<RunningView | undefined> {
    const run = await unfinishedRunOf(this.#store, row.id);
    if (run === undefined) return undefined;
    return {
      run: run.id,
      state: run.state === 'queued' ? 'queued' : 'running',
      restartRequired: run.revision !== null && run.revision < row.revision,
    };
  }

  #after(cursor: string, binding: string): string {
    const position = this.#keys.openCursor(cursor, binding) as { readonly after?: unknown } | null;
    if (typeof position?.after !== 'string') throw new StrongroomError('cursor_invalid');
    return position.after;
  }

  #plainSecrets(document: Document): SaveWarning[] {
    return this.#surface.fields(document).flatMap((field) => plainSecretWarning(field) ?? []);
  }

  #view(caller: Caller, scope: ScopeRef, row: ConfigurationRow, bundle: string): ConfigurationView {
    const { view, update, delete: remove, suspend, consume } = this.#surface.actions;
    const actions = [view, update, remove, suspend, this.#surface.launch?.action, consume];
    return {
      id: row.id,
      name: row.name,
      domain: scope.name,
      bundle,
      ...(row.managed_by === null ? {} : { managedBy: row.managed_by }),
      suspended: row.is_suspended === 1,
      revision: row.revision,
      createdAt: timeText(row.created_at),
      createdBy: row.created_by,
      updatedAt: timeText(row.updated_at),
      updatedBy: row.updated_by,
      actions: actionsOn(
        caller.snapshot,
        [...new Set(actions.filter((action) => action !== undefined))],
        resourceOf(this.#surface, assetOf(row, scope)),
      ),
    };
  }
}
