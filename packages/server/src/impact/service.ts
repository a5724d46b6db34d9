import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import type { SecretReader } from '../secrets/reader.ts';
import { globalScopeId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import { type Change, type Effect, Hits, type ImpactView } from './gather.ts';
import { type HeldTarget, holdersOf } from './holders.ts';
import type { ImpactTarget } from './queries.ts';
import { findRevoked, type Revocation } from './revocation.ts';

/** Rows of each kind that one answer is made of. */
const maxRows = 2000;

const global: ScopeRef = { id: globalScopeId, kind: 'global', name: 'global' };

/** What a change would hit, told before it is made: configurations to the field, what runs, and in which domains. */
export class Impact {
  readonly #store: Store;
  readonly #access: AccessService;
  readonly #reader: SecretReader;

  constructor(store: Store, access: AccessService, reader: SecretReader) {
    this.#store = store;
    this.#access = access;
    this.#reader = reader;
  }

  /** @throws StrongroomError `not_found` */
  async ofSecret(caller: Caller, scope: ScopeRef, key: string, change: 'delete' | 'rotate'): Promise<ImpactView> {
    const row = await this.#reader.find(caller, scope, key);
    const effect = change === 'delete' ? 'launches-fail' : 'workloads-outdated';
    const held = { sourceId: row.source_id, key: row.key };
    return this.#ofTarget(caller, scope, { secretId: row.id }, held, change, effect);
  }

  async ofIntegration(caller: Caller, asset: AssetRef, change: 'delete' | 'edit'): Promise<ImpactView> {
    const effect = change === 'delete' ? 'launches-fail' : 'launches-may-fail';
    const { id: sourceId } = asset;
    return this.#ofTarget(caller, asset.scope, { scopeId: asset.scope.id, sourceId }, { sourceId }, change, effect);
  }

  /**
   * What stands on access that is about to be taken away: references and storage that somebody put there, and what somebody
   * starts.
   * @throws StrongroomError `not_found`
   */
  async ofRevocation(caller: Caller, domain: ScopeRef, revocation: Revocation): Promise<ImpactView> {
    const hits = await findRevoked({ store: this.#store, access: this.#access }, domain, revocation, maxRows);
    await this.#addConsumers(hits);
    const ids = hits.configurationIds;
    if (ids.length > 0) {
      const held = await this.#store.query('impact.heldBy', { target: { configurationIds: ids }, limit: maxRows + 1 });
      if (held.length > maxRows) hits.cut();
      hits.setHeld(held.slice(0, maxRows));
    }
    const what = { change: 'revoke', effect: 'launches-fail', seesAll: false } as const;
    return hits.view(this.#access, caller.snapshot, what, Date.now());
  }

  async #ofTarget(
    caller: Caller,
    scope: ScopeRef,
    target: ImpactTarget,
    heldTarget: HeldTarget,
    change: Change,
    effect: Effect,
  ): Promise<ImpactView> {
    const hits = new Hits();
    const [uses, held, holders] = await Promise.all([
      this.#store.query('impact.usesOf', { target, limit: maxRows + 1 }),
      this.#store.query('impact.heldBy', { target, limit: maxRows + 1 }),
      holdersOf(this.#store, heldTarget),
    ]);
    if (uses.length > maxRows || held.length > maxRows) hits.cut();
    for (const use of uses.slice(0, maxRows)) hits.addUse(use);
    hits.setHeld(held.slice(0, maxRows));
    hits.setHolders(holders);
    await this.#addConsumers(hits);
    const managesGlobal = this.#access.decide(caller.snapshot, 'secret.manage', { kind: 'scope', scope: global }).allow;
    const what = { change, effect, seesAll: scope.kind === 'global' && managesGlobal };
    return hits.view(this.#access, caller.snapshot, what, Date.now());
  }

  /** What uses a configuration that is hit is hit with it. */
  async #addConsumers(hits: Hits): Promise<void> {
    const consumedIds = hits.configurationIds;
    if (consumedIds.length === 0) return;
    const rows = await this.#store.query('impact.consumersOf', { consumedIds, limit: maxRows + 1 });
    if (rows.length > maxRows) hits.cut();
    for (const row of rows.slice(0, maxRows)) hits.addConsumer(row);
  }
}
