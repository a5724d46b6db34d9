import { isPath, StrongroomError } from '@strongroom/contract';
import type { Backend } from '@strongroom/backends';
import type { AssetRef, Caller } from '../access/types.ts';
import { listedPages } from '../listed-pages.ts';
import { type HeldLease, withLease } from '../store/leases.ts';
import type { Store } from '../store/store.ts';
import type { IntegrationRow } from './required-rows.ts';
import { integrationEvent } from './events.ts';
import type { IndexPage, Refresh } from './index-commands.ts';
import type { OpenedBackends } from './opened-backends.ts';
import { healthView, indexView, type RefreshView } from './views.ts';

export interface KeyIndexParts {
  readonly store: Store;
  readonly backends: OpenedBackends;
  /** Of leases; unique per process start. */
  readonly holder: string;
  readonly maxKeys: number;
  readonly refreshEveryMilliseconds: number;
}

type Keys = IndexPage['keys'];
type Outcome = 'done' | 'failed' | 'busy';

const pageSize = 500;
/** Longer ones fit neither a reference, once they are percent-encoded, nor an index of PostgreSQL. */
const maxKeyBytes = 1024;
/** Keys written in one command. */
const writtenAtOnce = 200;
const leaseMilliseconds = 30_000;
const deadlines = { byHand: 25_000, inBackground: 5 * 60_000 } as const;
const retryMilliseconds = 5 * 60_000;
const refreshedAtOnce = 4;
const dueAtOnce = 100;

/**
 * Keys of integrations as selectors offer them. A refresh writes page by page and removes what it did not see after its last
 * page only, so one that breaks off has taken nothing away.
 */
export class KeyIndex {
  readonly #parts: KeyIndexParts;
  readonly #underWay = new Map<string, Promise<Outcome>>();

  constructor(parts: KeyIndexParts) {
    this.#parts = parts;
  }

  /**
   * Lists an integration's keys anew while the caller waits. A source that fails answers with its error in `health`.
   * @throws StrongroomError `state_conflict` while another refresh of it goes on, `version_conflict` when it was changed
   * meanwhile, `audit_unavailable`
   */
  async refreshNow(caller: Caller, asset: AssetRef, signal: AbortSignal): Promise<RefreshView> {
    const { store } = this.#parts;
    const event = integrationEvent(caller, asset.scope, 'integration.refresh', asset, ['begin']);
    await store.execute('access.record', undefined, { audit: [event] });
    const outcome = await this.#refresh(asset.id, signal, deadlines.byHand);
    if (outcome === 'busy')
      throw new StrongroomError('state_conflict', { detail: 'Another refresh of this integration goes on.' });
    const row = await store.db.selectFrom('integrations').selectAll().where('id', '=', asset.id).executeTakeFirst();
    if (row === undefined) throw new StrongroomError('not_found');
    return { health: healthView(row), index: indexView(row, Date.now()) };
  }

  /** Refreshes what is due, a few at once; one that fails holds up no other. */
  async refreshDue(signal: AbortSignal): Promise<void> {
    const due = await this.#parts.store.db
      .selectFrom('integrations')
      .select('id')
      .where('index_due_at', '<=', this.#parts.store.now())
      .orderBy('index_due_at')
      .orderBy('id')
      .limit(dueAtOnce)
      .execute();
    const failures: unknown[] = [];
    const work = due.values();
    const worker = async (): Promise<void> => {
      for (const { id } of work) {
        if (signal.aborted) return;
        try {
          await this.#refresh(id, signal, deadlines.inBackground);
        } catch (error) {
          if (!isOvertaken(error)) failures.push(error);
        }
      }
    };
    await Promise.all(Array.from({ length: refreshedAtOnce }, worker));
    if (failures.length > 0) throw failures[0];
  }

  /** One refresh of an integration at a time: whoever asks meanwhile waits for the one that goes on. */
  async #refresh(sourceId: string, signal: AbortSignal, deadline: number): Promise<Outcome> {
    for (let known = this.#underWay.get(sourceId); known !== undefined; known = this.#underWay.get(sourceId)) {
      const [outcome] = await Promise.allSettled([known]);
      if (outcome.status === 'fulfilled') return outcome.value;
      // Its caller left, or it listed with other settings: another one begins.
    }
    const refresh = this.#leased(sourceId, signal, deadline).finally(() => this.#underWay.delete(sourceId));
    this.#underWay.set(sourceId, refresh);
    return refresh;
  }

  async #leased(sourceId: string, signal: AbortSignal, deadline: number): Promise<Outcome> {
    const { store, backends, holder } = this.#parts;
    const outcome = await withLease(store, `integration.${sourceId}`, holder, leaseMilliseconds, async (lease) => {
      const bounded = AbortSignal.any([signal, lease.signal, AbortSignal.timeout(deadline)]);
      const { backend, row } = await backends.openAt(sourceId);
      try {
        await this.#list(backend, row, lease, bounded);
        return 'done';
      } catch (error) {
        // The caller or the server ended it: that says nothing about the source.
        if (!(error instanceof StrongroomError) || isOvertaken(error) || signal.aborted) throw error;
        await this.#fail(row, error);
        return 'failed';
      }
    });
    return outcome.held ? outcome.result : 'busy';
  }

  async #list(backend: Backend, row: IntegrationRow, lease: HeldLease, signal: AbortSignal): Promise<void> {
    const { store, maxKeys, refreshEveryMilliseconds } = this.#parts;
    const begun = { sourceId: row.id, revision: row.revision, lease: { name: lease.name, epoch: lease.epoch } };
    const { generation } = await store.execute('integration.beginIndex', begun);
    const refresh: Refresh = { ...begun, generation };
    let keys = 0;
    let isCut = false;
    for await (const page of listedPages((start) => backend.list({ limit: pageSize, signal, ...start }))) {
      // What no reference can name can't be chosen.
      const usable = page.items.filter(({ key }) => isPath(key) && Buffer.byteLength(key) <= maxKeyBytes);
      const taken = usable.slice(0, maxKeys - keys);
      isCut = taken.length < usable.length || (keys + taken.length === maxKeys && page.nextCursor !== null);
      await this.#write(
        refresh,
        taken.map(({ key, fieldNames }) => ({ key, fieldNames: fieldNames ?? null })),
      );
      keys += taken.length;
      if (isCut) break;
    }
    let removed = writtenAtOnce;
    while (removed === writtenAtOnce)
      ({ removed } = await store.execute('integration.sweepIndex', { ...refresh, limit: writtenAtOnce }));
    await store.execute('integration.finishIndex', {
      ...refresh,
      keys,
      isCut,
      nextInMilliseconds: refreshEveryMilliseconds,
    });
  }

  async #write(refresh: Refresh, keys: Keys): Promise<void> {
    for (let at = 0; at < keys.length; at += writtenAtOnce)
      await this.#parts.store.execute('integration.indexPage', {
        ...refresh,
        keys: keys.slice(at, at + writtenAtOnce),
      });
  }

  async #fail(row: IntegrationRow, error: StrongroomError): Promise<void> {
    await this.#parts.store.execute('integration.failIndex', {
      sourceId: row.id,
      revision: row.revision,
      code: error.code,
      message: error.message.slice(0, 500),
      nextInMilliseconds: Math.min(retryMilliseconds, this.#parts.refreshEveryMilliseconds),
    });
  }
}

/** The settings were changed, the integration deleted, or the lease taken over: whoever did that goes on. */
function isOvertaken(error: unknown): boolean {
  return error instanceof StrongroomError && (error.code === 'version_conflict' || error.code === 'not_found');
}
