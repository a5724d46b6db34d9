import { parseReference, type ResolveOutcome, resolveOutcomes, StrongroomError } from '@strongroom/contract';
import { actionsOn } from '../access/refusal.ts';
import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import { labelColumn } from '../identities/label-column.ts';
import type { Keys } from '../keys/keys.ts';
import { explainFailure } from '../launches/outcomes.ts';
import type { Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { bundlesWhere, launchableOf, launchables, surfaceOf } from '../surfaces/registry.ts';
import { configurationOf } from '../surfaces/rows.ts';
import { assetOf, timeText } from '../surfaces/views.ts';
import type { RunRow } from './commands.ts';
import type { ListedRun, RunFilter } from './queries.ts';

export interface RunQuery {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly state?: RunRow['state'] | undefined;
}

export interface RunSummaryView {
  readonly id: string;
  readonly job: { readonly id: string; readonly name: string; readonly surface: string };
  readonly state: RunRow['state'];
  readonly startedBy: string;
  readonly runner: string;
  readonly createdAt: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly durationMilliseconds?: number;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly failure?: { readonly code: string; readonly detail: string };
}

/** Runs as people see them. */
export class RunReader {
  readonly #store: Store;
  readonly #access: AccessService;
  readonly #keys: Pick<Keys, 'sealCursor' | 'openCursor'>;

  constructor(store: Store, access: AccessService, keys: Pick<Keys, 'sealCursor' | 'openCursor'>) {
    this.#store = store;
    this.#access = access;
    this.#keys = keys;
  }

  /** Runs of one configuration, newest first; whoever sees it sees them. */
  async ofConfiguration(caller: Caller, asset: AssetRef, query: RunQuery) {
    return this.#page(caller, asset.scope, query, { configurationId: asset.id });
  }

  /** Runs of the configurations that the caller may see, newest first. */
  async ofDomain(caller: Caller, domain: ScopeRef, query: RunQuery) {
    const bundles = await this.#store.query('surfaces.bundles', { scopeId: domain.id });
    const ids = bundles.map(({ id }) => id);
    const visible = launchables.map((surface) => ({
      surface: surface.type,
      bundleIds: bundlesWhere(this.#access, caller.snapshot, domain, surface, surface.actions.view, ids),
    }));
    return this.#page(caller, domain, query, { visible });
  }

  /**
   * A run with the asset it belongs to, for whoever may see that; for all others there is no such run.
   * @throws StrongroomError `not_found`
   */
  async find(
    caller: Caller,
    domain: ScopeRef,
    id: string,
  ): Promise<{ readonly row: RunRow; readonly asset: AssetRef }> {
    const row = await this.#store.db
      .selectFrom('runs')
      .selectAll()
      .where('id', '=', id)
      .where('scope_id', '=', domain.id)
      .executeTakeFirst();
    const configuration = row === undefined ? undefined : await configurationOf(this.#store, row.configuration_id);
    if (row === undefined || configuration === undefined) throw new StrongroomError('not_found');
    const asset = assetOf(configuration, domain);
    await this.#access.require(caller, surfaceOf(asset.type).actions.view, { kind: 'asset', asset });
    return { row, asset };
  }

  /** @throws StrongroomError `not_found` */
  async get(caller: Caller, domain: ScopeRef, id: string) {
    const { row, asset } = await this.find(caller, domain, id);
    const subject = await this.#store.db
      .selectFrom('principals')
      .select(labelColumn.as('label'))
      .where('id', '=', row.subject_id)
      .executeTakeFirst();
    const receipts = await this.#store.db
      .selectFrom('receipts')
      .leftJoin('sources', 'sources.id', 'receipts.source_id')
      .selectAll('receipts')
      .select('sources.name as source_name')
      .where('launch_id', '=', id)
      .orderBy('pointer')
      .execute();
    const surface = launchableOf(asset.type);
    const listed: ListedRun = { ...row, subject: subject?.label ?? null };
    return {
      ...summaryOf(listed),
      variables: receipts.map((receipt) => receiptView(receipt, domain.name)),
      log: { bytes: row.log_bytes, cut: row.log_cut === 1 },
      actions: actionsOn(caller.snapshot, [surface.actions.view, surface.launch.action], { kind: 'asset', asset }),
    };
  }

  async #page(
    caller: Caller,
    domain: ScopeRef,
    query: RunQuery,
    filter: Pick<RunFilter, 'configurationId' | 'visible'>,
  ): Promise<{ items: RunSummaryView[]; nextCursor?: string }> {
    const { limit = 50, cursor, state } = query;
    const binding = JSON.stringify(['runs.list', caller.id, domain.id, filter.configurationId ?? '', state ?? '']);
    const before = cursor === undefined ? undefined : readPosition(this.#keys.openCursor(cursor, binding));
    const rows = await this.#store.query('runs.list', {
      scopeId: domain.id,
      ...filter,
      ...(state === undefined ? {} : { state }),
      ...(before === undefined ? {} : { before }),
      limit: limit + 1,
    });
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    const items = page.map(summaryOf);
    if (rows.length <= limit || last === undefined) return { items };
    return { items, nextCursor: this.#keys.sealCursor({ createdAt: last.created_at, id: last.id }, binding) };
  }
}

function readPosition(position: unknown): { readonly createdAt: number; readonly id: string } {
  const { createdAt, id } = (position ?? {}) as Record<string, unknown>;
  if (typeof createdAt !== 'number' || typeof id !== 'string') throw new StrongroomError('cursor_invalid');
  return { createdAt, id };
}

function summaryOf(row: ListedRun): RunSummaryView {
  const { started_at: startedAt, ended_at: endedAt } = row;
  return {
    id: row.id,
    job: { id: row.configuration_id, name: row.configuration_name, surface: row.surface },
    state: row.state,
    startedBy: row.subject ?? 'deleted',
    runner: row.runner,
    createdAt: timeText(row.created_at),
    ...(startedAt === null ? {} : { startedAt: timeText(startedAt) }),
    ...(endedAt === null ? {} : { endedAt: timeText(endedAt) }),
    ...(startedAt === null || endedAt === null ? {} : { durationMilliseconds: endedAt - startedAt }),
    ...(row.exit_code === null ? {} : { exitCode: row.exit_code }),
    ...(row.signal === null ? {} : { signal: row.signal }),
    ...(row.failure_code === null ? {} : { failure: { code: row.failure_code, detail: row.failure_detail ?? '' } }),
  };
}

function receiptView(row: Tables['receipts'] & { readonly source_name: string | null }, domain: string) {
  const outcome = outcomeOf(row.outcome);
  const explained =
    outcome === 'resolved' ? null : explainFailure(outcome, { domain, reference: parseReference(row.reference) });
  return {
    name: row.name,
    pointer: row.pointer,
    reference: row.reference,
    source: row.source_name ?? '',
    ...(row.version === null ? {} : { version: row.version }),
    outcome,
    ...(explained === null ? {} : { cause: explained.cause, fixableBy: [...explained.fixableBy] }),
    milliseconds: row.milliseconds,
    ...(row.unmasked === null ? {} : { unmasked: row.unmasked }),
  };
}

/** A word of a later version that this one doesn't know is an outage, never a success. */
function outcomeOf(text: string): ResolveOutcome {
  return resolveOutcomes.find((outcome) => outcome === text) ?? 'source-unavailable';
}
