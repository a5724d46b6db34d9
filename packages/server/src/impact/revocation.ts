import { parseReference, type Preset, StrongroomError } from '@strongroom/contract';
import { findPrincipal } from '../access/principal-names.ts';
import type { SnapshotRow } from '../access/queries.ts';
import type { AccessService } from '../access/service.ts';
import { buildSnapshot } from '../access/snapshot.ts';
import type { AccessSnapshot, ScopeRef } from '../access/types.ts';
import { decideUse, findTarget } from '../launches/targets.ts';
import type { Store } from '../store/store.ts';
import { resourceOf, surfaceOf } from '../surfaces/registry.ts';
import { configurationOf } from '../surfaces/rows.ts';
import { assetOf } from '../surfaces/views.ts';
import { Hits } from './gather.ts';
import type { HitUseRow } from './queries.ts';

/** What is taken away in a domain. */
export type Revocation =
  /** `preset`: in place of the one it has; absent: none. */
  | { readonly kind: 'member'; readonly principal: string; readonly preset?: Preset | undefined }
  | { readonly kind: 'grant'; readonly id: string }
  | { readonly kind: 'bundle-grant'; readonly bundle: string; readonly id: string };

interface Parts {
  readonly store: Store;
  readonly access: AccessService;
}

/** A row of somebody's snapshot that goes, or becomes another one. */
interface Removed {
  readonly principalId: string;
  readonly row: Pick<SnapshotRow, 'tag' | 'scope' | 'first' | 'second' | 'third'>;
  readonly becomes?: string | undefined;
}

/** Somebody's access before and after. */
interface Change {
  readonly label: string;
  readonly before: AccessSnapshot;
  readonly after: AccessSnapshot;
}

const dayMilliseconds = 86_400_000;
/** Who started a configuration longer ago is not counted as somebody who starts it. */
const startedWithinDays = 30;
/** Members of a group that are looked at. */
const maxActors = 1000;

/**
 * What would fail at its next launch: decided with the one decision function, with everybody's access as it is and as it
 * would be, so that what somebody has in another way, too, is not named.
 * @throws StrongroomError `not_found`
 */
export async function findRevoked(
  parts: Parts,
  domain: ScopeRef,
  revocation: Revocation,
  maxRows: number,
): Promise<Hits> {
  const { store } = parts;
  const removed = await removedBy(store, domain, revocation);
  const hits = new Hits();
  const principalIds = await store.query('impact.actorsOf', { principalId: removed.principalId, limit: maxActors });
  if (principalIds.length > maxActors) hits.cut();
  const changes = await changesOf(parts, principalIds, removed);
  const args = { scopeId: domain.id, principalIds, limit: maxRows + 1 };
  const [uses, consumptions, starters] = await Promise.all([
    store.query('impact.usesAuthorisedBy', args),
    store.query('impact.consumptionsAuthorisedBy', args),
    store.query('impact.startedBy', { ...args, since: Date.now() - startedWithinDays * dayMilliseconds }),
  ]);
  if ([uses, consumptions, starters].some((rows) => rows.length > maxRows)) hits.cut();
  for (const use of uses.slice(0, maxRows)) {
    const change = changes.get(use.authorised_by);
    if (change === undefined || !(await losesUse(parts, domain, use, change))) continue;
    hits.addUse(use, { principal: change.label, permission: 'USE', on: use.reference });
  }
  for (const row of consumptions.slice(0, maxRows)) {
    const change = changes.get(row.authorised_by);
    const consumed = change === undefined ? undefined : await configurationOf(store, row.consumed_id);
    if (change === undefined || consumed === undefined) continue;
    const surface = surfaceOf(consumed.surface);
    const { consume } = surface.actions;
    if (consume === undefined) continue;
    const resource = resourceOf(surface, assetOf(consumed, domain));
    if (loses(parts.access, change, consume, resource))
      hits.addLoss(row, { principal: change.label, permission: 'CONSUME', on: `${surface.type}/${consumed.name}` });
  }
  for (const row of starters.slice(0, maxRows)) {
    const change = changes.get(row.subject_id);
    const surface = surfaceOf(row.surface);
    if (change === undefined || surface.launch === undefined) continue;
    const asset = assetOf({ ...row, id: row.configuration_id, name: row.configuration }, domain);
    const { action } = surface.launch;
    if (!loses(parts.access, change, action, resourceOf(surface, asset))) continue;
    const permission = action.slice(action.indexOf('.') + 1).toUpperCase();
    hits.addLoss(row, { principal: change.label, permission, on: `${row.surface}/${row.configuration}` });
  }
  return hits;
}

function loses(
  access: AccessService,
  { before, after }: Change,
  ...[action, resource]: [Parameters<AccessService['decide']>[1], Parameters<AccessService['decide']>[2]]
): boolean {
  return access.decide(before, action, resource).allow && !access.decide(after, action, resource).allow;
}

async function losesUse(parts: Parts, domain: ScopeRef, use: HitUseRow, { before, after }: Change): Promise<boolean> {
  const reference = parseReference(use.reference);
  const target = await findTarget(parts.store, domain, reference);
  const decide = async (snapshot: AccessSnapshot): Promise<boolean> =>
    (await decideUse(parts.access, snapshot, domain, reference, target, use.configuration_id)).failure === null;
  return (await decide(before)) && !(await decide(after));
}

async function changesOf(
  { store }: Parts,
  principalIds: readonly string[],
  removed: Removed,
): Promise<Map<string, Change>> {
  const labels = await store.db
    .selectFrom('principals')
    .select(['id', 'kind', 'name'])
    .where('id', 'in', [...principalIds])
    .execute();
  const changes = new Map<string, Change>();
  for (const { id, kind, name } of labels) {
    const rows = await store.query('access.snapshot', { principalId: id });
    const before = buildSnapshot(id, rows);
    const after = buildSnapshot(id, without(rows, removed));
    if (before !== null && after !== null) changes.set(id, { label: `${kind}:${name}`, before, after });
  }
  return changes;
}

/** One of the rows that are alike goes: somebody may have the same through a group. */
function without(rows: readonly SnapshotRow[], { row, becomes }: Removed): readonly SnapshotRow[] {
  const at = rows.findIndex(
    (each) =>
      each.tag === row.tag &&
      each.scope === row.scope &&
      each.first === row.first &&
      each.second === row.second &&
      each.third === row.third,
  );
  return rows.flatMap((each, index) => {
    if (index !== at) return [each];
    return becomes === undefined ? [] : [{ ...each, first: becomes }];
  });
}

async function removedBy(store: Store, domain: ScopeRef, revocation: Revocation): Promise<Removed> {
  const nothing = { second: '', third: '' };
  switch (revocation.kind) {
    case 'member': {
      const principal = await findPrincipal(store.db, domain, revocation.principal);
      const row = await store.db
        .selectFrom('members')
        .select(['principal_id', 'preset'])
        .where('scope_id', '=', domain.id)
        .where('principal_id', '=', principal?.id ?? '')
        .executeTakeFirst();
      if (row === undefined) throw new StrongroomError('not_found');
      return {
        principalId: row.principal_id,
        row: { tag: 'member', scope: domain.id, first: row.preset, ...nothing },
        becomes: revocation.preset,
      };
    }
    case 'grant': {
      const row = await store.db
        .selectFrom('grants')
        .select(['principal_id', 'permission'])
        .where('id', '=', revocation.id)
        .where('scope_id', '=', domain.id)
        .executeTakeFirst();
      if (row === undefined) throw new StrongroomError('not_found');
      return {
        principalId: row.principal_id,
        row: { tag: 'grant', scope: domain.id, first: row.permission, ...nothing },
      };
    }
    case 'bundle-grant': {
      const row = await store.db
        .selectFrom('bundle_grants')
        .innerJoin('bundles', 'bundles.id', 'bundle_grants.bundle_id')
        .select([
          'bundle_grants.principal_id',
          'bundle_grants.bundle_id',
          'bundle_grants.asset_type',
          'bundle_grants.permissions',
        ])
        .where('bundle_grants.id', '=', revocation.id)
        .where('bundles.name', '=', revocation.bundle)
        .where('bundles.scope_id', '=', domain.id)
        .executeTakeFirst();
      if (row === undefined) throw new StrongroomError('not_found');
      const { bundle_id: first, asset_type: second, permissions: third } = row;
      return {
        principalId: row.principal_id,
        row: { tag: 'bundle-grant', scope: domain.id, first, second, third },
      };
    }
  }
}
