import type { AssetPermission, AssetType, DomainPermission } from '@strongroom/contract';
import type { Access, AccessSnapshot, AssetRef, ScopeRef } from '../access/types.ts';
import { adminScopeId, globalScopeId } from '../store/ids.ts';
import { maySee } from '../surfaces/registry.ts';
import { timeText } from '../surfaces/views.ts';
import type { Holder } from './holders.ts';
import type { ConsumptionRow, HeldRow, HitConfigurationRow, HitUseRow } from './queries.ts';

export type Effect = 'launches-fail' | 'launches-may-fail' | 'workloads-outdated';
export type Change = 'delete' | 'rotate' | 'edit' | 'revoke' | 'disable' | 'remove' | 'move';

/** Who loses what that a configuration needs. */
export interface Loss {
  readonly principal: string;
  readonly permission: string;
  /** A reference, or TYPE/NAME. */
  readonly on: string;
}

/** Who gets values for itself, without a configuration. */
export interface Launcher {
  readonly principal: string;
  readonly scope: ScopeRef;
  readonly launches: number;
  readonly lastAt: number;
}

/** What a member has in a domain beside its preset. */
export interface Remains {
  readonly grants: { readonly id: string; readonly permission: DomainPermission }[];
  readonly bundleGrants: {
    readonly id: string;
    readonly bundle: string;
    readonly assetType: AssetType;
    readonly permissions: AssetPermission[];
  }[];
  readonly bundles: string[];
}

/** What a change says of itself beside what it hits. */
export interface Aside {
  readonly recipients?: { readonly scope: string; readonly address: string }[];
  readonly contents?: { readonly secrets: number; readonly integrations: number; readonly serviceAccounts: number };
  readonly remains?: Remains;
  readonly refusal?: { readonly code: string; readonly detail: string };
}

interface Hit {
  readonly row: HitConfigurationRow;
  readonly fields: { pointer: string; name: string; reference: string; kind: 'reference' | 'placeholder' }[];
  readonly via: Set<string>;
  readonly losses: Loss[];
}

export interface ImpactView extends Aside {
  readonly change: Change;
  readonly effect: Effect;
  readonly configurations: {
    readonly domain: string;
    readonly surface: string;
    readonly configuration: string;
    readonly suspended: boolean;
    readonly fields: Hit['fields'];
    readonly via?: string[];
    readonly losses?: Loss[];
    readonly running: number;
  }[];
  readonly workloads: {
    readonly launch: string;
    readonly kind: 'run' | 'workload';
    readonly state: 'running' | 'unknown';
    readonly domain: string;
    readonly surface?: string;
    readonly configuration?: string;
    readonly subject: string;
    readonly names: string[];
    readonly startedAt: string;
  }[];
  readonly platform: {
    readonly kind: Holder['kind'];
    readonly name: string;
    readonly pointer: string;
    readonly reference: string;
  }[];
  readonly launchers?: {
    readonly principal: string;
    readonly domain: string;
    readonly launches: number;
    readonly lastAt: string;
  }[];
  readonly domains: { readonly domain: string; readonly configurations: number; readonly workloads: number }[];
  readonly hidden: {
    readonly configurations: number;
    readonly workloads: number;
    readonly platform: number;
    readonly launchers: number;
  };
  readonly isComplete: boolean;
}

/** Collects what a change hits, and tells somebody what of it may be told. */
export class Hits {
  readonly #hits = new Map<string, Hit>();
  #held: readonly HeldRow[] = [];
  #holders: readonly Holder[] = [];
  readonly #launchers: Launcher[] = [];
  #isComplete = true;

  get configurationIds(): string[] {
    return [...this.#hits.keys()];
  }

  addUse(use: HitUseRow, loss?: Loss): void {
    const { pointer, name, reference, kind } = use;
    const hit = this.#hit(use);
    hit.fields.push({ pointer, name, reference, kind });
    if (loss !== undefined) hit.losses.push(loss);
  }

  addLoss(row: HitConfigurationRow, loss: Loss): void {
    this.#hit(row).losses.push(loss);
  }

  addConfiguration(row: HitConfigurationRow): void {
    this.#hit(row);
  }

  addLauncher(launcher: Launcher): void {
    this.#launchers.push(launcher);
  }

  /** One that is hit because of what it uses. @param name of what it uses, where that is what is changed */
  addConsumer(row: ConsumptionRow, name?: string): void {
    const consumed = this.#hits.get(row.consumed_id);
    this.#hit(row).via.add(name ?? (consumed === undefined ? row.consumed_id : nameOf(consumed.row)));
  }

  setHeld(rows: readonly HeldRow[]): void {
    this.#held = rows;
  }

  setHolders(holders: readonly Holder[]): void {
    this.#holders = holders;
  }

  /** There is more than was read. */
  cut(): void {
    this.#isComplete = false;
  }

  #hit(row: HitConfigurationRow): Hit {
    const found = this.#hits.get(row.configuration_id);
    if (found !== undefined) return found;
    const made: Hit = { row, fields: [], via: new Set(), losses: [] };
    this.#hits.set(row.configuration_id, made);
    return made;
  }

  /** @param seesAll whoever manages Global's secrets has to know what to look after, in every domain */
  view(
    access: Pick<Access, 'decide'>,
    snapshot: AccessSnapshot,
    what: { readonly change: Change; readonly effect: Effect; readonly seesAll: boolean },
    now: number,
  ): ImpactView {
    const { change, effect, seesAll } = what;
    const sees = (row: Parameters<typeof assetOfRow>[0]): boolean =>
      seesAll || maySee(access, snapshot, assetOfRow(row));
    const launches = launchesOf(this.#held);
    const shownHits = [...this.#hits.values()].filter(({ row }) => sees(row));
    const shownLaunches = launches.filter(({ row }) => {
      const { surface, configuration, bundle_id } = row;
      if (surface === null || configuration === null || bundle_id === null) return true;
      return sees({ ...row, surface, configuration, bundle_id, configuration_id: row.configuration_id ?? '' });
    });
    const shownLaunchers = this.#launchers.filter(
      ({ scope }) => access.decide(snapshot, 'domain.view', { kind: 'scope', scope }).allow,
    );
    const shownHolders = this.#holders.filter((holder) => seesHolder(access, snapshot, holder));
    return {
      change,
      effect,
      configurations: shownHits.map((hit) => configurationView(hit, launches)).sort(byPlace),
      workloads: shownLaunches.map(({ row, names }) => workloadView(row, names, now)),
      platform: shownHolders.map(({ kind, name, pointer, reference }) => ({ kind, name, pointer, reference })),
      ...(shownLaunchers.length === 0 ? {} : { launchers: shownLaunchers.map(launcherView) }),
      domains: countByDomain(shownHits, shownLaunches),
      hidden: {
        configurations: this.#hits.size - shownHits.length,
        workloads: launches.length - shownLaunches.length,
        platform: this.#holders.length - shownHolders.length,
        launchers: this.#launchers.length - shownLaunchers.length,
      },
      isComplete: this.#isComplete,
    };
  }
}

function seesHolder(access: Pick<Access, 'decide'>, snapshot: AccessSnapshot, holder: Holder): boolean {
  if (holder.kind === 'cluster') return access.decide(snapshot, 'cluster.view', { kind: 'platform' }).allow;
  const scope = scopeOf({ scope_id: holder.scopeId, domain: holder.scopeName });
  return access.decide(snapshot, 'secret.manage', { kind: 'scope', scope }).allow;
}

interface HeldLaunch {
  readonly row: HeldRow;
  readonly names: string[];
}

/** One entry a launch, with all its variables. */
function launchesOf(rows: readonly HeldRow[]): HeldLaunch[] {
  const launches = new Map<string, HeldLaunch>();
  for (const row of rows) {
    const launch = launches.get(row.launch_id);
    if (launch === undefined) launches.set(row.launch_id, { row, names: [row.name] });
    else if (!launch.names.includes(row.name)) launch.names.push(row.name);
  }
  return [...launches.values()];
}

function configurationView({ row, fields, via, losses }: Hit, launches: readonly HeldLaunch[]) {
  return {
    domain: row.domain,
    surface: row.surface,
    configuration: row.configuration,
    suspended: row.is_suspended === 1,
    fields,
    ...(via.size === 0 ? {} : { via: [...via].sort() }),
    ...(losses.length === 0 ? {} : { losses }),
    running: launches.filter((launch) => launch.row.configuration_id === row.configuration_id).length,
  };
}

function workloadView(row: HeldRow, names: string[], now: number): ImpactView['workloads'][number] {
  const isLive = row.kind === 'run' || (row.heartbeat_until ?? 0) > now;
  return {
    launch: row.launch_id,
    kind: row.kind,
    state: isLive ? 'running' : 'unknown',
    domain: row.domain,
    ...(row.surface === null ? {} : { surface: row.surface }),
    ...(row.configuration === null ? {} : { configuration: row.configuration }),
    subject: row.subject ?? 'deleted',
    names,
    startedAt: timeText(row.created_at),
  };
}

function launcherView({ principal, scope, launches, lastAt }: Launcher) {
  return { principal, domain: scope.name, launches, lastAt: timeText(lastAt) };
}

function countByDomain(hits: readonly Hit[], launches: readonly HeldLaunch[]): ImpactView['domains'] {
  const names = new Set([...hits.map(({ row }) => row.domain), ...launches.map(({ row }) => row.domain)]);
  return [...names].sort().map((domain) => ({
    domain,
    configurations: hits.filter(({ row }) => row.domain === domain).length,
    workloads: launches.filter(({ row }) => row.domain === domain).length,
  }));
}

function assetOfRow(row: Omit<HitConfigurationRow, 'is_suspended'>): AssetRef {
  return {
    type: row.surface,
    id: row.configuration_id,
    name: row.configuration,
    scope: scopeOf(row),
    bundleIds: [row.bundle_id],
  };
}

export function scopeOf({ scope_id, domain }: { readonly scope_id: string; readonly domain: string }): ScopeRef {
  const kind = scope_id === adminScopeId ? 'admin' : scope_id === globalScopeId ? 'global' : 'domain';
  return { id: scope_id, kind, name: domain };
}

function nameOf({ surface, configuration }: HitConfigurationRow): string {
  return `${surface}/${configuration}`;
}

function byPlace(one: ImpactView['configurations'][number], other: ImpactView['configurations'][number]): number {
  const [left, right] = [one, other].map(({ domain, surface, configuration }) =>
    [domain, surface, configuration].join('\n'),
  );
  return (left ?? '') < (right ?? '') ? -1 : 1;
}
