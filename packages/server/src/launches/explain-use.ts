import { type Action, StrongroomError } from '@strongroom/contract';
import { sees } from '../access/decide.ts';
import type { ExplainUse } from '../access/explain.ts';
import { type DecisionLinks, featureLink, link, type LinkView } from '../access/explain-links.ts';
import type { AccessService } from '../access/service.ts';
import type { AccessSnapshot, AssetRef, Caller, ScopeRef } from '../access/types.ts';
import type { RunService } from '../runs/service.ts';
import type { MaybePromise } from '../store/maybe-promise.ts';
import type { Store } from '../store/store.ts';
import { consumedRows, storagePointer } from '../surfaces/consumptions.ts';
import { requireDestinations } from '../surfaces/destinations.ts';
import { adminScope } from '../surfaces/platform-use.ts';
import { type AnySurface, isSurfaceType, resourceOf, surfaceOf, surfaces, useActionOf } from '../surfaces/registry.ts';
import { type ConfigurationRow, configurationOf, findConfiguration, usesOfConfiguration } from '../surfaces/rows.ts';
import { assetOf } from '../surfaces/views.ts';
import { ReferenceLinks } from './explain-reference.ts';
import { authorisedWanted } from './plan.ts';
import type { AuthorisedWanted } from './wanted.ts';

interface ExplainUseParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly links: DecisionLinks;
  readonly runs: Pick<RunService, 'placeOf'>;
  readonly areReferencesEnabled: () => MaybePromise<boolean>;
}

/** A configuration that is used, and whom it is told to. */
interface Used {
  readonly caller: Caller;
  /** Whose use it is. */
  readonly user: AccessSnapshot;
  readonly scope: ScopeRef;
  readonly surface: AnySurface;
  readonly row: ConfigurationRow;
  readonly asset: AssetRef;
}

/**
 * What the use of a configuration comes to beyond the permission: a run, a job that consumes it, a mail that is sent. Every
 * link of every reference is walked as a launch decides it, whatever denied before, so that one answer names all that is to be
 * mended. It reads no value and asks no backend: that is a preflight's.
 */
export function explainUse(parts: ExplainUseParts): ExplainUse {
  const { store, access, links } = parts;
  return async ({ caller, place, user, surface: type, asset: known, action, actions }) => {
    if (!isSurfaceType(type)) return [];
    const surface = surfaceOf(type);
    const isUse = surface.scope === 'admin' ? action === 'use' : actions.includes(useActionOf(surface));
    const scope = place ?? adminScope;
    if (!isUse) return [];
    const row =
      known === null
        ? await findConfiguration(store, scope.id, surface.type, surface.type)
        : await configurationOf(store, known.id);
    const asset = known ?? { type: surface.type, id: row?.id ?? '', name: surface.type, scope, bundleIds: [] };
    const resource = resourceOf(surface, asset);
    const may = (each: Action): boolean => access.decide(caller.snapshot, each, resource).allow;
    if (!may(surface.actions.view) && !may(useActionOf(surface)))
      return [
        link('catalogue', asset.name, 'unknown', ['not-listed'], 'What it refers to is told to who may view or use it'),
      ];
    if (row === undefined || row.deleted_at !== null) {
      const fixableBy = await links.holders(caller, surface.actions.create, resource);
      return [link('catalogue', asset.name, 'deny', ['not-found'], `There is no ${surface.title} yet`, fixableBy)];
    }
    return new UseChain(parts, { caller, user, scope, surface, row, asset }).walk();
  };
}

class UseChain {
  readonly #parts: ExplainUseParts;
  readonly #used: Used;
  readonly #references: ReferenceLinks;
  /** The caller may use it, and so learns from a preflight what each reference gives. */
  readonly #isTold: boolean;

  constructor(parts: ExplainUseParts, used: Used) {
    const { store, access, links } = parts;
    const { caller, scope, surface, asset } = used;
    this.#parts = parts;
    this.#used = used;
    this.#references = new ReferenceLinks({ store, access, links, caller, scope });
    this.#isTold = access.decide(caller.snapshot, useActionOf(surface), resourceOf(surface, asset)).allow;
  }

  async walk(): Promise<LinkView[]> {
    const { surface, row } = this.#used;
    const document = surface.parse(row.document);
    const uses = await usesOfConfiguration(this.#parts.store, row.id);
    const wanted = authorisedWanted(surface, document, row.id, uses);
    const storage = await this.#storage(surface.consumes?.(document) ?? []);
    const told = { isTold: this.#isTold, editors: () => this.#editors() };
    const references = await this.#references.of(wanted, told);
    return [
      ...(await this.#state()),
      ...(await this.#feature([...wanted, ...storage.wanted])),
      ...storage.links,
      ...references,
      ...(await this.#destination(document, wanted)),
      ...this.#references.backends(),
      ...(await this.#runner()),
    ];
  }

  #editors(): Promise<readonly string[]> {
    const { caller, surface, asset } = this.#used;
    return this.#parts.links.holders(caller, surface.actions.update, resourceOf(surface, asset));
  }

  async #state(): Promise<LinkView[]> {
    const { caller, surface, row, asset } = this.#used;
    const { suspend } = surface.actions;
    if (suspend === undefined) return [];
    if (row.is_suspended !== 1) return [link('state', row.name, 'allow', ['active'], 'It is not suspended')];
    const fixableBy = await this.#parts.links.holders(caller, suspend, resourceOf(surface, asset));
    return [link('state', row.name, 'deny', ['suspended'], 'It is suspended', fixableBy)];
  }

  async #feature(wanted: readonly AuthorisedWanted[]): Promise<LinkView[]> {
    if (!wanted.some(({ kind }) => kind === 'reference')) return [];
    return [featureLink(await this.#parts.areReferencesEnabled())];
  }

  /** The storage configurations that it names: whether they are there, CONSUME of who uses and of who saved it, and theirs. */
  async #storage(
    names: readonly string[],
  ): Promise<{ readonly links: LinkView[]; readonly wanted: AuthorisedWanted[] }> {
    const { store, access } = this.#parts;
    const { caller, scope, row } = this.#used;
    const found: { links: LinkView[]; wanted: AuthorisedWanted[] } = { links: [], wanted: [] };
    for (const [index, each] of (await consumedRows(store, row.id, names)).entries()) {
      const asset = each.row === null ? null : assetOf(each.row, scope);
      if (!this.#isTold && (asset === null || !sees(caller.snapshot, { kind: 'asset', asset }))) {
        found.links.push(link('storage', each.name, 'unknown', ['not-found'], 'Not found, or not yours'));
        continue;
      }
      if (each.row === null || asset === null) {
        const detail = 'It was deleted since this was saved, or made anew; save this again';
        found.links.push(link('storage', each.name, 'deny', ['not-found'], detail, await this.#editors()));
        continue;
      }
      found.links.push(link('storage', each.name, 'allow', ['found'], 'It is in the catalogue'));
      found.links.push(...(await this.#consume(asset, each.authorisedBy)));
      const definition = surfaceOf(each.row.surface);
      const uses = await usesOfConfiguration(store, each.row.id);
      const theirs = authorisedWanted(definition, definition.parse(each.row.document), each.row.id, uses);
      const wanted = theirs.map((item) => ({
        ...item,
        name: `${each.name} ${item.name}`,
        pointer: storagePointer(index, item.pointer),
      }));
      const resource = resourceOf(definition, asset);
      const isTold = this.#isTold || access.decide(caller.snapshot, useActionOf(definition), resource).allow;
      if (!isTold && !access.decide(caller.snapshot, definition.actions.view, resource).allow) continue;
      const editors = () => this.#parts.links.holders(caller, definition.actions.update, resource);
      found.links.push(...(await this.#references.of(wanted, { isTold, editors })));
      found.wanted.push(...wanted);
    }
    return found;
  }

  async #consume(asset: AssetRef, authorisedBy: string): Promise<LinkView[]> {
    const { access, links } = this.#parts;
    const { caller, user } = this.#used;
    const { consume } = surfaces['storage-config'].actions;
    const name = `CONSUME ${asset.name}`;
    const own = await links.onAsset(caller, name, access.decide(user, consume, { kind: 'asset', asset }), asset);
    const { authoriser, snapshot } = await this.#references.authoriser(authorisedBy, () => this.#editors());
    if (snapshot === null) return [...own, authoriser];
    const decision = access.decide(snapshot, consume, { kind: 'asset', asset });
    return [...own, authoriser, ...(await links.onAsset(caller, name, decision, asset))];
  }

  async #destination(document: unknown, wanted: readonly AuthorisedWanted[]): Promise<LinkView[]> {
    const { store, links } = this.#parts;
    const { caller, scope, surface } = this.#used;
    const destination = surface.credentials?.destination(document) ?? null;
    if (surface.credentials === undefined || destination === null || wanted.length === 0) return [];
    const name = `${destination.host}:${destination.port}`;
    try {
      await requireDestinations(store, scope, wanted, destination);
      return [link('destination', name, 'allow', ['destination'], 'Its secrets may be sent there')];
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      const fixableBy = await links.holders(caller, 'secret.manage', { kind: 'scope', scope });
      return [link('destination', name, 'deny', [error.code], error.message, fixableBy)];
    }
  }

  /** Where it would run: the runner is there, and the cluster and the namespace that it names. Nobody is asked. */
  async #runner(): Promise<LinkView[]> {
    const { surface, row } = this.#used;
    if (surface.launch === undefined) return [];
    const name = (JSON.parse(row.document) as { readonly runner?: string }).runner ?? 'default';
    try {
      // Whether it is suspended is a link of its own.
      await this.#parts.runs.placeOf({ ...row, is_suspended: 0 });
      return [link('runner', name, 'allow', ['found'], 'There is a place for it to run')];
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      const fixableBy = [...(await this.#editors()), 'role:PLATFORM_ADMIN'];
      return [link('runner', name, 'deny', [error.code], error.message, [...new Set(fixableBy)])];
    }
  }
}
