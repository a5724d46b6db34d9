import type { domainIntegrationRoutes, ResponseOf } from '@strongroom/contract';
import { actionsOn } from '../access/refusal.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import { formatVersion, time } from '../secrets/metadata.ts';
import type { IntegrationRow } from './required-rows.ts';
import { storedSettings } from './connection.ts';
import type { CredentialSummary } from './credentials.ts';
import type { ListedIntegration } from './queries.ts';

type RouteOf<Id extends string> = Extract<(typeof domainIntegrationRoutes)[number], { readonly id: Id }>;
export type IntegrationView = ResponseOf<RouteOf<'showDomainIntegration'>>;
export type RefreshView = ResponseOf<RouteOf<'refreshDomainIntegration'>>;
export type ConformanceView = ResponseOf<RouteOf<'checkDomainIntegrationConformance'>>;
export type TestView = ResponseOf<RouteOf<'testDomainIntegration'>>;

export function assetOfIntegration(scope: ScopeRef, row: Pick<IntegrationRow, 'id' | 'name' | 'bundle_id'>): AssetRef {
  const bundleIds = row.bundle_id === null ? [] : [row.bundle_id];
  return { type: 'integration', id: row.id, name: row.name, scope, bundleIds };
}

/** Everything that may be shown of an integration. */
export function integrationView(
  caller: Caller,
  scope: ScopeRef,
  row: ListedIntegration,
  credentials: readonly CredentialSummary[],
): IntegrationView {
  return {
    id: row.id,
    name: row.name,
    scope: scope.kind,
    ...(scope.kind === 'domain' ? { domain: scope.name } : {}),
    ...(row.bundle_name === null ? {} : { bundle: row.bundle_name }),
    type: row.type,
    description: row.description,
    // Of its kind, as it was checked when it was written.
    settings: storedSettings(row.settings) as IntegrationView['settings'],
    ...(row.profile_name === null ? {} : { profile: row.profile_name }),
    credentials: credentials.map(({ name, epoch, version, created_at, created_by }) => ({
      name,
      version: formatVersion(epoch, version),
      setAt: time(created_at),
      setBy: created_by,
    })),
    health: healthView(row),
    index: indexView(row, Date.now()),
    usedBy: row.uses,
    ...(row.managed_by === null ? {} : { managedBy: row.managed_by }),
    revision: row.revision,
    createdAt: time(row.created_at),
    createdBy: row.created_by,
    updatedAt: time(row.updated_at),
    updatedBy: row.updated_by,
    actions: actionsOn(caller.snapshot, ['integration.view', 'integration.update', 'integration.use'], {
      kind: 'asset',
      asset: assetOfIntegration(scope, row),
    }),
  };
}

export function healthView(
  row: Pick<IntegrationRow, 'health' | 'health_code' | 'health_message' | 'health_at'>,
): RefreshView['health'] {
  return {
    state: row.health,
    ...(row.health_code === null ? {} : { error: { code: row.health_code, message: row.health_message ?? '' } }),
    checkedAt: row.health_at === null ? null : time(row.health_at),
  };
}

export function indexView(
  row: Pick<IntegrationRow, 'index_keys' | 'index_is_cut' | 'indexed_at'>,
  now: number,
): RefreshView['index'] {
  const { indexed_at: indexedAt } = row;
  return {
    keys: row.index_keys,
    isComplete: indexedAt !== null && row.index_is_cut === 0,
    indexedAt: indexedAt === null ? null : time(indexedAt),
    ageSeconds: indexedAt === null ? null : Math.max(0, Math.floor((now - indexedAt) / 1000)),
  };
}
