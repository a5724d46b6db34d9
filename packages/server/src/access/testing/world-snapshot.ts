import type { AccessSnapshot, AssetRef, Resource, ScopeRef } from '../types.ts';
import { buildSnapshot } from '../snapshot.ts';
import type { SnapshotRow } from '../queries.ts';
import { createSelectorIndex } from '../selectors.ts';
import { defaultBundleIdOf } from '../default-bundle.ts';
import { domainOfBundle, principalId, type Question, type World } from './world.ts';

/** The world as the product reads it: the rows of `access.snapshot`, through the real assembly. */
export function snapshotOf(world: World): AccessSnapshot {
  const row = (
    tag: SnapshotRow['tag'],
    scope: string,
    first = '',
    second = '',
    third = '',
    number = 0,
  ): SnapshotRow => ({ tag, scope, first, second, third, number });
  const groups = world.groups.filter((group) => group.isMember && !group.isDisabled);
  const actors = new Set([principalId, ...groups.map((group) => group.id)]);
  const held = <Item extends { readonly actor: string }>(items: readonly Item[]) =>
    items.filter((item) => actors.has(item.actor));
  const domain = (bundle: string) => domainOfBundle.get(bundle) ?? '';
  const snapshot = buildSnapshot(principalId, [
    row('revision', '', '', '', '', 7),
    row(
      'actor',
      '',
      principalId,
      world.principal.kind,
      JSON.stringify(world.principal.roles),
      world.principal.isDisabled ? 1 : 0,
    ),
    ...groups.map((group) => row('actor', '', group.id, 'group', JSON.stringify(group.roles))),
    ...held(world.members).map((member) => row('member', member.domain, member.preset)),
    ...held(world.grants).map((grant) => row('grant', grant.domain, grant.permission)),
    ...held(world.bundleGrants).map((grant) =>
      row('bundle-grant', domain(grant.bundle), grant.bundle, grant.type, JSON.stringify(grant.permissions)),
    ),
    ...held(world.owners).map((owner) => row('owned-bundle', domain(owner.bundle), owner.bundle)),
  ]);
  if (snapshot === null) throw new TypeError('the world has its principal');
  return snapshot;
}

function scopeOf(id: string): ScopeRef {
  const kind = id === 'dom_admin' ? 'admin' : id === 'dom_global' ? 'global' : 'domain';
  return { id, kind, name: id.slice('dom_'.length) };
}

/** The question's resource as the product makes it, with the real selector index. */
export function resourceOf(world: World, { about }: Question): Resource {
  if (about.kind === 'platform') return { kind: 'platform' };
  const scope = scopeOf(about.scope);
  if (about.kind === 'scope') return { kind: 'scope', scope };
  if (about.kind === 'global-integration') {
    const asset: AssetRef = { type: 'integration', id: 'src', name: 'it', scope, bundleIds: [] };
    if (scope.kind !== 'domain') return { kind: 'asset', asset };
    const isAssigned = world.integrationAssignments.includes(scope.id);
    return { kind: 'asset', asset: { ...asset, bundleIds: [defaultBundleIdOf(scope.id)], isAssigned } };
  }
  if (about.kind === 'configuration') {
    return {
      kind: 'asset',
      asset: { type: about.type, id: 'cfg', name: 'it', scope, bundleIds: about.bundle === '' ? [] : [about.bundle] },
    };
  }
  const asset: AssetRef = { type: 'secret', id: 'sec', name: about.key, scope, bundleIds: [] };
  if (scope.kind !== 'domain') return { kind: 'asset', asset };
  const index = createSelectorIndex(
    world.selectors
      .filter((selector) => domainOfBundle.get(selector.bundle) === scope.id)
      .map(({ bundle, scope: selectorScope, text, isPrefix }) => ({
        bundleId: bundle,
        selectorScope,
        selector: text,
        isPrefix,
      })),
  );
  const matching = index.bundlesOf(about.lives, about.key);
  const bundleIds = matching.length > 0 ? matching : [defaultBundleIdOf(scope.id)];
  if (about.lives === 'domain') return { kind: 'asset', asset: { ...asset, bundleIds } };
  return {
    kind: 'asset',
    asset: { ...asset, bundleIds, isAssigned: world.assignments.length === 0 || world.assignments.includes(scope.id) },
  };
}
