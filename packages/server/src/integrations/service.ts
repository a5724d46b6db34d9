import { type FieldError, reservedSourceName, StrongroomError } from '@strongroom/contract';
import { chooseBundle } from '../access/bundle-choice.ts';
import { type PageOf, type PageRequest, readPage } from '../access/pages.ts';
import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import { type BrokenUses, brokenUsesOf, maxBrokenUses, useText } from '../secrets/metadata.ts';
import { usesSeenBy } from '../secrets/seen-uses.ts';
import { newId } from '../store/ids.ts';
import type { IdempotencyKey, Store } from '../store/store.ts';
import { changedNames } from '../surfaces/compare.ts';
import { reboundPointers } from './bound-settings.ts';
import { changeableRow, listedRow } from './changeable-row.ts';
import { requireRoomFor } from './commands.ts';
import {
  checkAddresses,
  type ConnectionInput,
  declarationOf,
  methodOf,
  neededCredentials,
  type OpenEgress,
  readCredentials,
  requireSettingsOf,
  type Settings,
  storedSettings,
} from './connection.ts';
import type { IntegrationCredentials } from './credentials.ts';
import { integrationEvent } from './events.ts';
import type { OpenedBackends } from './opened-backends.ts';
import { chooseProfile } from './profiles/bound-profile.ts';
import { previewChange, previewCredentials, previewRow } from './preview-row.ts';
import type { ListedIntegration } from './queries.ts';
import { assetOfIntegration, type IntegrationView, integrationView } from './views.ts';

export interface NewIntegrationInput extends ConnectionInput {
  readonly name: string;
  readonly description?: string;
  readonly bundle?: string;
  readonly managedBy?: string;
}

export interface IntegrationChanges {
  readonly description?: string;
  readonly bundle?: string;
  readonly settings?: Settings;
  readonly credentials?: ConnectionInput['credentials'];
  readonly profile?: string | null;
}

export interface IntegrationsParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly keys: Pick<Keys, 'sealCursor' | 'openCursor'>;
  readonly credentials: IntegrationCredentials;
  readonly backends: OpenedBackends;
  readonly egress: OpenEgress;
  readonly maxIntegrations: number;
}

/** Connections to other people's backends, in all three scopes. Values never come here. */
export class Integrations {
  readonly #parts: IntegrationsParts;
  readonly #store: Store;
  readonly #access: AccessService;

  constructor(parts: IntegrationsParts) {
    this.#parts = parts;
    this.#store = parts.store;
    this.#access = parts.access;
  }

  /** @throws StrongroomError `validation_failed`, `egress_denied`, `already_exists`, `key_clash`, `limit_exceeded` */
  async create(
    caller: Caller,
    scope: ScopeRef,
    input: NewIntegrationInput,
    idempotency?: IdempotencyKey,
  ): Promise<IntegrationView> {
    const { id, owner, profile } = await this.#prepare(scope, input);
    const given = readCredentials(input, new Set(), []);
    const credentials = await this.#parts.credentials.seal(owner, given, caller.name);
    const created = await this.#access.decided(caller, async (current) => {
      await this.#access.require(current, 'integration.create', { kind: 'scope', scope });
      const bundleId = await this.#bundleFor(current, scope, input);
      const because = [
        input.type,
        ...[...given.keys()].map((name) => `credential:${name}`),
        ...(profile === null ? [] : [`profile:${profile.name}`]),
      ];
      return this.#store.execute(
        'integration.create',
        {
          id,
          scopeId: scope.id,
          name: input.name,
          type: input.type,
          description: input.description ?? '',
          settings: JSON.stringify(input.settings),
          profileId: profile?.id ?? null,
          bundleId,
          credentials,
          ...(input.managedBy === undefined ? {} : { managedBy: input.managedBy }),
          by: caller.name,
          maxIntegrations: this.#parts.maxIntegrations,
        },
        {
          audit: [integrationEvent(current, scope, 'integration.create', { id, name: input.name }, because)],
          expectAuthorisationRevision: current.snapshot.revision,
          ...(idempotency === undefined ? {} : { idempotency }),
        },
      );
    });
    return this.#view(caller, scope, created.id);
  }

  /**
   * What {@link create} would make, with nothing written and nothing sealed; its id is nobody's. Credentials come last: where
   * they alone are missing, nothing else stands in its way.
   * @throws as `create`
   */
  async previewCreation(caller: Caller, scope: ScopeRef, input: NewIntegrationInput): Promise<IntegrationView> {
    const { id, profile } = await this.#prepare(scope, input);
    return this.#access.decided(caller, async (current) => {
      await this.#access.require(current, 'integration.create', { kind: 'scope', scope });
      const bundleId = await this.#bundleFor(current, scope, input);
      const { maxIntegrations } = this.#parts;
      await requireRoomFor(this.#store.db, { scopeId: scope.id, name: input.name, maxIntegrations });
      const given = readCredentials(input, new Set(), []);
      const at = Date.now();
      const { epoch } = await this.#store.db.selectFrom('installation').select('epoch').executeTakeFirstOrThrow();
      const credentials = previewCredentials([], [...given.keys()], { epoch, at, by: caller.name });
      return integrationView(
        current,
        scope,
        previewRow({ id, scope, input, bundleId, at, by: caller.name, profile }),
        credentials,
      );
    });
  }

  /** What is checked before access is. */
  async #prepare(scope: ScopeRef, input: NewIntegrationInput) {
    requireName(input.name);
    await checkAddresses(this.#parts.egress, input.settings, declarationOf(input.type).vendorHosts);
    const id = newId('source');
    const owner = { id, scopeId: scope.id, type: input.type, settings: input.settings };
    return { id, owner, profile: await chooseProfile(this.#store, owner, input.profile ?? null) };
  }

  async #bundleFor(caller: Caller, scope: ScopeRef, { bundle }: NewIntegrationInput): Promise<string | null> {
    return scope.kind === 'domain' ? chooseBundle(this.#store, caller, scope, bundle, undefined) : null;
  }

  async get(caller: Caller, asset: AssetRef): Promise<IntegrationView> {
    return this.#view(caller, asset.scope, asset.id);
  }

  /** A page by name of what the caller may see. @throws StrongroomError `cursor_invalid` */
  async list(caller: Caller, scope: ScopeRef, request: PageRequest): Promise<PageOf<IntegrationView>> {
    const bundleIds = await this.#visibleBundles(caller, scope);
    const page = await readPage<ListedIntegration, ListedIntegration>(
      this.#parts.keys,
      caller,
      ['integrations', scope.id],
      request,
      {
        read: (args) => this.#store.query('integration.list', { ...args, scopeId: scope.id, bundleIds }),
        positionOf: (row) => [row.folded_name, row.id],
        toItem: (row) => row,
      },
    );
    const credentials = await this.#parts.credentials.list(page.items.map(({ id }) => id));
    const items = page.items.map((row) => integrationView(caller, scope, row, credentials.get(row.id) ?? []));
    return { ...page, items };
  }

  /**
   * What is left out stays. Another destination or way to sign in asks for the credentials anew.
   * @throws StrongroomError `validation_failed` naming the settings, `egress_denied`, `revision_mismatch`
   */
  async update(
    caller: Caller,
    asset: AssetRef,
    changes: IntegrationChanges,
    ifMatch?: number,
  ): Promise<IntegrationView> {
    const { scope } = asset;
    await this.#access.decided(caller, async (current) => {
      const row = await changeableRow(this.#store, this.#access, current, asset, ifMatch);
      const { change, because, owner, given } = await this.#change(current, scope, row, changes);
      if (because.length === 0) return;
      const credentials = await this.#parts.credentials.seal(owner, given, caller.name);
      await this.#store.execute(
        'integration.update',
        { ...change, credentials },
        {
          audit: [integrationEvent(current, scope, 'integration.update', row, because)],
          expectAuthorisationRevision: current.snapshot.revision,
        },
      );
      this.#parts.backends.forget(row.id);
    });
    return this.#view(caller, scope, asset.id);
  }

  /** What {@link update} would make of it, with nothing written and nothing sealed. @throws as `update` */
  async previewUpdate(
    caller: Caller,
    asset: AssetRef,
    changes: IntegrationChanges,
    ifMatch?: number,
  ): Promise<IntegrationView> {
    const { scope } = asset;
    return this.#access.decided(caller, async (current) => {
      const row = await changeableRow(this.#store, this.#access, current, asset, ifMatch);
      const { change, because, given, profile } = await this.#change(current, scope, row, changes);
      const kept = (await this.#parts.credentials.list([row.id])).get(row.id) ?? [];
      if (because.length === 0) return integrationView(current, scope, row, kept);
      const { epoch } = await this.#store.db.selectFrom('installation').select('epoch').executeTakeFirstOrThrow();
      const told = {
        profileName: profile?.name ?? null,
        bundleName: changes.bundle ?? row.bundle_name,
        at: Date.now(),
      };
      const stays = kept.filter(({ name }) => !change.dropped.includes(name));
      return integrationView(
        current,
        scope,
        previewChange(row, change, told),
        previewCredentials(stays, [...given.keys()], { epoch, at: told.at, by: caller.name }),
      );
    });
  }

  /** @throws StrongroomError `in_use` naming the uses, unless forced; `revision_mismatch` */
  async delete(
    caller: Caller,
    asset: AssetRef,
    options: { readonly force: boolean; readonly ifMatch: number | undefined },
  ) {
    const { scope } = asset;
    return this.#access.decided(caller, async (current) => {
      const row = await changeableRow(this.#store, this.#access, current, asset, options.ifMatch);
      const place = { scopeId: scope.id, sourceId: row.id };
      const rows = await this.#store.query('integration.uses', { ...place, limit: maxBrokenUses + 1 });
      const broken = brokenUsesOf(rows, usesSeenBy(this.#access, current.snapshot, scope));
      const uses = broken.isComplete
        ? broken.brokenUses.length
        : await this.#store.query('integration.countUses', place);
      const because = ['delete', ...(options.force ? ['forced'] : [])];
      const audit = [integrationEvent(current, scope, 'integration.update', row, because, { uses })];
      try {
        await this.#store.execute(
          'integration.delete',
          { id: row.id, revision: row.revision, force: options.force },
          { audit, expectAuthorisationRevision: current.snapshot.revision },
        );
      } catch (error) {
        // What else holds it is named by the command.
        const isUsed = error instanceof StrongroomError && error.code === 'in_use' && broken.brokenUses.length > 0;
        throw isUsed ? usedIn(row.name, uses, broken.brokenUses) : error;
      }
      this.#parts.backends.forget(row.id);
      return { name: row.name, ...broken };
    });
  }

  /** What a change makes of the row, and which parts it changes: names of settings and credentials, never what they are. */
  async #change(caller: Caller, scope: ScopeRef, row: ListedIntegration, changes: IntegrationChanges) {
    const before = storedSettings(row.settings);
    const settings = changes.settings ?? before;
    if (changes.settings !== undefined) await requireSettingsOf(row.type, settings);
    const declaration = declarationOf(row.type);
    const kept = (await this.#parts.credentials.list([row.id])).get(row.id) ?? [];
    const given = readCredentials(
      { type: row.type, settings, credentials: changes.credentials },
      new Set(kept.map(({ name }) => name)),
      reboundPointers(declaration, before, settings),
    );
    if (changes.settings !== undefined) await checkAddresses(this.#parts.egress, settings, declaration.vendorHosts);
    const owner = { id: row.id, scopeId: scope.id, type: row.type, settings };
    const profile = await chooseProfile(this.#store, owner, profileName(row, changes, settings));
    const needed = neededCredentials(declaration, methodOf(settings));
    const bundleId =
      scope.kind === 'domain'
        ? await chooseBundle(this.#store, caller, scope, changes.bundle, row.bundle_id ?? undefined)
        : null;
    const description = changes.description ?? row.description;
    const changed = changedNames(before, settings).map((name) => `settings:${name}`);
    return {
      owner,
      given,
      profile,
      change: {
        id: row.id,
        revision: row.revision,
        description,
        settings: JSON.stringify(settings),
        profileId: profile?.id ?? null,
        bundleId,
        isSetUpAnew: changed.length > 0 || row.profile_id !== (profile?.id ?? null),
        dropped: kept.map(({ name }) => name).filter((name) => !needed.includes(name)),
        by: caller.name,
      },
      because: [
        ...changed,
        ...[...given.keys()].map((name) => `credential:${name}`),
        ...(row.profile_id === (profile?.id ?? null) ? [] : ['profile']),
        ...(description === row.description ? [] : ['description']),
        ...(bundleId === row.bundle_id ? [] : ['bundle']),
      ],
    };
  }

  async #view(caller: Caller, scope: ScopeRef, id: string): Promise<IntegrationView> {
    const row = await listedRow(this.#store, scope, id);
    const credentials = await this.#parts.credentials.list([id]);
    return integrationView(caller, scope, row, credentials.get(id) ?? []);
  }

  /** Bundles whose integrations the caller may see; null in a scope without bundles, which it may see as a whole. */
  async #visibleBundles(caller: Caller, scope: ScopeRef): Promise<readonly string[] | null> {
    const maySee = (bundleId: string | null): boolean => {
      const asset = assetOfIntegration(scope, { id: '', name: '', bundle_id: bundleId });
      return this.#access.decide(caller.snapshot, 'integration.view', { kind: 'asset', asset }).allow;
    };
    if (scope.kind !== 'domain') return maySee(null) ? null : [];
    const bundles = await this.#store.query('surfaces.bundles', { scopeId: scope.id });
    return bundles.map(({ id }) => id).filter(maySee);
  }
}

/** Names the configurations that the caller may see. */
function usedIn(name: string, fields: number, uses: BrokenUses['brokenUses']): StrongroomError {
  return new StrongroomError('in_use', {
    detail: `The integration ${name} is used in ${fields} field${fields === 1 ? '' : 's'}.`,
    errors: uses.map((use): FieldError => ({
      pointer: use.pointer,
      reference: use.reference,
      message: useText(use),
    })),
  });
}

/** Unnamed it stays, unless the new way to sign in has no use for it. */
function profileName(row: ListedIntegration, changes: IntegrationChanges, settings: Settings): string | null {
  if (changes.profile !== undefined) return changes.profile;
  const isAmbient = neededCredentials(declarationOf(row.type), methodOf(settings)).length === 0;
  return isAmbient ? row.profile_name : null;
}

function requireName(name: string): void {
  if (name.toLowerCase() === reservedSourceName) throw invalid('/name', 'is the name of the managed store');
}

function invalid(pointer: string, message: string): StrongroomError {
  return new StrongroomError('validation_failed', { errors: [{ pointer, message }] });
}
