import { formatReference, type ScopeKind, StrongroomError } from '@strongroom/contract';
import type { domainChoiceRoutes, ResponseOf } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import type { ListIntegrations } from '../secrets/integration-keys.ts';
import { type KeyPosition, positionOf, readPosition } from '../secrets/key-order.ts';
import { globalScopeId } from '../store/ids.ts';
import type { MaybePromise } from '../store/maybe-promise.ts';
import type { Store } from '../store/store.ts';
import type { ChoiceOrigin, FoundChoice, IndexOrigin } from './choice-queries.ts';
import { type UsedIntegration, usableIntegrations } from './use-asset.ts';
import { healthView, indexView } from './views.ts';

type Choices = ResponseOf<(typeof domainChoiceRoutes)[number]>;
type Choice = Choices['items'][number];

export interface ChoiceRequest {
  readonly limit?: number;
  readonly cursor?: string;
  readonly q?: string;
  readonly source?: string;
  readonly scope?: ScopeKind;
}

/** A source whose keys may be chosen from. */
interface Source {
  readonly origin: ChoiceOrigin;
  readonly scope: ScopeKind;
  readonly name: string;
  readonly type: string;
  readonly view: Choices['sources'][number];
}

/** Where a page begins: a key, and how many of its fields were sent before. */
interface Start {
  readonly position: KeyPosition;
  readonly skip: number;
}

const defaultLimit = 50;
/** Secrets that are passed over because the caller has no USE of them, in one answer; a page may then be short. */
const maxRounds = 5;

/** What a selector offers: only what the caller may use, from every source at once. */
export class ChoiceList {
  readonly #store: Store;
  readonly #access: AccessService;
  readonly #keys: Pick<Keys, 'sealCursor' | 'openCursor'>;

  constructor(store: Store, access: AccessService, keys: Pick<Keys, 'sealCursor' | 'openCursor'>) {
    this.#store = store;
    this.#access = access;
    this.#keys = keys;
  }

  /**
   * Managed secrets of the scope, Global's, and keys of integrations, ordered by (folded key, scope, source id, key, field).
   * @param place a domain, or the admin scope for the platform's own surfaces
   * @throws StrongroomError `cursor_invalid`
   */
  async list(caller: Caller, place: ScopeRef, request: ChoiceRequest): Promise<Choices> {
    const { cursor, limit = defaultLimit, source, scope } = request;
    const q = (request.q ?? '').toLowerCase();
    const binding = JSON.stringify(['choices', caller.id, place.id, q, source ?? null, scope ?? null]);
    const sources = (await this.#sources(caller, place)).filter(
      (each) => (source === undefined || each.name === source) && (scope === undefined || each.scope === scope),
    );
    const byId = new Map(sources.map((each) => [each.origin.sourceId, each]));
    let start = cursor === undefined ? null : readStart(this.#keys.openCursor(cursor, binding));
    const items: Choice[] = [];
    for (let round = 0; round < maxRounds; round += 1) {
      const asked = limit + 1;
      const found: readonly FoundChoice[] = await this.#store.query('choice.page', {
        origins: sources.map(({ origin }) => origin),
        q,
        from: start?.position ?? null,
        limit: asked + (start === null ? 0 : 1),
      });
      const usable = await this.#usable(caller, place, found, byId);
      for (const row of found) {
        const from = byId.get(row.sourceId);
        if (from === undefined || !usable.has(row)) continue;
        const fields = [undefined, ...(row.fieldNames ?? [])];
        const skip = start !== null && isSame(start.position, row) ? start.skip : 0;
        for (let index = skip; index < fields.length; index += 1) {
          if (items.length === limit)
            return { items, sources: sources.map(({ view }) => view), nextCursor: this.#seal(row, index, binding) };
          items.push(choiceOf(from, row.key, fields[index]));
        }
      }
      const last = found.at(-1);
      if (last === undefined || found.length < asked) return { items, sources: sources.map(({ view }) => view) };
      start = { position: positionOf(last), skip: 1 + (last.fieldNames?.length ?? 0) };
    }
    const nextCursor = start === null ? {} : { nextCursor: this.#seal(start.position, start.skip, binding) };
    return { items, sources: sources.map(({ view }) => view), ...nextCursor };
  }

  async #sources(caller: Caller, place: ScopeRef): Promise<readonly Source[]> {
    const managed = await this.#store.db
      .selectFrom('sources')
      .select(['id', 'scope_id', 'type'])
      .where('scope_id', 'in', [place.id, globalScopeId])
      .where('name', '=', 'managed')
      .execute();
    const integrations = await usableIntegrations(this.#store, this.#access, caller.snapshot, place);
    return [...managed.map((row) => managedSource(place, row)), ...integrations.map((used) => integrationSource(used))];
  }

  /** Which of the rows the caller may use: integrations are decided as a whole before, secrets one by one. */
  async #usable(
    caller: Caller,
    place: ScopeRef,
    found: readonly FoundChoice[],
    sources: ReadonlyMap<string, Source>,
  ): Promise<ReadonlySet<FoundChoice>> {
    const usable = new Set(found.filter(({ secretId }) => secretId === null));
    const secrets = found.flatMap((row) => (row.secretId === null ? [] : [{ row, secretId: row.secretId }]));
    const assets = await this.#access.secretAssets(
      place,
      secrets.map(({ row, secretId }) => ({
        scope: sources.get(row.sourceId)?.scope === 'global' ? 'global' : 'domain',
        secretId,
        key: row.key,
      })),
    );
    for (const [index, { row }] of secrets.entries()) {
      const asset = assets[index];
      if (asset !== undefined && this.#access.decide(caller.snapshot, 'secret.use', { kind: 'asset', asset }).allow)
        usable.add(row);
    }
    return usable;
  }

  #seal(position: KeyPosition, skip: number, binding: string): string {
    return this.#keys.sealCursor({ ...positionOf(position), skip }, binding);
  }
}

function managedSource(
  place: ScopeRef,
  row: { readonly id: string; readonly scope_id: string; readonly type: string },
): Source {
  const scope = row.scope_id === place.id ? place.kind : 'global';
  const assignedTo = scope === 'global' && place.kind === 'domain' ? place.id : null;
  return {
    origin: { kind: 'managed', scope, scopeId: row.scope_id, sourceId: row.id, assignedTo },
    scope,
    name: 'managed',
    type: row.type,
    view: { scope, source: 'managed', sourceType: row.type, health: { state: 'healthy', checkedAt: null } },
  };
}

function integrationSource(used: UsedIntegration): Source {
  const { row, scope } = used;
  return { origin: indexOrigin(used), scope, name: row.name, type: row.type, view: indexedSourceView(used) };
}

function indexOrigin({ row, scope }: UsedIntegration): IndexOrigin {
  return { kind: 'index', scope, sourceId: row.id, from: row.index_from };
}

function indexedSourceView({ row, scope }: UsedIntegration): Choices['sources'][number] {
  return {
    scope,
    source: row.name,
    sourceType: row.type,
    health: healthView(row),
    index: indexView(row, Date.now()),
  };
}

/** Integrations whose keys are in the scope's list of secrets, for as long as the feature is on. */
export function listIntegrations(
  store: Store,
  access: AccessService,
  features: { isEnabled(name: 'secretsV2'): MaybePromise<boolean> },
): ListIntegrations {
  return async (caller, place) => {
    if (!(await features.isEnabled('secretsV2'))) return [];
    const usable = await usableIntegrations(store, access, caller.snapshot, place);
    return usable.map((used) => ({ origin: indexOrigin(used), asset: used.asset, view: indexedSourceView(used) }));
  };
}

function choiceOf({ scope, name, type }: Source, key: string, field: string | undefined): Choice {
  const reference = { scope, source: name, key, ...(field === undefined ? {} : { field }) };
  return { reference: formatReference(reference), ...reference, sourceType: type };
}

function isSame(a: KeyPosition, b: KeyPosition): boolean {
  return a.foldedKey === b.foldedKey && a.sourceId === b.sourceId && a.key === b.key;
}

function readStart(payload: Readonly<Record<string, unknown>> | null): Start {
  const skip = payload?.['skip'];
  if (typeof skip !== 'number') throw new StrongroomError('cursor_invalid');
  return { position: readPosition(payload), skip };
}
