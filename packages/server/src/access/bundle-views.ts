import type { AssetPermission, AssetType } from '@strongroom/contract';
import { mayHandOutOnBundle, ownsBundle } from './authority.ts';
import type { BundleGrantRecord, BundleRecord } from './bundle-commands.ts';
import type { AssetRecord } from './list-queries.ts';
import { refusalText, type ActionAnswer } from './refusal.ts';
import type { AccessSnapshot, Decision, ScopeRef } from './types.ts';

export interface BundleView {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly owner: string | null;
  readonly isDefault: boolean;
  readonly managedBy?: string;
  readonly revision: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly actions: ActionAnswer[];
}

export interface BundleGrantView {
  readonly id: string;
  readonly principal: string;
  readonly displayName: string;
  readonly assetType: AssetType;
  readonly permissions: AssetPermission[];
  readonly createdAt: string;
  readonly createdBy: string;
  readonly actions: ActionAnswer[];
}

export interface BundleAssetView {
  readonly id: string;
  readonly type: AssetType;
  readonly name?: string;
  readonly key?: string;
  readonly prefix?: string;
  readonly scope?: 'domain' | 'global';
  readonly actions: ActionAnswer[];
}

export function bundleView(snapshot: AccessSnapshot, scope: ScopeRef, bundle: BundleRecord): BundleView {
  const decision = ownsBundle(snapshot, scope, bundle.id);
  const stays: ActionAnswer = {
    action: 'bundle.delete',
    allowed: false,
    reason: 'The default bundle stays with its domain',
  };
  return {
    id: bundle.id,
    name: bundle.name,
    description: bundle.description,
    owner: bundle.owner?.label ?? null,
    isDefault: bundle.isDefault,
    ...(bundle.managedBy === null ? {} : { managedBy: bundle.managedBy }),
    revision: bundle.revision,
    createdAt: new Date(bundle.createdAt).toISOString(),
    updatedAt: new Date(bundle.updatedAt).toISOString(),
    actions: [
      answer('bundle.update', decision, scope),
      bundle.isDefault ? stays : answer('bundle.delete', decision, scope),
      answer('bundle.assets', decision, scope),
      answer('bundle.grants', mayHandOutOnBundle(snapshot, scope, bundle.id, 'secret', []), scope),
    ],
  };
}

export function bundleGrantView(
  snapshot: AccessSnapshot,
  scope: ScopeRef,
  bundleId: string,
  grant: BundleGrantRecord,
): BundleGrantView {
  const decision = mayHandOutOnBundle(snapshot, scope, bundleId, grant.assetType, grant.permissions);
  return {
    id: grant.id,
    principal: grant.principal.label,
    displayName: grant.principal.displayName,
    assetType: grant.assetType,
    permissions: [...grant.permissions],
    createdAt: new Date(grant.createdAt).toISOString(),
    createdBy: grant.createdBy,
    actions: [answer('bundle.grants', decision, scope)],
  };
}

export function bundleAssetView(
  snapshot: AccessSnapshot,
  scope: ScopeRef,
  bundleId: string,
  asset: AssetRecord,
): BundleAssetView {
  const actions = [answer('bundle.assets', ownsBundle(snapshot, scope, bundleId), scope)];
  const { id, type, name, selectorScope } = asset;
  if (selectorScope === null) return { id, type, name, actions };
  return { id, type, ...(asset.isPrefix ? { prefix: name } : { key: name }), scope: selectorScope, actions };
}

function answer(action: string, decision: Decision, scope: ScopeRef): ActionAnswer {
  return decision.allow
    ? { action, allowed: true }
    : { action, allowed: false, reason: refusalText(decision, { kind: 'scope', scope }) };
}
