import { statSync } from 'node:fs';
import { StrongroomError } from '@strongroom/contract';
import type { CheckLine } from '@strongroom/backends';
import type { Settings } from '../config/settings.ts';
import type { KekSource } from '../keys/kek-source.ts';
import type { OpenManagedStore, OutsideType, StoreScope } from '../managed-stores/opened-stores.ts';
import { storeNameOf } from '../managed-stores/store-names.ts';
import { globalScopeId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import { amber, type Finding, ok, red } from './finding.ts';

export interface OutsideParts {
  readonly settings: Pick<Settings, 'kek' | 'managed'>;
  readonly store: Pick<Store, 'db'> | null;
  readonly kek: Pick<KekSource, 'place' | 'find' | 'read'>;
  readonly openManagedStore: OpenManagedStore;
}

/** For all steps of one scope. */
const checkMilliseconds = 15_000;
/** Scopes of one kind of store: they differ in the path or the name, hardly in anything else. */
const maxScopes = 3;

/** Reads the key-encryption key once more, as the next start will, and forgets it. */
export async function checkKekSource({ settings, store, kek }: OutsideParts): Promise<Finding> {
  if (settings.kek.kind === 'file' && statSync(settings.kek.file, { throwIfNoEntry: false })?.isFIFO() === true)
    return ok('From a pipe, which is read once, at start');
  try {
    const installation = await store?.db.selectFrom('installation').select('kek_id').executeTakeFirst();
    const found = installation === undefined ? await kek.read() : await kek.find(installation.kek_id);
    found.destroy();
    if (installation !== undefined) return ok(`${kek.place}: the key ${found.id}`);
    return amber(`${kek.place} has the key ${found.id}; whether it is the installation’s is not known.`, mendFirst);
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    return red(error.message, error.hint);
  }
}

const mendFirst = 'Mend the store first.';

/** Kinds of managed stores that are configured, or that a scope is in. */
export async function outsideStores({ settings, store }: OutsideParts): Promise<readonly OutsideType[]> {
  const { stores, vault } = settings.managed;
  const chosen = new Set<string>(Object.values(stores).filter((name) => name !== undefined));
  const types: readonly OutsideType[] = ['KUBERNETES', 'VAULT'];
  const isThere = await Promise.all(
    types.map(
      async (type) =>
        chosen.has(storeNameOf(type)) ||
        (type === 'VAULT' && vault !== null) ||
        (store !== null && (await scopesIn(store, type, 1)).length > 0),
    ),
  );
  return types.filter((_, index) => isThere[index]);
}

/** Tries a managed store for some of the scopes that are in it. Writes nothing, keeps no value. */
export async function checkManagedStore(parts: OutsideParts, type: OutsideType): Promise<Finding> {
  const scopes = parts.store === null ? [] : await scopesIn(parts.store, type, maxScopes);
  if (scopes.length === 0) return checkUnused(parts, type);
  for (const scope of scopes) {
    const failed = await firstFailure(parts, type, scope);
    if (failed !== undefined)
      return red(`The ${nameOf(scope)}, ${failed.step}: ${failed.message}`, hintOf(type, failed));
  }
  return ok(`Tried for ${scopes.map(nameOf).join(', ')}`);
}

/** Nobody’s values are there: what a policy allows at the place of a scope says nothing. */
async function checkUnused(parts: OutsideParts, type: OutsideType): Promise<Finding> {
  const failed = await firstFailure(parts, type, { id: globalScopeId, kind: 'global', name: 'global' });
  if (failed === undefined || ofScope.has(failed.step)) return ok('It answers; no scope is known to be in it');
  return amber(`No scope is known to be in it. ${failed.step}: ${failed.message}`, hintOf(type, failed));
}

const ofScope: ReadonlySet<CheckLine['step']> = new Set(['list', 'read', 'write']);

async function firstFailure(
  { openManagedStore }: OutsideParts,
  type: OutsideType,
  scope: StoreScope,
): Promise<Pick<CheckLine, 'step' | 'message'> | undefined> {
  try {
    const backend = await openManagedStore(type, scope);
    try {
      const lines = await backend.check({ signal: AbortSignal.timeout(checkMilliseconds) });
      return lines.find(({ outcome }) => outcome === 'failed');
    } finally {
      await backend.close();
    }
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    return { step: 'address', message: `${error.message} ${error.hint}`.trim() };
  }
}

async function scopesIn(store: Pick<Store, 'db'>, type: OutsideType, limit: number): Promise<StoreScope[]> {
  return store.db
    .selectFrom('sources')
    .innerJoin('scopes', 'scopes.id', 'sources.scope_id')
    .select(['scopes.id', 'scopes.kind', 'scopes.name'])
    .where('sources.name', '=', 'managed')
    .where('sources.type', '=', type)
    .where('scopes.deleted_at', 'is', null)
    .orderBy('scopes.kind')
    .orderBy('scopes.name')
    .limit(limit)
    .execute();
}

function nameOf({ kind, name }: StoreScope): string {
  return kind === 'domain' ? `domain ${name}` : `${kind} scope`;
}

const variables: Readonly<Record<OutsideType, string>> = {
  KUBERNETES: 'STRONGROOM_KUBERNETES_…',
  VAULT: 'STRONGROOM_VAULT_…',
};
const rights: Readonly<Record<OutsideType, string>> = {
  KUBERNETES: 'Widen the role of the server there: strongroom k8s rbac prints the one that is needed.',
  VAULT: 'Widen the policy of the server there: docs/guides/vault.md has the one that is needed.',
};

function hintOf(type: OutsideType, { step }: Pick<CheckLine, 'step'>): string {
  return ofScope.has(step)
    ? `${rights[type]} Launches or writes of the scope fail until then.`
    : `Mend it there, or check ${variables[type]} and STRONGROOM_EGRESS_ALLOW. Launches and writes of its scopes fail until then.`;
}
