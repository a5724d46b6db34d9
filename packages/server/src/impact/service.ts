import { type Preset, StrongroomError } from '@strongroom/contract';
import type { PlacedConfiguration, SelectorInput } from '../access/bundle-assets.ts';
import { requireOutsideDefault } from '../access/bundle-assets.ts';
import { type BundleRecord, requireOther } from '../access/bundle-commands.ts';
import { findBundle } from '../access/bundles.ts';
import { defaultBundleIdOf } from '../access/default-bundle.ts';
import type { AssetRecord } from '../access/list-queries.ts';
import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import { contentOf, requireNothingUnderWay } from '../domains/content.ts';
import { type Gone, requireAnAdmin } from '../identities/principals.ts';
import { readPrincipal } from '../identities/users.ts';
import type { SecretReader } from '../secrets/reader.ts';
import { globalScopeId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import {
  type Alteration,
  withConfigurationIn,
  withoutBundle,
  withoutBundleGrant,
  withoutGrant,
  withoutGroup,
  withoutMember,
  withoutPrincipal,
  withoutSignIn,
  withSelectors,
} from './alterations.ts';
import { type Aside, type Change, type Effect, Hits, type ImpactView } from './gather.ts';
import { type HeldTarget, holdersOf } from './holders.ts';
import { findLosses } from './losses.ts';
import type { HeldOf, ImpactTarget } from './queries.ts';
import { recipientsOf } from './recipients.ts';

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
   * starts. `preset`: in place of the one the member has.
   * @throws StrongroomError `not_found`
   */
  async ofMember(caller: Caller, domain: ScopeRef, label: string, preset?: Preset): Promise<ImpactView> {
    return this.#ofAlteration(caller, 'revoke', await withoutMember(this.#store, domain, label, preset));
  }

  /** @throws StrongroomError `not_found` */
  async ofGrant(caller: Caller, domain: ScopeRef, id: string): Promise<ImpactView> {
    return this.#ofAlteration(caller, 'revoke', await withoutGrant(this.#store, domain, id));
  }

  /** @throws StrongroomError `not_found` */
  async ofBundleGrant(caller: Caller, domain: ScopeRef, bundle: BundleRecord, id: string): Promise<ImpactView> {
    return this.#ofAlteration(caller, 'revoke', await withoutBundleGrant(this.#store, domain, bundle.id, id));
  }

  /** A user who is disabled or deleted. @throws StrongroomError `not_found` */
  async ofUser(caller: Caller, id: string, change: 'delete' | 'disable'): Promise<ImpactView> {
    const { email } = await readPrincipal(this.#store, 'user', id);
    const recipients = email === null ? [] : await recipientsOf(this.#store, this.#access, caller.snapshot, email);
    return this.#ofAlteration(caller, change, withoutPrincipal(id), {
      ...(await this.#refusal(() => this.#requireAdminWithout({ principalId: id }))),
      ...(recipients.length === 0 ? {} : { recipients }),
    });
  }

  /** @throws StrongroomError `not_found` */
  async ofServiceAccount(
    caller: Caller,
    id: string,
    change: 'delete' | 'disable',
    scope?: ScopeRef,
  ): Promise<ImpactView> {
    await readPrincipal(this.#store, 'service-account', id, scope?.id);
    const aside = await this.#refusal(() => this.#requireAdminWithout({ principalId: id }));
    return this.#ofAlteration(caller, change, withoutPrincipal(id), aside, id);
  }

  /**
   * A token that is revoked. While another one works, or pods act as the account, nothing is hit.
   * @throws StrongroomError `not_found`
   */
  async ofToken(caller: Caller, accountId: string, tokenId: string, scope?: ScopeRef): Promise<ImpactView> {
    await readPrincipal(this.#store, 'service-account', accountId, scope?.id);
    const isLast = await this.#isLastCredential(accountId, tokenId);
    const alteration = withoutSignIn(accountId);
    return isLast
      ? this.#ofAlteration(caller, 'revoke', alteration, {}, accountId)
      : this.#ofAlteration(caller, 'revoke', { ...alteration, principalIds: [] });
  }

  /** @throws StrongroomError `not_found` */
  async ofGroup(caller: Caller, id: string): Promise<ImpactView> {
    await readPrincipal(this.#store, 'group', id);
    const aside = await this.#refusal(() => this.#requireAdminWithout({ groupId: id }));
    return this.#ofAlteration(caller, 'delete', await withoutGroup(this.#store, id), aside);
  }

  /** Somebody leaves a group. @throws StrongroomError `not_found` */
  async ofGroupMember(caller: Caller, groupId: string, principalId: string): Promise<ImpactView> {
    await readPrincipal(this.#store, 'group', groupId);
    const alteration = await withoutGroup(this.#store, groupId, principalId);
    const aside = await this.#refusal(() => this.#requireAdminWithout({ groupId, principalId }));
    return this.#ofAlteration(caller, 'remove', alteration, aside);
  }

  async ofBundle(caller: Caller, domain: ScopeRef, bundle: BundleRecord): Promise<ImpactView> {
    const aside = await this.#refusal(async () => requireOther(bundle));
    return this.#ofAlteration(caller, 'delete', withoutBundle(domain, bundle.id), aside);
  }

  /**
   * An asset of a bundle that goes to another one, or is taken out of it.
   * @throws StrongroomError `not_found` for the other bundle
   */
  async ofBundleAsset(
    caller: Caller,
    domain: ScopeRef,
    from: BundleRecord,
    asset: AssetRecord,
    toName?: string,
  ): Promise<ImpactView> {
    const to = toName === undefined ? undefined : await findBundle(this.#store, domain, toName);
    if (asset.selectorScope === null) {
      const aside = to === undefined ? await this.#refusal(async () => requireOutsideDefault(from)) : {};
      const alteration = withConfigurationIn(domain, asset.id, to?.id ?? defaultBundleIdOf(domain.id));
      return this.#ofAlteration(caller, to === undefined ? 'remove' : 'move', alteration, aside);
    }
    const isIt = ({ bundleId, selectorScope, selector, isPrefix }: SelectorInput & { readonly bundleId: string }) =>
      bundleId === from.id &&
      selectorScope === asset.selectorScope &&
      selector === asset.name &&
      isPrefix === asset.isPrefix;
    const alteration = withSelectors(domain, (selectors) =>
      selectors.flatMap((each) => {
        if (!isIt(each)) return [each];
        return to === undefined ? [] : [{ ...each, bundleId: to.id }];
      }),
    );
    return this.#ofAlteration(caller, to === undefined ? 'remove' : 'move', alteration);
  }

  /** Secrets that are named in a bundle, or a configuration that goes there. */
  async ofAddition(
    caller: Caller,
    domain: ScopeRef,
    bundle: BundleRecord,
    added: SelectorInput | PlacedConfiguration,
  ): Promise<ImpactView> {
    const alteration =
      'selector' in added
        ? withSelectors(domain, (selectors) => [...selectors, { ...added, bundleId: bundle.id }])
        : withConfigurationIn(domain, added.id, bundle.id);
    return this.#ofAlteration(caller, 'move', alteration);
  }

  /** All that a domain holds, which goes with it. */
  async ofDomain(caller: Caller, domain: ScopeRef): Promise<ImpactView> {
    const hits = new Hits();
    const rows = await this.#store.query('impact.configurationsOf', { scopeId: domain.id, limit: maxRows + 1 });
    if (rows.length > maxRows) hits.cut();
    for (const row of rows.slice(0, maxRows)) hits.addConfiguration(row);
    await this.#addHeld(hits, [{ heldIn: domain.id }]);
    const { secrets, integrations, serviceAccounts } = await contentOf(this.#store, domain.id);
    const aside = await this.#refusal(() => requireNothingUnderWay(this.#store, domain.id));
    return this.#view(caller, hits, 'delete', { contents: { secrets, integrations, serviceAccounts }, ...aside });
  }

  async #ofAlteration(
    caller: Caller,
    change: Change,
    alteration: Alteration,
    aside: Aside = {},
    accountId?: string,
  ): Promise<ImpactView> {
    const hits = await findLosses({ store: this.#store, access: this.#access }, alteration, maxRows);
    await this.#addConsumers(hits);
    const configurationIds = hits.configurationIds;
    await this.#addHeld(hits, [
      ...(configurationIds.length === 0 ? [] : [{ configurationIds }]),
      // What runs under it renews its lease by it.
      ...(accountId === undefined ? [] : [{ workloadsOf: accountId }]),
    ]);
    return this.#view(caller, hits, change, aside);
  }

  async #addHeld(hits: Hits, targets: readonly HeldOf[]): Promise<void> {
    const limit = maxRows + 1;
    const held = await Promise.all(targets.map((target) => this.#store.query('impact.heldBy', { target, limit })));
    if (held.some((rows) => rows.length > maxRows)) hits.cut();
    hits.setHeld(held.flatMap((rows) => rows.slice(0, maxRows)));
  }

  #view(caller: Caller, hits: Hits, change: Change, aside: Aside): ImpactView {
    const what = { change, effect: 'launches-fail', seesAll: false } as const;
    return { ...hits.view(this.#access, caller.snapshot, what, Date.now()), ...aside };
  }

  /** What the change would be refused with, for which the write itself asks in the same words. */
  async #refusal(required: () => Promise<void>): Promise<Pick<Aside, 'refusal'>> {
    try {
      await required();
      return {};
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      return { refusal: { code: error.code, detail: error.message } };
    }
  }

  async #requireAdminWithout(gone: Gone): Promise<void> {
    await requireAnAdmin(this.#store, gone);
  }

  async #isLastCredential(accountId: string, tokenId: string): Promise<boolean> {
    const now = Date.now();
    const tokens = this.#store.db.selectFrom('tokens').select('id').where('principal_id', '=', accountId);
    if ((await tokens.where('id', '=', tokenId).executeTakeFirst()) === undefined)
      throw new StrongroomError('not_found');
    const live = await tokens
      .where('revoked_at', 'is', null)
      .where((column) => column.or([column('expires_at', 'is', null), column('expires_at', '>', now)]))
      .limit(2)
      .execute();
    if (live.length !== 1 || live[0]?.id !== tokenId) return false;
    const bound = await this.#store.db
      .selectFrom('workloads')
      .select('id')
      .where('principal_id', '=', accountId)
      .executeTakeFirst();
    return bound === undefined;
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
