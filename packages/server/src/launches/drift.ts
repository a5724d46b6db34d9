import { StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import { globalScopeId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import { maySee } from '../surfaces/registry.ts';
import { timeText } from '../surfaces/views.ts';
import type { DriftRow } from './queries.ts';

export interface DriftQuery {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  /** `ended`: also launches that are over. */
  readonly include?: 'live' | 'ended' | undefined;
}

export interface DriftItem {
  readonly launch: string;
  readonly kind: 'run' | 'workload';
  readonly state: 'running' | 'unknown' | 'ended';
  readonly domain: string;
  readonly job?: string;
  readonly surface?: string;
  readonly subject: string;
  readonly name: string;
  readonly reference: string;
  readonly source: string;
  readonly version: string;
  readonly currentVersion?: string;
  readonly checkedAt?: string;
  readonly deliveredAt: string;
}

/** Keys of an integration that running workloads hold, of which the backend did not say the version. */
export interface Unchecked {
  readonly source: string;
  readonly keys: number;
  readonly code?: string;
  readonly knownAt?: string;
}

export interface DriftPage {
  readonly items: DriftItem[];
  readonly unchecked?: Unchecked[];
  readonly nextCursor?: string;
}

/** What the pages of a secret show. */
export interface SecretDrift {
  readonly currentVersion: string;
  readonly items: {
    readonly launch: string;
    readonly kind: 'run' | 'workload';
    readonly configuration: string | null;
    readonly domain: string;
    readonly name: string;
    readonly reference: string;
    readonly version: string;
    readonly currentVersion: string;
    readonly state: string;
    readonly startedAt: string;
    readonly endedAt: string | null;
  }[];
  readonly nextCursor?: string;
}

/** Who holds a version of a secret that is not the current one. */
export class DriftService {
  readonly #store: Store;
  readonly #access: AccessService;
  readonly #keys: Pick<Keys, 'sealCursor' | 'openCursor'>;

  constructor(store: Store, access: AccessService, keys: Pick<Keys, 'sealCursor' | 'openCursor'>) {
    this.#store = store;
    this.#access = access;
    this.#keys = keys;
  }

  /** Workloads of a domain. */
  ofDomain(caller: Caller, domain: ScopeRef, query: DriftQuery): Promise<DriftPage> {
    return this.#page(caller, { scopeId: domain.id }, query);
  }

  /** Workloads of all domains with Global secrets. */
  ofGlobal(caller: Caller, query: DriftQuery): Promise<DriftPage> {
    return this.#page(caller, { targetScopeId: globalScopeId }, query);
  }

  /** Launches that got another version of one secret, newest first: of all domains, or of one. */
  async ofSecret(caller: Caller, scope: ScopeRef, secretId: string, query: DriftQuery): Promise<SecretDrift> {
    const current = await this.#store.db
      .selectFrom('secrets')
      .select(['current_epoch', 'current_version'])
      .where('id', '=', secretId)
      .executeTakeFirst();
    if (current === undefined) throw new StrongroomError('not_found');
    const currentVersion = `${current.current_epoch}.${current.current_version}`;
    const filter = { secretId, ...(scope.kind === 'domain' ? { scopeId: scope.id } : {}) };
    const { rows, ...next } = await this.#read(caller, filter, { ...query, limit: query.limit ?? 200 });
    const items = rows.map((row) => ({
      launch: row.launch_id,
      kind: row.kind,
      configuration: row.configuration_name,
      domain: row.domain_name,
      name: row.name,
      reference: row.reference,
      version: row.version,
      currentVersion,
      state: itemOf(row, this.#store.now()).state,
      startedAt: timeText(row.delivered_at),
      endedAt: row.ended_at === null ? null : timeText(row.ended_at),
    }));
    return { currentVersion, items, ...next };
  }

  async #page(
    caller: Caller,
    filter: { readonly scopeId?: string; readonly targetScopeId?: string },
    query: DriftQuery,
  ): Promise<DriftPage> {
    const { rows, ...next } = await this.#read(caller, filter, query);
    const items = rows.map((row) => itemOf(row, this.#store.now()));
    const unchecked = query.cursor === undefined ? await this.#unchecked(filter) : {};
    return { items, ...unchecked, ...next };
  }

  /** A page of what the caller may see, newest launches first; what it may not see leaves it shorter. */
  async #read(
    caller: Caller,
    filter: { readonly scopeId?: string; readonly targetScopeId?: string; readonly secretId?: string },
    query: DriftQuery,
  ): Promise<{ readonly rows: DriftRow[]; readonly nextCursor?: string }> {
    const limit = query.limit ?? 50;
    const includesEnded = query.include === 'ended';
    const binding = JSON.stringify(['launches.drift', caller.id, filter, includesEnded]);
    const before = query.cursor === undefined ? undefined : readPosition(this.#keys.openCursor(query.cursor, binding));
    const found = await this.#store.query('launches.drift', {
      ...filter,
      includesEnded,
      limit: limit + 1,
      ...(before === undefined ? {} : { before }),
    });
    const page = found.slice(0, limit);
    const rows = page.filter((row) => this.#maySee(caller, row));
    const last = page.at(-1);
    if (found.length <= limit || last === undefined) return { rows };
    const position = { createdAt: last.created_at, launchId: last.launch_id, pointer: last.pointer };
    return { rows, nextCursor: this.#keys.sealCursor(position, binding) };
  }

  /** With the first page: that nothing has drifted is only true of what could be looked at. */
  async #unchecked(filter: {
    readonly scopeId?: string;
    readonly targetScopeId?: string;
  }): Promise<{ readonly unchecked: Unchecked[] }> {
    const rows = await this.#store.query('launches.unchecked', filter);
    return {
      unchecked: rows.map(({ source_name, keys, failure, observed_at }) => ({
        source: source_name,
        keys,
        ...(failure === null ? {} : { code: failure }),
        ...(observed_at === null ? {} : { knownAt: timeText(observed_at) }),
      })),
    };
  }

  /** A configuration that the caller may not see is not named to it, nor that it runs. */
  #maySee(caller: Caller, row: DriftRow): boolean {
    if (row.bundle_id === null || row.configuration_name === null || row.surface === null) return true;
    const scope: ScopeRef = { id: row.scope_id, kind: 'domain', name: row.domain_name };
    const asset = {
      type: row.surface,
      id: '',
      name: row.configuration_name,
      scope,
      bundleIds: [row.bundle_id],
    } as const;
    // Whoever manages Global's secrets has to know which workloads to start anew, in every domain.
    const isManager = this.#access.decide(caller.snapshot, 'secret.manage', {
      kind: 'scope',
      scope: { id: globalScopeId, kind: 'global', name: 'global' },
    }).allow;
    return isManager || maySee(this.#access, caller.snapshot, asset);
  }
}

function readPosition(position: unknown): {
  readonly createdAt: number;
  readonly launchId: string;
  readonly pointer: string;
} {
  const { createdAt, launchId, pointer } = (position ?? {}) as Record<string, unknown>;
  if (typeof createdAt !== 'number' || typeof launchId !== 'string' || typeof pointer !== 'string')
    throw new StrongroomError('cursor_invalid');
  return { createdAt, launchId, pointer };
}

function itemOf(row: DriftRow, now: number): DriftItem {
  const isLive = row.kind === 'run' || (row.heartbeat_until ?? 0) > now;
  return {
    launch: row.launch_id,
    kind: row.kind,
    state: row.ended_at !== null ? 'ended' : isLive ? 'running' : 'unknown',
    domain: row.domain_name,
    ...(row.configuration_name === null ? {} : { job: row.configuration_name }),
    ...(row.surface === null ? {} : { surface: row.surface }),
    subject: row.subject ?? 'deleted',
    name: row.name,
    reference: row.reference,
    source: row.source_name ?? '',
    version: row.version,
    ...(row.current_version === null ? {} : { currentVersion: row.current_version }),
    ...(row.observed_at === null ? {} : { checkedAt: timeText(row.observed_at) }),
    deliveredAt: timeText(row.delivered_at),
  };
}
