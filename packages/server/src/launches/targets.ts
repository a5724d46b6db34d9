import type { Reference } from '@strongroom/contract';
import { exactKey, foldKey, reservedSourceName } from '@strongroom/contract';
import { sees } from '../access/decide.ts';
import type { Access, AccessSnapshot, ScopeRef } from '../access/types.ts';
import { findUsedIntegration, type UsedIntegration } from '../integrations/use-asset.ts';
import { globalScopeId } from '../store/ids.ts';
import { andThen, type MaybePromise } from '../store/maybe-promise.ts';
import { hotStatement, type Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import type { Failure } from './outcomes.ts';

/** What a reference points to at this moment. */
export interface Target {
  readonly scopeId: string;
  readonly scope: 'domain' | 'global';
  readonly source: TargetSource | null;
  /** The catalogue's row; keys of integrations have none. */
  readonly secret: TargetSecret | null;
  /** What is decided about where the source is an integration. */
  readonly integration: UsedIntegration | null;
}

export interface TargetSource {
  readonly id: string;
  readonly name: string;
  readonly type: Tables['sources']['type'];
  /** Of an integration's settings and credentials; `null` of a managed store. */
  readonly revision: number | null;
}

/** The catalogue's row of a managed secret; what is deleted is still there. */
export interface TargetSecret {
  readonly id: string;
  readonly key: string;
  readonly isDeleted: boolean;
  readonly epoch: number;
  readonly version: number;
  readonly shape: 'text' | 'binary' | 'fields';
  readonly fieldNames: readonly string[] | null;
  /** The configuration that it was typed into; `null`: none. */
  readonly ownedBy: string | null;
  /** The current version as it is sealed in the database; `null` when its value is elsewhere. */
  readonly stored: StoredVersion | null;
}

export interface StoredVersion {
  readonly envelope: Uint8Array;
  readonly fingerprint: Uint8Array;
}

interface SecretRow {
  readonly id: string;
  readonly key: string;
  readonly deleted_at: number | null;
  readonly current_epoch: number;
  readonly current_version: number;
  readonly shape: 'text' | 'binary' | 'fields';
  readonly field_names: string | null;
  readonly owned_by: string | null;
  readonly store_state: string | null;
  readonly source_id: string;
  readonly source_name: string;
  readonly source_type: Tables['sources']['type'];
  readonly envelope: Uint8Array | null;
  readonly fingerprint: Uint8Array | null;
}

const secretByKey = hotStatement<SecretRow>(
  'launches.secretByKey',
  (db) =>
    db
      .selectFrom('secrets')
      .innerJoin('sources', 'sources.id', 'secrets.source_id')
      .leftJoin('secret_versions', (join) =>
        join
          .onRef('secret_versions.secret_id', '=', 'secrets.id')
          .onRef('secret_versions.epoch', '=', 'secrets.current_epoch')
          .onRef('secret_versions.version', '=', 'secrets.current_version'),
      )
      .select([
        'secrets.id',
        'secrets.key',
        'secrets.deleted_at',
        'secrets.current_epoch',
        'secrets.current_version',
        'secrets.shape',
        'secrets.field_names',
        'secrets.owned_by',
        'secrets.store_state',
        'secrets.source_id',
        'sources.name as source_name',
        'sources.type as source_type',
        'secret_versions.envelope',
        'secret_versions.fingerprint',
      ])
      .where('sources.scope_id', '=', '')
      .where('sources.name', '=', '')
      .where('secrets.scope_id', '=', '')
      .where('secrets.folded_key', '=', '')
      .compile(),
  { isRemembered: true },
);

const sourceByName = hotStatement<Omit<TargetSource, 'revision'>>('launches.sourceByName', (db) =>
  db.selectFrom('sources').select(['id', 'name', 'type']).where('scope_id', '=', '').where('name', '=', '').compile(),
);

/**
 * Looks up what a reference in a configuration of `domain` points to, with the sealed value: one keyed read, two when it
 * isn't there. Nothing is opened before it is decided.
 */
export function findTarget(store: Store, domain: ScopeRef, reference: Reference): MaybePromise<Target> {
  const scope = reference.scope === 'global' ? 'global' : 'domain';
  const scopeId = scope === 'global' ? globalScopeId : domain.id;
  if (reference.source !== reservedSourceName) return findIntegrationTarget(store, domain, scope, scopeId, reference);
  const found = store.first(secretByKey, [scopeId, reference.source, scopeId, foldKey(reference.key)]);
  return andThen(found, (row) => {
    // Keys are unique after folding, yet a reference names one exactly.
    if (row !== undefined && row.key === reference.key) return targetOf(row, scope, scopeId);
    const exact = store.first(secretByKey, [scopeId, reference.source, scopeId, exactKey(reference.key)]);
    return andThen(exact, (named) =>
      named === undefined ? absentTarget(store, scope, scopeId, reference) : targetOf(named, scope, scopeId),
    );
  });
}

function absentTarget(
  store: Store,
  scope: Target['scope'],
  scopeId: string,
  reference: Reference,
): MaybePromise<Target> {
  return andThen(store.first(sourceByName, [scopeId, reference.source]), (source) => ({
    scopeId,
    scope,
    source: source === undefined ? null : { ...source, revision: null },
    secret: null,
    integration: null,
  }));
}

function targetOf(row: SecretRow, scope: Target['scope'], scopeId: string): Target {
  return {
    scopeId,
    scope,
    source: { id: row.source_id, name: row.source_name, type: row.source_type, revision: null },
    integration: null,
    secret: {
      id: row.id,
      key: row.key,
      isDeleted: row.deleted_at !== null,
      epoch: row.current_epoch,
      version: row.current_version,
      shape: row.shape,
      ownedBy: row.owned_by,
      fieldNames: row.field_names === null ? null : (JSON.parse(row.field_names) as string[]),
      // A copy whose original another program took away is not delivered.
      stored:
        row.envelope === null || row.fingerprint === null || row.store_state === 'missing'
          ? null
          : { envelope: row.envelope, fingerprint: row.fingerprint },
    },
  };
}

async function findIntegrationTarget(
  store: Store,
  domain: ScopeRef,
  scope: Target['scope'],
  scopeId: string,
  reference: Reference,
): Promise<Target> {
  const integration = await findUsedIntegration(
    store,
    domain,
    scope === 'global' ? 'global' : domain.kind,
    reference.source,
  );
  const row = integration?.row;
  const source = row === undefined ? null : { id: row.id, name: row.name, type: row.type, revision: row.revision };
  return { scopeId, scope, source, secret: null, integration };
}

export interface UseDecision {
  /** `null`: it may be used. */
  readonly failure: Failure | null;
  readonly because: readonly string[];
}

/**
 * USE is on the integration as a whole; which keys are there only its backend knows. One that the principal may do nothing with
 * is as one that isn't there.
 */
function decideIntegration(
  access: Access,
  snapshot: AccessSnapshot,
  { asset }: UsedIntegration,
  absent: () => UseDecision,
): UseDecision {
  const decision = access.decide(snapshot, 'integration.use', { kind: 'asset', asset });
  if (decision.allow) return { failure: null, because: decision.because };
  const isSeen = asset.isAssigned !== false && sees(snapshot, { kind: 'asset', asset });
  return isSeen ? { failure: 'use-missing', because: decision.because } : absent();
}

/** What was typed into a configuration is that configuration's: who may save or launch it needs no USE besides. */
function decideOwned(secret: TargetSecret, { field }: Reference): UseDecision {
  if (secret.isDeleted) return { failure: 'deleted', because: ['deleted'] };
  return field === undefined ? { failure: null, because: ['owned'] } : { failure: 'field-missing', because: ['field'] };
}

/**
 * Whether a principal may use what a reference points to. What it may not see and what is not there give the same
 * failure.
 *
 * @param ownedBy the configuration that the reference is in, where it is to a secret that was typed into it
 */
export function decideUse(
  access: Access,
  snapshot: AccessSnapshot,
  domain: ScopeRef,
  reference: Reference,
  target: Target,
  ownedBy?: string,
): MaybePromise<UseDecision> {
  if (snapshot.principal.isDisabled) return { failure: 'authoriser-gone', because: ['disabled'] };
  const here = { kind: 'scope', scope: domain } as const;
  const listing = access.decide(snapshot, 'secret.list', here);
  if (!listing.allow) {
    const standing = access.decide(snapshot, 'domain.view', here);
    if (!standing.allow) return { failure: 'authoriser-gone', because: standing.because };
  }
  const isManaged = reference.source === reservedSourceName;
  const { secret, integration } = target;
  const absent = (): UseDecision =>
    listing.allow
      ? { failure: isManaged ? 'missing' : 'source-unknown', because: ['absent'] }
      : { failure: 'not-yours', because: listing.because };
  if (!isManaged) return integration === null ? absent() : decideIntegration(access, snapshot, integration, absent);
  if (secret === null) return absent();
  if (secret.ownedBy !== null && secret.ownedBy === ownedBy) return decideOwned(secret, reference);
  const placed = access.secretAsset(domain, { scope: target.scope, secretId: secret.id, key: secret.key });
  return andThen(placed, (asset): UseDecision => {
    const decision = access.decide(snapshot, 'secret.use', { kind: 'asset', asset });
    if (!decision.allow) {
      // What is assigned to other domains alone is not there, here and in the domain's audit.
      if (asset.isAssigned === false) return absent();
      return {
        failure: sees(snapshot, { kind: 'asset', asset }) ? 'use-missing' : 'not-yours',
        because: decision.because,
      };
    }
    // Whoever may use the configuration uses it there and nowhere else.
    if (secret.ownedBy !== null) return { failure: 'use-missing', because: ['owned'] };
    if (secret.isDeleted) return { failure: 'deleted', because: ['deleted'] };
    if (reference.field !== undefined && !(secret.fieldNames ?? []).includes(reference.field))
      return { failure: 'field-missing', because: ['field'] };
    return { failure: null, because: decision.because };
  });
}
