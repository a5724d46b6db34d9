import { type AssetPermission, type PlatformRole, type Preset } from '@strongroom/contract';
import type { PlacedConfiguration, SelectorInput } from '../access/bundle-assets.ts';
import { requireOutsideDefault } from '../access/bundle-assets.ts';
import { type BundleRecord, requireOther, requireOwnable } from '../access/bundle-commands.ts';
import { findBundle } from '../access/bundles.ts';
import { defaultBundleIdOf } from '../access/default-bundle.ts';
import type { AssetRecord } from '../access/list-queries.ts';
import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import { contentOf, requireNothingUnderWay } from '../domains/content.ts';
import { type Gone, requireAnAdmin } from '../identities/principals.ts';
import { readPrincipal } from '../identities/users.ts';
import type { SecretReader } from '../secrets/reader.ts';
import { adminScopeId, globalScopeId } from '../store/ids.ts';
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
  withOwner,
  withRoles,
  withoutSignIn,
  withSelectors,
} from './alterations.ts';
import { type Aside, type Change, type Effect, Hits, type ImpactView } from './gather.ts';
import type { HeldTarget } from './holders.ts';
import { isLastCredential } from './last-credential.ts';
import { findLosses } from './losses.ts';
import type { ImpactTarget, Within } from './queries.ts';
import { addConsumers, addHeld, consumersOf, hitsOf, maxRows, refusalOf } from './reads.ts';
import { recipientsOf } from './recipients.ts';
import { remainsOf } from './remains.ts';

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
   * A Global secret stays with these domains alone. What uses it where it may not be used now is not named.
   * @throws StrongroomError `not_found`
   */
  async ofSecretAssignments(caller: Caller, key: string, kept: readonly string[]): Promise<ImpactView> {
    const row = await this.#reader.find(caller, global, key);
    const assigned = await this.#store.db
      .selectFrom('secret_assignments')
      .select('scope_id')
      .where('secret_id', '=', row.id)
      .execute();
    const within = await this.#losing(assigned, assigned.length === 0, kept);
    const held = { sourceId: row.source_id, key: row.key };
    return this.#ofTarget(caller, global, { secretId: row.id }, held, 'revoke', 'launches-fail', within);
  }

  /** A Global integration stays with these domains alone. */
  async ofIntegrationAssignments(caller: Caller, asset: AssetRef, kept: readonly string[]): Promise<ImpactView> {
    const { id: sourceId } = asset;
    const { db } = this.#store;
    const row = await db.selectFrom('integrations').select('is_for_all').where('id', '=', sourceId).executeTakeFirst();
    const assigned = await db
      .selectFrom('integration_assignments')
      .select('scope_id')
      .where('source_id', '=', sourceId)
      .execute();
    const within = await this.#losing(assigned, row?.is_for_all === 1, kept);
    const target = { scopeId: asset.scope.id, sourceId };
    return this.#ofTarget(caller, asset.scope, target, { sourceId }, 'revoke', 'launches-fail', within);
  }

  /** Scopes that may use it now and would not. The platform itself may use all that is Global, whatever it is assigned to. */
  async #losing(
    assigned: readonly { readonly scope_id: string }[],
    isForAll: boolean,
    kept: readonly string[],
  ): Promise<Within> {
    const rows = await this.#store.db
      .selectFrom('scopes')
      .select('id')
      .where('kind', '=', 'domain')
      .where('deleted_at', 'is', null)
      .where('name', 'in', kept.length === 0 ? [''] : kept)
      .execute();
    const keptIds = rows.map(({ id }) => id);
    return isForAll
      ? { notIn: [adminScopeId, globalScopeId, ...keptIds] }
      : { in: assigned.map(({ scope_id: id }) => id).filter((id) => !keptIds.includes(id)) };
  }

  /** What uses a storage configuration, which goes. */
  async ofStorage(caller: Caller, { id, type, name }: AssetRef): Promise<ImpactView> {
    return this.#view(caller, await consumersOf(this.#store, id, `${type}/${name}`), 'delete', {});
  }

  /**
   * What stands on access that is about to be taken away: references and storage that somebody put there, and what somebody
   * starts. `preset`: in place of the one the member has.
   * @throws StrongroomError `not_found`
   */
  async ofMember(caller: Caller, domain: ScopeRef, label: string, preset?: Preset): Promise<ImpactView> {
    const alteration = await withoutMember(this.#store, domain, label, preset);
    const [principalId = ''] = alteration.principalIds ?? [];
    return this.#ofAlteration(caller, 'revoke', alteration, await remainsOf(this.#store, domain, principalId));
  }

  /** @throws StrongroomError `not_found` */
  async ofGrant(caller: Caller, domain: ScopeRef, id: string): Promise<ImpactView> {
    return this.#ofAlteration(caller, 'revoke', await withoutGrant(this.#store, domain, id));
  }

  /** @param kept permissions in place of those it has. @throws StrongroomError `not_found` */
  async ofBundleGrant(
    caller: Caller,
    domain: ScopeRef,
    bundle: BundleRecord,
    id: string,
    kept?: readonly AssetPermission[],
  ): Promise<ImpactView> {
    return this.#ofAlteration(caller, 'revoke', await withoutBundleGrant(this.#store, domain, bundle.id, id, kept));
  }

  /**
   * A user, a group or a service account of the platform has these roles of its own in place of those it has.
   * @throws StrongroomError `not_found`
   */
  async ofRoles(
    caller: Caller,
    kind: 'user' | 'group' | 'service-account',
    id: string,
    roles: readonly PlatformRole[],
  ): Promise<ImpactView> {
    await readPrincipal(this.#store, kind, id);
    const aside = roles.includes('PLATFORM_ADMIN')
      ? {}
      : await refusalOf(() => this.#requireAdminWithout({ rolesOf: id }));
    return this.#ofAlteration(caller, 'revoke', await withRoles(this.#store, id, roles), aside);
  }

  /** A user who is disabled or deleted. @throws StrongroomError `not_found` */
  async ofUser(caller: Caller, id: string, change: 'delete' | 'disable'): Promise<ImpactView> {
    const { email } = await readPrincipal(this.#store, 'user', id);
    const recipients = email === null ? [] : await recipientsOf(this.#store, this.#access, caller.snapshot, email);
    return this.#ofAlteration(caller, change, withoutPrincipal(id), {
      ...(await refusalOf(() => this.#requireAdminWithout({ principalId: id }))),
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
    const aside = await refusalOf(() => this.#requireAdminWithout({ principalId: id }));
    return this.#ofAlteration(caller, change, withoutPrincipal(id), aside, id);
  }

  /**
   * A token that is revoked. While another one works, or pods act as the account, nothing is hit.
   * @throws StrongroomError `not_found`
   */
  async ofToken(caller: Caller, accountId: string, tokenId: string, scope?: ScopeRef): Promise<ImpactView> {
    await readPrincipal(this.#store, 'service-account', accountId, scope?.id);
    return this.#ofCredential(caller, accountId, tokenId);
  }

  /**
   * Pods no longer act as an account. While it has a token, or other pods act as it, nothing is hit.
   * @throws StrongroomError `not_found`
   */
  async ofWorkload(caller: Caller, accountId: string, workloadId: string, scope: ScopeRef): Promise<ImpactView> {
    await readPrincipal(this.#store, 'service-account', accountId, scope.id);
    return this.#ofCredential(caller, accountId, workloadId);
  }

  async #ofCredential(caller: Caller, accountId: string, id: string): Promise<ImpactView> {
    const isLast = await isLastCredential(this.#store, accountId, id);
    const alteration = withoutSignIn(accountId);
    return isLast
      ? this.#ofAlteration(caller, 'revoke', alteration, {}, accountId)
      : this.#ofAlteration(caller, 'revoke', { ...alteration, principalIds: [] });
  }

  /** @throws StrongroomError `not_found` */
  async ofGroup(caller: Caller, id: string): Promise<ImpactView> {
    await readPrincipal(this.#store, 'group', id);
    const aside = await refusalOf(() => this.#requireAdminWithout({ groupId: id }));
    return this.#ofAlteration(caller, 'delete', await withoutGroup(this.#store, id), aside);
  }

  /** Somebody leaves a group. @throws StrongroomError `not_found` */
  async ofGroupMember(caller: Caller, groupId: string, principalId: string): Promise<ImpactView> {
    await readPrincipal(this.#store, 'group', groupId);
    const alteration = await withoutGroup(this.#store, groupId, principalId);
    const aside = await refusalOf(() => this.#requireAdminWithout({ groupId, principalId }));
    return this.#ofAlteration(caller, 'remove', alteration, aside);
  }

  /** It is deleted, or gets another owner. */
  async ofBundle(caller: Caller, domain: ScopeRef, bundle: BundleRecord, owner?: string): Promise<ImpactView> {
    if (owner !== undefined) {
      const aside = await refusalOf(async () => requireOwnable(bundle));
      return this.#ofAlteration(caller, 'revoke', await withOwner(this.#store, domain, bundle, owner), aside);
    }
    const aside = await refusalOf(async () => requireOther(bundle));
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
      const aside = to === undefined ? await refusalOf(async () => requireOutsideDefault(from)) : {};
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
    await addHeld(this.#store, hits, [{ heldIn: domain.id }]);
    const { secrets, integrations, serviceAccounts } = await contentOf(this.#store, domain.id);
    const aside = await refusalOf(() => requireNothingUnderWay(this.#store, domain.id));
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
    await addConsumers(this.#store, hits);
    const configurationIds = hits.configurationIds;
    await addHeld(this.#store, hits, [
      ...(configurationIds.length === 0 ? [] : [{ configurationIds }]),
      // What runs under it renews its lease by it.
      ...(accountId === undefined ? [] : [{ workloadsOf: accountId }]),
    ]);
    return this.#view(caller, hits, change, aside);
  }

  #view(caller: Caller, hits: Hits, change: Change, aside: Aside): ImpactView {
    const what = { change, effect: 'launches-fail', seesAll: false } as const;
    return { ...hits.view(this.#access, caller.snapshot, what, Date.now()), ...aside };
  }

  async #requireAdminWithout(gone: Gone): Promise<void> {
    await requireAnAdmin(this.#store, gone);
  }

  async #ofTarget(
    caller: Caller,
    scope: ScopeRef,
    target: ImpactTarget,
    heldTarget: HeldTarget,
    change: Change,
    effect: Effect,
    within?: Within,
  ): Promise<ImpactView> {
    const hits = await hitsOf(this.#store, [{ target, held: heldTarget }], within);
    const managesGlobal = this.#access.decide(caller.snapshot, 'secret.manage', { kind: 'scope', scope: global }).allow;
    const what = { change, effect, seesAll: scope.kind === 'global' && managesGlobal };
    return hits.view(this.#access, caller.snapshot, what, Date.now());
  }
}
