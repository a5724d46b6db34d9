import { type ActionsField, StrongroomError } from '@strongroom/contract';
import type { Static } from 'typebox';
import { chooseBundle } from '../access/bundle-choice.ts';
import { actionsOn } from '../access/refusal.ts';
import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import type { Keys } from '../keys/keys.ts';
import { collectWanted, type Wanted } from '../launches/wanted.ts';
import { newId } from '../store/ids.ts';
import type { IdempotencyKey, Store } from '../store/store.ts';
import type { SaveWarning, SurfaceDefinition } from './definition.ts';
import { plainSecretWarning } from './plain-text.ts';
import { canonical, changedNames } from './compare.ts';
import { type CheckedSave, checkSave, hasSameUses, refuseSave } from './save-check.ts';
import { type ConfigurationRow, findConfiguration, usesOfConfiguration } from './rows.ts';
import { assetOf, timeText } from './views.ts';

/** Configurations of one kind and domain. */
const maxConfigurations = 20_000;

export interface SaveInput<Input> {
  readonly input: Input;
  readonly bundle?: string | undefined;
  readonly managedBy?: string | undefined;
}

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

export interface ShownConfiguration<Document> extends ConfigurationView {
  readonly document: Document;
  readonly warnings: SaveWarning[];
}

/** Saving and showing configurations of one surface. Values never come here: references and plain texts only. */
export class ConfigurationService<Input, Document> {
  readonly surface: SurfaceDefinition<Input, Document>;
  readonly #store: Store;
  readonly #access: AccessService;
  readonly #keys: Pick<Keys, 'sealCursor' | 'openCursor'>;

  constructor(
    surface: SurfaceDefinition<Input, Document>,
    store: Store,
    access: AccessService,
    keys: Pick<Keys, 'sealCursor' | 'openCursor'>,
  ) {
    this.surface = surface;
    this.#store = store;
    this.#access = access;
    this.#keys = keys;
  }

  /** @throws StrongroomError `validation_failed`, `reference_unresolved`, `permission_missing`, `already_exists` */
  async create(
    caller: Caller,
    domain: ScopeRef,
    name: string,
    save: SaveInput<Input>,
    idempotency?: IdempotencyKey,
  ): Promise<ShownConfiguration<Document>> {
    const { document, warnings, origins } = this.surface.normalise(save.input, domain);
    const wanted = collectWanted(this.surface.fields(document));
    const { unknown, id } = await this.#access.decided(caller, async (current) => {
      this.#requireStill(current, domain);
      const bundleId = await chooseBundle(this.#store, current, domain, save.bundle, undefined);
      const checked = await checkSave(this.#store, this.#access, {
        domain,
        snapshot: current.snapshot,
        wanted,
        held: [],
        changesAuthority: true,
        origins,
      });
      if (checked.problems.length > 0) return refuseSave(this.#store, current, domain, checked.problems);
      const newConfiguration = {
        id: newId('configuration'),
        scopeId: domain.id,
        surface: this.surface.type,
        name,
        document: JSON.stringify(document),
        bundleId,
        managedBy: save.managedBy ?? null,
        by: caller.name,
        uses: checked.uses,
        secretIds: checked.secretIds,
        maxConfigurations,
      };
      const audit = this.#saveEvents(
        current,
        domain,
        { id: newConfiguration.id, name },
        this.surface.actions.create,
        checked,
        [],
      );
      const created = await this.#store.execute('surfaces.create', newConfiguration, {
        audit,
        expectAuthorisationRevision: current.snapshot.revision,
        ...(idempotency === undefined ? {} : { idempotency }),
      });
      return { id: created.id, unknown: checked.warnings };
    });
    const row = await this.#require(domain, name);
    if (row.id !== id) throw new StrongroomError('not_found');
    return this.#show(caller, domain, row, [...warnings, ...unknown]);
  }

  /** Replaces the document. `bundle` left out: unchanged. A save that changes nothing writes nothing. */
  async update(
    caller: Caller,
    asset: AssetRef,
    save: SaveInput<Input>,
    ifMatch?: number,
  ): Promise<ShownConfiguration<Document>> {
    const domain = asset.scope;
    const { document, warnings, origins } = this.surface.normalise(save.input, domain);
    const wanted = collectWanted(this.surface.fields(document));
    const unknown = await this.#access.decided(caller, async (current) => {
      const row = await this.#current(current, asset, this.surface.actions.update, ifMatch);
      const before = this.surface.parse(row.document);
      const bundleId = await chooseBundle(this.#store, current, domain, save.bundle, row.bundle_id);
      const held = await usesOfConfiguration(this.#store, row.id);
      const changesAuthority =
        canonical(this.surface.authorityPart(before)) !== canonical(this.surface.authorityPart(document));
      const checked = await checkSave(this.#store, this.#access, {
        domain,
        snapshot: current.snapshot,
        wanted,
        held,
        changesAuthority,
        origins,
      });
      if (checked.problems.length > 0) return refuseSave(this.#store, current, domain, checked.problems);
      const changed = changedNames(before, document);
      const change = {
        id: row.id,
        revision: row.revision,
        by: caller.name,
        document: JSON.stringify(document),
        bundleId,
        managedBy: save.managedBy ?? null,
        uses: checked.uses,
        secretIds: checked.secretIds,
      };
      // A manifest that is applied every hour is no new revision every hour.
      const isSame = changed.length === 0 && bundleId === row.bundle_id && change.managedBy === row.managed_by;
      if (isSame && hasSameUses(held, checked.uses)) return checked.warnings;
      await this.#store.execute('surfaces.update', change, {
        audit: this.#saveEvents(current, domain, row, this.surface.actions.update, checked, changed),
        expectAuthorisationRevision: current.snapshot.revision,
      });
      return checked.warnings;
    });
    return this.#show(caller, domain, await this.#require(domain, asset.name), [...warnings, ...unknown]);
  }

  async suspend(
    caller: Caller,
    asset: AssetRef,
    isSuspended: boolean,
    ifMatch?: number,
  ): Promise<ShownConfiguration<Document>> {
    await this.#access.decided(caller, async (current) => {
      const row = await this.#current(current, asset, this.surface.actions.suspend, ifMatch);
      await this.#store.execute(
        'surfaces.suspend',
        { id: row.id, revision: row.revision, by: caller.name, isSuspended },
        {
          audit: [
            {
              ...this.#event(current, asset.scope, row, this.surface.actions.suspend),
              because: [isSuspended ? 'suspended' : 'resumed'],
            },
          ],
          expectAuthorisationRevision: current.snapshot.revision,
        },
      );
    });
    return this.get(caller, asset);
  }

  async delete(caller: Caller, asset: AssetRef, ifMatch?: number): Promise<void> {
    await this.#access.decided(caller, async (current) => {
      const row = await this.#current(current, asset, this.surface.actions.delete, ifMatch);
      await this.#store.execute(
        'surfaces.delete',
        { id: row.id, revision: row.revision, by: caller.name },
        {
          audit: [this.#event(current, asset.scope, row, this.surface.actions.delete)],
          expectAuthorisationRevision: current.snapshot.revision,
        },
      );
    });
  }

  async get(caller: Caller, asset: AssetRef): Promise<ShownConfiguration<Document>> {
    return this.#show(caller, asset.scope, await this.#require(asset.scope, asset.name), []);
  }

  /** A page by name of what the caller may see; `references` is how many each holds. */
  async list(
    caller: Caller,
    domain: ScopeRef,
    query: {
      readonly limit?: number | undefined;
      readonly cursor?: string | undefined;
      readonly q?: string | undefined;
    },
  ): Promise<{
    readonly items: (ConfigurationView & { readonly references: number })[];
    readonly nextCursor?: string;
  }> {
    const limit = query.limit ?? 50;
    const binding = JSON.stringify(['surfaces.list', caller.id, domain.id, this.surface.type, query.q ?? '']);
    const after = query.cursor === undefined ? undefined : this.#after(query.cursor, binding);
    const bundles = await this.#store.query('surfaces.bundles', { scopeId: domain.id });
    const bundleIds = bundles.map(({ id }) => id).filter((id) => this.#maySee(caller, domain, id));
    const rows = await this.#store.query('surfaces.list', {
      scopeId: domain.id,
      surface: this.surface.type,
      bundleIds,
      limit: limit + 1,
      ...(query.q === undefined ? {} : { q: query.q }),
      ...(after === undefined ? {} : { after }),
    });
    const shown = rows.slice(0, limit);
    const items = shown.map((row) => ({
      ...this.#view(caller, domain, row, row.bundle_name),
      references: row.references,
    }));
    const last = shown.at(-1);
    if (rows.length <= limit || last === undefined) return { items };
    return { items, nextCursor: this.#keys.sealCursor({ after: last.name }, binding) };
  }

  #after(cursor: string, binding: string): string {
    const position = this.#keys.openCursor(cursor, binding) as { readonly after?: unknown } | null;
    if (typeof position?.after !== 'string') throw new StrongroomError('cursor_invalid');
    return position.after;
  }

  #maySee(caller: Caller, domain: ScopeRef, bundleId: string): boolean {
    const asset: AssetRef = { type: this.surface.type, id: '', name: '', scope: domain, bundleIds: [bundleId] };
    return this.#access.decide(caller.snapshot, this.surface.actions.view, { kind: 'asset', asset }).allow;
  }

  /** Access may have changed since the route's own decision. */
  #requireStill(current: Caller, domain: ScopeRef): void {
    const decision = this.#access.decide(current.snapshot, this.surface.actions.create, {
      kind: 'scope',
      scope: domain,
    });
    if (!decision.allow) throw new StrongroomError('permission_missing');
  }

  async #current(
    current: Caller,
    asset: AssetRef,
    action: typeof this.surface.actions.update,
    ifMatch: number | undefined,
  ): Promise<ConfigurationRow> {
    const row = await this.#require(asset.scope, asset.name);
    const decision = this.#access.decide(current.snapshot, action, { kind: 'asset', asset: assetOf(row, asset.scope) });
    if (!decision.allow) throw new StrongroomError('permission_missing');
    if (ifMatch !== undefined && ifMatch !== row.revision)
      throw new StrongroomError('revision_mismatch', { detail: `It is at revision ${row.revision}.` });
    return row;
  }

  async #require(domain: ScopeRef, name: string): Promise<ConfigurationRow> {
    const row = await findConfiguration(this.#store, domain.id, this.surface.type, name);
    if (row === undefined) throw new StrongroomError('not_found');
    return row;
  }

  #event(
    caller: Caller,
    domain: ScopeRef,
    object: { readonly id: string; readonly name: string },
    action: AuditEvent['action'],
  ): AuditEvent {
    return {
      principal: caller.id,
      principalName: caller.name,
      action,
      outcome: 'allowed',
      scope: { id: domain.id, name: domain.name },
      object: { type: this.surface.type, id: object.id, name: object.name },
      requestId: caller.requestId,
      network: caller.network,
    };
  }

  /** One record for the save, and one for each reference that the saver authorises with it. */
  #saveEvents(
    caller: Caller,
    domain: ScopeRef,
    object: { readonly id: string; readonly name: string },
    action: AuditEvent['action'],
    checked: CheckedSave,
    changed: readonly string[],
  ): AuditEvent[] {
    const event = this.#event(caller, domain, object, action);
    return [
      { ...event, because: changed, detail: { references: checked.uses.length } },
      ...checked.authorised.map((wanted: Wanted): AuditEvent => ({
        ...event,
        action: 'secret.use',
        reference: wanted.text,
        detail: { variable: wanted.name },
      })),
    ];
  }

  async #show(
    caller: Caller,
    domain: ScopeRef,
    row: ConfigurationRow,
    warnings: readonly SaveWarning[],
  ): Promise<ShownConfiguration<Document>> {
    const document = this.surface.parse(row.document);
    const bundles = await this.#store.query('surfaces.bundles', { scopeId: domain.id });
    const bundle = bundles.find(({ id }) => id === row.bundle_id)?.name ?? 'default';
    return {
      ...this.#view(caller, domain, row, bundle),
      document,
      warnings: [...warnings, ...this.#plainSecrets(document)],
    };
  }

  #plainSecrets(document: Document): SaveWarning[] {
    return this.surface.fields(document).flatMap(({ name, pointer, content }) => {
      const warning = content.kind === 'text' ? plainSecretWarning(name, content.text, pointer) : undefined;
      return warning === undefined ? [] : [warning];
    });
  }

  #view(caller: Caller, domain: ScopeRef, row: ConfigurationRow, bundle: string): ConfigurationView {
    const { view, update, delete: remove, suspend, launch } = this.surface.actions;
    return {
      id: row.id,
      name: row.name,
      domain: domain.name,
      bundle,
      ...(row.managed_by === null ? {} : { managedBy: row.managed_by }),
      suspended: row.is_suspended === 1,
      revision: row.revision,
      createdAt: timeText(row.created_at),
      createdBy: row.created_by,
      updatedAt: timeText(row.updated_at),
      updatedBy: row.updated_by,
      actions: actionsOn(caller.snapshot, [view, update, remove, suspend, launch], {
        kind: 'asset',
        asset: assetOf(row, domain),
      }),
    };
  }
}
