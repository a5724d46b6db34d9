import { type Action, type ActionRow, actionTable, type PlatformRole } from '@strongroom/contract';
import type { Store } from '../store/store.ts';
import { decide } from './decide.ts';
import type { NamedPrincipal } from './principal-names.ts';
import type { AccessService } from './service.ts';
import type { Caller, Decision, Resource, ScopeRef } from './types.ts';

/** Principals looked at: those with rows in the domain and those with platform roles, by kind and name. */
const maxCandidates = 500;
const maxNames = 10;

export interface Entitled {
  readonly principal: NamedPrincipal;
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
   * Everybody named in the domain or by a platform role who may do it; groups count as one. A caller without `identity.list`
   * gets those with rows in the domain only: others it may not list.
   */
  async list(caller: Caller, scope: ScopeRef, action: Action, resource: Resource): Promise<readonly Entitled[]> {
    const listsEverybody = decide(caller.snapshot, 'identity.list', { kind: 'platform' }).allow;
    const candidates = await this.#store.query('access.listCandidates', { scopeId: scope.id, limit: maxCandidates });
    const entitled = await Promise.all(
      candidates.map(async (principal): Promise<Entitled | null> => {
        const snapshot = await this.#access.snapshot(principal.id);
        if (snapshot === null) return null;
        const standsHere = snapshot.domains.has(scope.id);
        const decision = decide(snapshot, action, resource);
        return decision.allow && (standsHere || listsEverybody) ? { principal, decision, standsHere } : null;
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
    const managers = await this.list(caller, scope, 'access.manage', place);
    const owners = resource.kind === 'asset' ? await this.#bundleOwners(caller, resource.asset.bundleIds, scope) : [];
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
    const entitled = await this.list(caller, scope, action, resource);
    return [...entitled.map(({ principal }) => principal.label).slice(0, maxNames), 'role:DOMAIN_MANAGER'];
  }

  async #bundleOwners(caller: Caller, bundleIds: readonly string[], scope: ScopeRef): Promise<readonly string[]> {
    const candidates = await this.#store.query('access.listCandidates', { scopeId: scope.id, limit: maxCandidates });
    const owners = await this.#store.db
      .selectFrom('bundles')
      .select('owner_id')
      .where('id', 'in', bundleIds.length === 0 ? [''] : bundleIds)
      .execute();
    const ids = new Set(owners.map((row) => row.owner_id));
    return candidates.filter(({ id }) => ids.has(id) && id !== caller.id).map(({ label }) => label);
  }
}

function rolesOf(row: ActionRow, scope: ScopeRef | null): readonly PlatformRole[] {
  if (row.on === 'platform') return row.roles;
  if (row.on === 'asset') return row.platform;
  const roles = scope?.kind === 'global' ? row.global : row.admin;
  return roles === 'everyone' ? [] : roles;
}
