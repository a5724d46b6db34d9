import { labelPattern, StrongroomError, type Action, type AssetType, type ScopeKind } from '@strongroom/contract';
import type { AuditEvent } from '../audit/event.ts';
import { adminScopeId, globalScopeId } from '../store/ids.ts';
import { andThen, type MaybePromise } from '../store/maybe-promise.ts';
import type { Store, Writer } from '../store/store.ts';
import { decide, sees } from './decide.ts';
import { defaultBundleIdOf } from './default-bundle.ts';
import { refusalText } from './refusal.ts';
import { createRevisionCache } from './revision-cache.ts';
import { createSelectorIndex, type SelectorIndex } from './selectors.ts';
import { buildSnapshot } from './snapshot.ts';
import { assignmentsOf, configurationByName, domainByName, integrationByName } from './statements.ts';
import type { Access, AccessSnapshot, AssetRef, Caller, Decision, Resource, ScopeRef } from './types.ts';

/** Snapshots kept: one per principal that was active lately, a few kilobytes each. */
const maxSnapshots = 5000;
const maxSelectorIndexes = 500;
const maxDomains = 5000;
const isLabel = new RegExp(labelPattern);
/**
 * How often a change is decided anew while others keep changing access at the same time. Of those under way together one
 * gets through each time, so this many may come at once.
 */
const maxDecisions = 64;

interface SecretTarget {
  /** Where the secret itself lives. */
  readonly scope: 'domain' | 'global';
  readonly secretId: string;
  readonly key: string;
}

/** {@link Access}, and what the server's services use besides. */
export interface AccessService extends Access {
  /** {@link Access.secretAsset} of many secrets, in their order. */
  secretAssets(domain: ScopeRef, targets: readonly SecretTarget[]): Promise<readonly AssetRef[]>;
  /**
   * Records the refusal and throws: `not_found` for what the caller may not see, else `permission_missing`.
   * @throws StrongroomError `audit_unavailable` when it can't be recorded
   */
  refuse(caller: Caller, action: Action, resource: Resource, decision: Decision): Promise<never>;
  /** For a scope that {@link Access.findScope} did not find, absent or not the caller's alike: recorded, then `not_found`. */
  refuseAbsent(caller: Caller, action: Action, scopeName: string): Promise<never>;
  /**
   * Runs a change with a caller whose snapshot is current. The change passes `snapshot.revision` to the store as
   * `expectAuthorisationRevision`; when access changed in between, it is decided and run again.
   */
  decided<Result>(caller: Caller, change: (current: Caller) => Promise<Result>): Promise<Result>;
  /**
   * Commits what a route has admitted under the revision it was admitted by. When access changed in between, however long ago
   * that was, it is decided again, and the write is made or refused as {@link Access.require} does. A `version_conflict` of
   * the command itself is thrown at once.
   */
  writer(caller: Caller, action: Action, resource: Resource): Writer;
}

/** The one implementation of {@link Access}, over the store. */
export function createAccess(store: Store): AccessService {
  const snapshots = createRevisionCache<AccessSnapshot>(maxSnapshots);
  // Making and deleting a domain moves the revision.
  const domains = createRevisionCache<{ readonly revision: number; readonly scope: ScopeRef }>(maxDomains);
  const selectorIndexes = createRevisionCache<SelectorIndex & { readonly revision: number }>(maxSelectorIndexes);

  function snapshot(principalId: string): MaybePromise<AccessSnapshot | null> {
    return snapshots.peek(principalId, store.knownRevision()) ?? readSnapshot(principalId);
  }

  /**
   * What is read counts as of the revision that was known before. A reader may see a commit that this process has not been told
   * of, while its caches still hold things of before: a decision made of both must fail at its commit.
   */
  async function readSnapshot(principalId: string): Promise<AccessSnapshot | null> {
    const revision = await store.authorisationRevision();
    return snapshots.get(principalId, revision, async () => {
      const read = buildSnapshot(principalId, await store.query('access.snapshot', { principalId }));
      return read === null ? null : { ...read, revision };
    });
  }

  function selectorsOf(scopeId: string): MaybePromise<SelectorIndex | null> {
    return selectorIndexes.peek(scopeId, store.knownRevision()) ?? readSelectors(scopeId);
  }

  async function readSelectors(scopeId: string): Promise<SelectorIndex | null> {
    const revision = await store.authorisationRevision();
    return selectorIndexes.get(scopeId, revision, async () => {
      return { revision, ...createSelectorIndex(await store.query('access.selectors', { scopeId })) };
    });
  }

  async function secretAssets(domain: ScopeRef, targets: readonly SecretTarget[]): Promise<readonly AssetRef[]> {
    const index = domain.kind === 'domain' ? await selectorsOf(domain.id) : null;
    const assets = targets.map((target) => secretIn(domain, index, target));
    if (domain.kind !== 'domain' || targets.every(({ scope }) => scope === 'domain')) return assets;
    return Promise.all(
      assets.map(async (asset, at) =>
        targets[at]?.scope === 'global' ? { ...asset, isAssigned: await isAssigned(domain, asset.id) } : asset,
      ),
    );
  }

  async function integrationAsset(scope: ScopeRef, name: string): Promise<AssetRef | null> {
    const row = await store.first(integrationByName, [scope.id, name.toLowerCase()]);
    // Names are unique after folding, yet a path names one exactly.
    if (row === undefined || row.name !== name) return null;
    const bundleIds = row.bundle_id === null ? [] : [row.bundle_id];
    return { type: 'integration', id: row.id, name: row.name, scope, bundleIds };
  }

  async function isAssigned(domain: ScopeRef, secretId: string): Promise<boolean> {
    const row = await store.first(assignmentsOf, [domain.id, secretId]);
    return row === undefined || row.assigned === 0 || row.mine > 0;
  }

  function findScope(snapshot: AccessSnapshot, kind: ScopeKind, name: string): MaybePromise<ScopeRef | null> {
    return andThen(lookUp(kind, name), (scope) =>
      scope !== null && sees(snapshot, { kind: 'scope', scope }) ? scope : null,
    );
  }

  function lookUp(kind: ScopeKind, name: string): MaybePromise<ScopeRef | null> {
    if (kind === 'admin') return { id: adminScopeId, kind, name: 'admin' };
    if (kind === 'global') return { id: globalScopeId, kind, name: 'global' };
    return domains.peek(name, store.knownRevision())?.scope ?? readDomain(kind, name);
  }

  async function readDomain(kind: ScopeKind, name: string): Promise<ScopeRef | null> {
    const revision = await store.authorisationRevision();
    const found = await domains.get(name, revision, async () => {
      const row = await store.first(domainByName, [name]);
      return row === undefined ? null : { revision, scope: { id: row.id, kind, name: row.name } };
    });
    return found?.scope ?? null;
  }

  async function refuse(caller: Caller, action: Action, resource: Resource, decision: Decision): Promise<never> {
    await store.execute('access.record', undefined, { audit: [denial(caller, action, resource, decision)] });
    if (!sees(caller.snapshot, resource)) throw new StrongroomError('not_found');
    throw new StrongroomError('permission_missing', { detail: `${refusalText(decision, resource)}.` });
  }

  async function require(caller: Caller, action: Action, resource: Resource): Promise<Decision> {
    const decision = decide(caller.snapshot, action, resource);
    return decision.allow ? decision : refuse(caller, action, resource, decision);
  }

  async function withCurrentSnapshot(caller: Caller): Promise<Caller> {
    const current = await snapshot(caller.id);
    if (current === null) throw new StrongroomError('unauthenticated');
    return { ...caller, snapshot: current };
  }

  async function underDecision<Result>(
    caller: Caller,
    action: Action,
    resource: Resource,
    commit: (revision: number) => Promise<Result>,
  ): Promise<Result> {
    let current = caller;
    for (let attempt = 1; ; attempt += 1) {
      await require(current, action, resource);
      const { revision } = current.snapshot;
      try {
        return await commit(revision);
      } catch (error) {
        if (!isConflict(error) || attempt === maxDecisions) throw error;
        // Nobody has changed access: it is the command's own.
        if ((await store.authorisationRevision()) === revision) throw error;
        current = await withCurrentSnapshot(caller);
      }
    }
  }

  return {
    snapshot,
    decide,
    findScope,
    secretAssets,
    refuse,
    require,
    async refuseAbsent(caller, action, scopeName) {
      const event: AuditEvent = {
        ...denialBy(caller, action, ['no-standing']),
        // What can't be a domain's name may be a value in the wrong place.
        object: { type: 'scope', id: '', name: isLabel.test(scopeName) ? scopeName : '' },
      };
      await store.execute('access.record', undefined, { audit: [event] });
      throw new StrongroomError('not_found');
    },
    secretAsset(domain, target) {
      return andThen(domain.kind === 'domain' ? selectorsOf(domain.id) : null, (index) => {
        const asset = secretIn(domain, index, target);
        if (domain.kind !== 'domain' || target.scope === 'domain') return asset;
        return isAssigned(domain, asset.id).then((known): AssetRef => ({ ...asset, isAssigned: known }));
      });
    },
    async configurationAsset(domain: ScopeRef, type: AssetType, name: string): Promise<AssetRef | null> {
      if (type === 'integration') return integrationAsset(domain, name);
      const row = await store.first(configurationByName, [domain.id, type, name]);
      return row === undefined ? null : { type, id: row.id, name, scope: domain, bundleIds: [row.bundle_id] };
    },
    async decided(caller, change) {
      for (let attempt = 1; ; attempt += 1) {
        const current = await withCurrentSnapshot(caller);
        try {
          return await change(current);
        } catch (error) {
          if (!isConflict(error) || attempt === maxDecisions) throw error;
        }
      }
    },
    writer(caller, action, resource) {
      return {
        execute: (name, args, options) =>
          underDecision(caller, action, resource, (expectAuthorisationRevision) =>
            store.execute(name, args, { ...options, expectAuthorisationRevision }),
          ),
      };
    },
  };
}

function isConflict(error: unknown): boolean {
  return error instanceof StrongroomError && error.code === 'version_conflict';
}

/** A secret as an asset of the place it is used in; whether a Global one is assigned there is left out. */
function secretIn(domain: ScopeRef, index: SelectorIndex | null, { scope, secretId, key }: SecretTarget): AssetRef {
  const asset = { type: 'secret', id: secretId, name: key, scope: domain } as const;
  if (domain.kind !== 'domain') return { ...asset, bundleIds: [] };
  const matching = index?.bundlesOf(scope, key) ?? [];
  return { ...asset, bundleIds: matching.length > 0 ? matching : [defaultBundleIdOf(domain.id)] };
}

function denial(caller: Caller, action: Action, resource: Resource, decision: Decision): AuditEvent {
  const event = denialBy(caller, action, decision.because);
  if (resource.kind === 'platform') return event;
  if (resource.kind === 'scope') return { ...event, scope: { id: resource.scope.id, name: resource.scope.name } };
  const { type, id, name, scope } = resource.asset;
  return { ...event, scope: { id: scope.id, name: scope.name }, object: { type, id, name } };
}

function denialBy(caller: Caller, action: Action, because: readonly string[]): AuditEvent {
  return {
    principal: caller.id,
    principalName: caller.name,
    action,
    outcome: 'denied',
    requestId: caller.requestId,
    network: caller.network,
    because,
  };
}
