import { parseReference } from '@strongroom/contract';
import { defaultBundleIdOf } from '../access/default-bundle.ts';
import { createSelectorIndex } from '../access/selectors.ts';
import type { AccessService } from '../access/service.ts';
import { buildSnapshot } from '../access/snapshot.ts';
import type { Access, AccessSnapshot, AssetRef, ScopeRef } from '../access/types.ts';
import { labelColumn } from '../identities/label-column.ts';
import { decideUse, findTarget } from '../launches/targets.ts';
import type { Store } from '../store/store.ts';
import { resourceOf, surfaceOf } from '../surfaces/registry.ts';
import { configurationOf } from '../surfaces/rows.ts';
import { assetOf } from '../surfaces/views.ts';
import { type Alteration, maxActors } from './alterations.ts';
import { Hits, scopeOf } from './gather.ts';
import { type Holder, holdersBy } from './holders.ts';
import type { ConsumptionRow, HitUseRow, LauncherRow, StarterRow } from './queries.ts';

interface Parts {
  readonly store: Store;
  readonly access: AccessService;
}

/** Somebody's access before and after. */
interface Change {
  readonly label: string;
  readonly before: AccessSnapshot;
  readonly after: AccessSnapshot;
}

type Action = Parameters<Access['decide']>[1];

const dayMilliseconds = 86_400_000;
/** Who started or launched something longer ago is not counted as somebody who does. */
const lookedBackDays = 30;

/**
 * What would fail at its next launch or use: decided with the one decision function, with everybody's access as it is and as
 * it would be, so that what somebody has in another way, too, is not named.
 */
export async function findLosses(parts: Parts, alteration: Alteration, maxRows: number): Promise<Hits> {
  const found = await readStanding(parts.store, alteration, maxRows);
  const hits = new Hits();
  if (!found.isComplete || !alteration.isComplete) hits.cut();
  const { changes, isComplete } = await changesOf(parts.store, alteration, found.principalIds);
  if (!isComplete) hits.cut();
  const judge = new Judge(parts, changes, await accessAfter(parts, alteration), alteration.placement?.asset);
  for (const use of found.uses) await judge.use(hits, use);
  for (const row of found.consumptions) await judge.consumption(hits, row);
  for (const row of found.starters) judge.starter(hits, row);
  for (const row of found.launchers) judge.launcher(hits, row);
  const lost: Holder[] = [];
  for (const holder of found.holders) if (await judge.losesHolder(holder)) lost.push(holder);
  hits.setHolders(lost);
  return hits;
}

/** What stands on the access of those whom it changes. */
interface Standing {
  readonly uses: readonly HitUseRow[];
  readonly consumptions: readonly ConsumptionRow[];
  readonly starters: readonly StarterRow[];
  readonly launchers: readonly LauncherRow[];
  readonly holders: readonly Holder[];
  /** Of all of it. */
  readonly principalIds: readonly string[];
  readonly isComplete: boolean;
}

async function readStanding(store: Store, alteration: Alteration, maxRows: number): Promise<Standing> {
  const { scopeId, principalIds, isSignInOnly } = alteration;
  const args = { scopeId, principalIds, limit: maxRows + 1 };
  const recent = { ...args, since: Date.now() - lookedBackDays * dayMilliseconds };
  const [uses, consumptions, starters, launchers, holders] = await Promise.all([
    isSignInOnly === true ? [] : store.query('impact.usesAuthorisedBy', args),
    isSignInOnly === true ? [] : store.query('impact.consumptionsAuthorisedBy', args),
    store.query('impact.startedBy', recent),
    store.query('impact.launchedBy', recent),
    isSignInOnly === true ? [] : holdersBy(store, principalIds, scopeId),
  ]);
  const read = [uses, consumptions, starters, launchers, holders];
  return {
    uses: uses.slice(0, maxRows),
    consumptions: consumptions.slice(0, maxRows),
    starters: starters.slice(0, maxRows),
    launchers: launchers.slice(0, maxRows),
    holders: holders.slice(0, maxRows),
    principalIds: [
      ...new Set([
        ...[...uses, ...consumptions].map(({ authorised_by: id }) => id),
        ...[...starters, ...launchers].map(({ subject_id: id }) => id),
        ...holders.map(({ authorisedById: id }) => id),
      ]),
    ],
    isComplete: read.every((rows) => rows.length <= maxRows),
  };
}

/** Snapshots of those on whom anything stands. */
async function changesOf(
  store: Store,
  alteration: Alteration,
  principalIds: readonly string[],
): Promise<{ readonly changes: ReadonlyMap<string, Change>; readonly isComplete: boolean }> {
  const looked = principalIds.slice(0, maxActors);
  const changes = new Map<string, Change>();
  const labels = await store.db
    .selectFrom('principals')
    .select(['id', labelColumn.as('label')])
    .where('id', 'in', looked.length === 0 ? [''] : looked)
    .execute();
  for (const { id, label } of labels) {
    const rows = await store.query('access.snapshot', { principalId: id });
    const before = buildSnapshot(id, rows);
    const after = await alteration.after(id, rows);
    if (label !== null && before !== null && after !== null) changes.set(id, { label, before, after });
  }
  return { changes, isComplete: looked.length === principalIds.length };
}

/** Where secrets are after the change is all that it takes besides. */
async function accessAfter({ store, access }: Parts, { placement }: Alteration): Promise<Access> {
  if (placement === undefined) return access;
  const { scope } = placement;
  const selectors = await store.query('access.selectors', { scopeId: scope.id });
  const index = createSelectorIndex(placement.selectors(selectors));
  return {
    ...access,
    secretAsset: async (domain, target) => {
      const asset = await access.secretAsset(domain, target);
      if (domain.id !== scope.id) return asset;
      const matching = index.bundlesOf(target.scope, target.key);
      return { ...asset, bundleIds: matching.length > 0 ? matching : [defaultBundleIdOf(scope.id)] };
    },
  };
}

class Judge {
  readonly #parts: Parts;
  readonly #changes: ReadonlyMap<string, Change>;
  readonly #after: Access;
  readonly #place: (asset: AssetRef) => AssetRef;

  constructor(
    parts: Parts,
    changes: ReadonlyMap<string, Change>,
    after: Access,
    place: (asset: AssetRef) => AssetRef = (asset) => asset,
  ) {
    this.#parts = parts;
    this.#changes = changes;
    this.#after = after;
    this.#place = place;
  }

  async use(hits: Hits, use: HitUseRow): Promise<void> {
    const change = this.#changes.get(use.authorised_by);
    if (change === undefined) return;
    if (await this.#losesUse(scopeOf(use), use.reference, change, use.configuration_id))
      hits.addUse(use, { principal: change.label, permission: 'USE', on: use.reference });
  }

  async consumption(hits: Hits, row: ConsumptionRow): Promise<void> {
    const change = this.#changes.get(row.authorised_by);
    const consumed = change === undefined ? undefined : await configurationOf(this.#parts.store, row.consumed_id);
    if (change === undefined || consumed === undefined) return;
    const surface = surfaceOf(consumed.surface);
    const { consume } = surface.actions;
    if (consume === undefined || !this.#loses(change, consume, surface, assetOf(consumed, scopeOf(row)))) return;
    hits.addLoss(row, { principal: change.label, permission: 'CONSUME', on: `${surface.type}/${consumed.name}` });
  }

  starter(hits: Hits, row: StarterRow): void {
    const change = this.#changes.get(row.subject_id);
    const surface = surfaceOf(row.surface);
    if (change === undefined || surface.launch === undefined) return;
    const asset = assetOf({ ...row, id: row.configuration_id, name: row.configuration }, scopeOf(row));
    const { action } = surface.launch;
    if (!this.#loses(change, action, surface, asset)) return;
    const permission = action.slice(action.indexOf('.') + 1).toUpperCase();
    hits.addLoss(row, { principal: change.label, permission, on: `${row.surface}/${row.configuration}` });
  }

  launcher(hits: Hits, row: LauncherRow): void {
    const change = this.#changes.get(row.subject_id);
    if (change === undefined) return;
    const scope = scopeOf(row);
    const resource = { kind: 'scope', scope } as const;
    const { decide } = this.#parts.access;
    const isLost =
      decide(change.before, 'launch.create', resource).allow && !decide(change.after, 'launch.create', resource).allow;
    if (isLost) hits.addLauncher({ principal: change.label, scope, launches: row.launches, lastAt: row.last_at });
  }

  async losesHolder(holder: Holder): Promise<boolean> {
    const change = this.#changes.get(holder.authorisedById);
    if (change === undefined) return false;
    const scope = scopeOf({ scope_id: holder.scopeId, domain: holder.scopeName });
    return this.#losesUse(scope, holder.reference, change);
  }

  #loses(change: Change, action: Action, surface: ReturnType<typeof surfaceOf>, asset: AssetRef): boolean {
    const { decide } = this.#parts.access;
    return (
      decide(change.before, action, resourceOf(surface, asset)).allow &&
      !decide(change.after, action, resourceOf(surface, this.#place(asset))).allow
    );
  }

  async #losesUse(
    domain: ScopeRef,
    text: string,
    { before, after }: Change,
    configurationId?: string,
  ): Promise<boolean> {
    const { store, access } = this.#parts;
    const reference = parseReference(text);
    const target = await findTarget(store, domain, reference);
    const isAllowed = (await decideUse(access, before, domain, reference, target, configurationId)).failure === null;
    if (!isAllowed) return false;
    const { integration } = target;
    const placed = {
      ...target,
      integration: integration === null ? null : { ...integration, asset: this.#place(integration.asset) },
    };
    return (await decideUse(this.#after, after, domain, reference, placed, configurationId)).failure !== null;
  }
}
