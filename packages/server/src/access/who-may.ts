import { type Action, type ActionRow, actionTable, type PlatformRole } from '@strongroom/contract';
import type { Store } from '../store/store.ts';
import { decide } from './decide.ts';
import type { Candidate } from './list-queries.ts';
import type { Position } from './pages.ts';
import type { AccessService } from './service.ts';
import type { Caller, Decision, Resource, ScopeRef } from './types.ts';

/** Principals looked at at once, and for a few names: those with rows in the domain and those with platform roles. */
const maxCandidates = 500;
const maxNames = 10;

/** What somebody may do or not. */
export interface Asked {
  readonly action: Action;
  readonly resource: Resource;
}

export interface Entitled {
  readonly action: Action;
  readonly principal: Candidate;
  readonly decision: Decision;
  /** Whether it has rows in the domain; otherwise it is here by a platform role. */
  readonly standsHere: boolean;
}

/** Who may do something, and who can change what refuses somebody. */
export class WhoMay {
  readonly #store: Store;
  readonly #access: AccessService;

  constructor(store: Store, access: AccessService) {
    this.#store = store;
    this.#access = access;
  }

  /**
   * Everybody named in the domain or by a platform role who may do the first thing, then the next; groups count as one. A
   * caller without `identity.list` gets those with rows in the domain and itself only: others it may not list.
   *
   * @param after {@link positionOf} the last one of the page before
   */
  async list(
    caller: Caller,
    scope: ScopeRef,
    asked: readonly Asked[],
    { after, limit }: { readonly after: Position | null; readonly limit: number },
  ): Promise<readonly Entitled[]> {
    const found: Entitled[] = [];
    const atOnce = Math.min(limit, maxCandidates);
    const [begun, ...place] = after ?? [];
    let position: Position | null = after === null ? null : place;
    const from = Math.max(
      0,
      asked.findIndex(({ action }) => action === begun),
    );
    for (const each of asked.slice(from)) {
      for (;;) {
        const candidates = await this.#candidates(scope, position, atOnce);
        found.push(...(await this.#among(candidates, caller, scope, each)));
        if (found.length >= limit) return found.slice(0, limit);
        const last = candidates.at(-1);
        if (last === undefined || candidates.length < atOnce) break;
        position = placeOf(last);
      }
      position = null;
    }
    return found;
  }

  async #among(
    candidates: readonly Candidate[],
    caller: Caller,
    scope: ScopeRef,
    { action, resource }: Asked,
  ): Promise<readonly Entitled[]> {
    const listsEverybody = decide(caller.snapshot, 'identity.list', { kind: 'platform' }).allow;
    const entitled = await Promise.all(
      candidates.map(async (principal): Promise<Entitled | null> => {
        const snapshot = await this.#access.snapshot(principal.id);
        if (snapshot === null) return null;
        const standsHere = snapshot.domains.has(scope.id);
        const decision = decide(snapshot, action, resource);
        const isTold = standsHere || listsEverybody || principal.id === caller.id;
        return decision.allow && isTold ? { action, principal, decision, standsHere } : null;
      }),
    );
    return entitled.filter((each) => each !== null);
  }

  /**
   * Who can change what a decision refuses: principals the caller may list, and beside them (or instead) the role that can.
   * The names are for a person to ask; at most ten.
   */
  async fixers(caller: Caller, resource: Resource, decision: Decision): Promise<readonly string[]> {
    if (decision.allow) return [];
    const [first = ''] = decision.because;
    if (first === 'not-assigned') return ['role:SECRETS_ADMIN'];
    if (first === 'disabled' || first.startsWith('missing-role:')) return ['role:PLATFORM_ADMIN'];
    const scope = resource.kind === 'asset' ? resource.asset.scope : resource.kind === 'scope' ? resource.scope : null;
    if (scope === null || scope.kind !== 'domain') return ['role:PLATFORM_ADMIN'];
    const place: Resource = { kind: 'scope', scope };
    if (!decide(caller.snapshot, 'access.view', place).allow)
      return ['permission:MANAGE_ACCESS', 'role:DOMAIN_MANAGER'];
    const candidates = await this.#candidates(scope, null, maxCandidates);
    const managers = await this.#among(candidates, caller, scope, { action: 'access.manage', resource: place });
    const owners =
      resource.kind === 'asset' ? await this.#bundleOwners(candidates, caller, resource.asset.bundleIds) : [];
    const names = [...new Set([...owners, ...managers.map(({ principal }) => principal.label)])];
    return [...names.slice(0, maxNames), 'role:DOMAIN_MANAGER'];
  }

  /**
   * Who may do something that mends what is wrong: at most ten principals that the caller may list, and beside them (or
   * instead) the permission or the roles.
   */
  async holders(caller: Caller, action: Action, resource: Resource): Promise<readonly string[]> {
    const row: ActionRow = actionTable[action];
    const scope = resource.kind === 'asset' ? resource.asset.scope : resource.kind === 'scope' ? resource.scope : null;
    if (scope === null || scope.kind !== 'domain') return rolesOf(row, scope).map((role) => `role:${role}`);
    const word = row.on === 'asset' ? row.permission : row.on === 'scope' ? row.domain : action;
    if (!decide(caller.snapshot, 'access.view', { kind: 'scope', scope }).allow)
      return [`permission:${word}`, 'role:DOMAIN_MANAGER'];
    const entitled = await this.#among(await this.#candidates(scope, null, maxCandidates), caller, scope, {
      action,
      resource,
    });
    return [...entitled.map(({ principal }) => principal.label).slice(0, maxNames), 'role:DOMAIN_MANAGER'];
  }

  #candidates(scope: ScopeRef, after: Position | null, limit: number): Promise<readonly Candidate[]> {
    return this.#store.query('access.listCandidates', { scopeId: scope.id, after, limit });
  }

  async #bundleOwners(
    candidates: readonly Candidate[],
    caller: Caller,
    bundleIds: readonly string[],
  ): Promise<readonly string[]> {
    const owners = await this.#store.db
      .selectFrom('bundles')
      .select('owner_id')
      .where('id', 'in', bundleIds.length === 0 ? [''] : bundleIds)
      .execute();
    const ids = new Set(owners.map((row) => row.owner_id));
    return candidates.filter(({ id }) => ids.has(id) && id !== caller.id).map(({ label }) => label);
  }
}

/** Of the order of {@link WhoMay.list}. */
export function positionOf({ action, principal }: Entitled): Position {
  return [action, ...placeOf(principal)];
}

function placeOf({ kind, name, id }: Candidate): Position {
  return [kind, name, id];
}

function rolesOf(row: ActionRow, scope: ScopeRef | null): readonly PlatformRole[] {
  if (row.on === 'platform') return row.roles;
  if (row.on === 'asset') return row.platform;
  const roles = scope?.kind === 'global' ? row.global : row.admin;
  return roles === 'everyone' ? [] : roles;
}
