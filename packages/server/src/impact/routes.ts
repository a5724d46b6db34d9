import { type impactRoutes, permissionWords, platformRoles, StrongroomError } from '@strongroom/contract';
import type { BundleAssets } from '../access/bundle-assets.ts';
import type { Bundles } from '../access/bundles.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import type { Domains } from '../domains/service.ts';
import type { HandlersOf } from '../http/handler.ts';
import type { ServiceAccountService } from '../identities/service-accounts.ts';
import type { ImpactView } from './gather.ts';
import type { LentImpact } from './lent.ts';
import type { Impact } from './service.ts';

/** Who may make the change may see what it would hit: asked of those who make it. */
export interface Deciders {
  readonly bundles: Bundles;
  readonly assets: BundleAssets;
  readonly domains: Domains;
  readonly accounts: ServiceAccountService;
  readonly lent: LentImpact;
}

interface SecretRequest {
  readonly caller: Caller;
  readonly scope: ScopeRef;
  readonly params: { readonly key: string };
  readonly query: { readonly change?: 'delete' | 'rotate' };
}

interface IntegrationRequest {
  readonly caller: Caller;
  readonly asset: AssetRef;
  readonly query: { readonly change?: 'delete' | 'edit' };
}

type Of<Id extends keyof HandlersOf<typeof impactRoutes>> = Pick<HandlersOf<typeof impactRoutes>, Id>;

/** One handler serves all three scopes: the guard has put the scope of the path into the request. */
export function impactHandlers(impact: Impact, deciders: Deciders): HandlersOf<typeof impactRoutes> {
  const ofSecret = async ({ caller, scope, params, query }: SecretRequest): Promise<{ body: ImpactView }> => ({
    body: await impact.ofSecret(caller, scope, params.key, query.change ?? 'delete'),
  });
  const ofIntegration = async ({ caller, asset, query }: IntegrationRequest): Promise<{ body: ImpactView }> => ({
    body: await impact.ofIntegration(caller, asset, query.change ?? 'delete'),
  });
  return {
    showDomainSecretImpact: ofSecret,
    showGlobalSecretImpact: ofSecret,
    showAdminSecretImpact: ofSecret,
    showDomainIntegrationImpact: ofIntegration,
    showGlobalIntegrationImpact: ofIntegration,
    showAdminIntegrationImpact: ofIntegration,
    showAssignmentsImpact: async ({ caller, params, query }) => ({
      body: await impact.ofSecretAssignments(caller, params.key, namesOf(query.domains)),
    }),
    showIntegrationAssignmentsImpact: async ({ caller, asset, query }) => ({
      body: await impact.ofIntegrationAssignments(caller, asset, namesOf(query.domains)),
    }),
    showStorageConfigImpact: async ({ caller, asset }) => ({ body: await impact.ofStorage(caller, asset) }),
    showMemberImpact: async ({ caller, scope, params, query }) => ({
      body: await impact.ofMember(caller, scope, params.principal, query.preset),
    }),
    showGrantImpact: async ({ caller, scope, params }) => ({
      body: await impact.ofGrant(caller, scope, params.grant),
    }),
    ...bundleImpactHandlers(impact, deciders),
    showDomainImpact: async ({ caller, scope }) => {
      await deciders.domains.requireMayDelete(caller, scope);
      return { body: await impact.ofDomain(caller, scope) };
    },
    ...identityImpactHandlers(impact, deciders.accounts),
    showClusterTargetImpact: async ({ caller, params }) => ({
      body: await deciders.lent.ofTarget(caller, params.cluster, params.namespace),
    }),
    showProfileImpact: async ({ caller, params, query: { change = 'delete', domains } }) => {
      const kept = namesOf(onlyWith('domains', domains, change));
      return { body: await deciders.lent.ofProfile(caller, params.profile, change, kept) };
    },
  };
}

function bundleImpactHandlers(
  impact: Impact,
  { bundles, assets }: Deciders,
): Of<'showBundleGrantImpact' | 'showBundleImpact' | 'showBundleAssetImpact' | 'showBundleAdditionImpact'> {
  return {
    showBundleGrantImpact: async ({ caller, scope, params, query }) => {
      const bundle = await bundles.requireMayRevoke(caller, scope, params.bundle, params.grant);
      const kept = wordsOf(query.permissions, permissionWords);
      return { body: await impact.ofBundleGrant(caller, scope, bundle, params.grant, kept) };
    },
    showBundleImpact: async ({ caller, scope, params, query }) => {
      const bundle = await bundles.requireOwned(caller, scope, params.bundle);
      return { body: await impact.ofBundle(caller, scope, bundle, query.owner) };
    },
    showBundleAssetImpact: async ({ caller, scope, params, query }) => {
      const { bundle, asset } = await assets.requireOwned(caller, scope, params.bundle, params.asset);
      return { body: await impact.ofBundleAsset(caller, scope, bundle, asset, query.to) };
    },
    showBundleAdditionImpact: async ({ caller, scope, params, query }) => {
      const { bundle, added } = await assets.requireMayAdd(caller, scope, params.bundle, query);
      return { body: await impact.ofAddition(caller, scope, bundle, added) };
    },
  };
}

function namesOf(text = ''): readonly string[] {
  return text === '' ? [] : text.split(',');
}

/** Words joined with commas, as the contract has checked them. */
function wordsOf<const Word extends string>(text: string | undefined, known: readonly Word[]): readonly Word[] {
  const words = new Set<string>(namesOf(text));
  return known.filter((word) => words.has(word));
}

/** @throws StrongroomError `validation_failed`: who goes has no roles to keep */
function requireNoRoles<const Change extends string>(change: Change, roles: string | undefined): Change {
  onlyWith('roles', roles, change);
  return change;
}

/** What is kept of what is taken in part. @throws StrongroomError `validation_failed` */
function onlyWith(parameter: string, kept: string | undefined, change: string): string | undefined {
  if (kept === undefined || change === 'revoke') return kept;
  throw new StrongroomError('validation_failed', {
    errors: [{ pointer: parameter, message: 'It goes with change=revoke.' }],
  });
}

function identityImpactHandlers(
  impact: Impact,
  accounts: ServiceAccountService,
): Of<
  | 'showUserImpact'
  | 'showGroupImpact'
  | 'showGroupMemberImpact'
  | 'showServiceAccountImpact'
  | 'showTokenImpact'
  | 'showDomainServiceAccountImpact'
  | 'showDomainTokenImpact'
  | 'showWorkloadImpact'
> {
  return {
    showUserImpact: async ({ caller, params, query: { change = 'delete', roles } }) => ({
      body:
        change === 'revoke'
          ? await impact.ofRoles(caller, 'user', params.user, wordsOf(roles, platformRoles))
          : await impact.ofUser(caller, params.user, requireNoRoles(change, roles)),
    }),
    showGroupImpact: async ({ caller, params, query: { change = 'delete', roles } }) => {
      if (change === 'revoke')
        return { body: await impact.ofRoles(caller, 'group', params.group, wordsOf(roles, platformRoles)) };
      requireNoRoles(change, roles);
      return { body: await impact.ofGroup(caller, params.group) };
    },
    showGroupMemberImpact: async ({ caller, params }) => ({
      body: await impact.ofGroupMember(caller, params.group, params.principal),
    }),
    showServiceAccountImpact: async ({ caller, params, query: { change = 'delete', roles } }) => ({
      body:
        change === 'revoke'
          ? await impact.ofRoles(caller, 'service-account', params.serviceAccount, wordsOf(roles, platformRoles))
          : await impact.ofServiceAccount(caller, params.serviceAccount, requireNoRoles(change, roles)),
    }),
    showTokenImpact: async ({ caller, params }) => ({
      body: await impact.ofToken(caller, params.serviceAccount, params.token),
    }),
    showDomainServiceAccountImpact: async ({ caller, scope, params, query }) => {
      await accounts.requireMayEnd(caller, params.serviceAccount, scope);
      return { body: await impact.ofServiceAccount(caller, params.serviceAccount, query.change ?? 'delete', scope) };
    },
    showWorkloadImpact: async ({ caller, scope, params }) => {
      await accounts.requireMayEnd(caller, params.serviceAccount, scope);
      return { body: await impact.ofWorkload(caller, params.serviceAccount, params.workload, scope) };
    },
    showDomainTokenImpact: async ({ caller, scope, params }) => ({
      body: await impact.ofToken(caller, params.serviceAccount, params.token, scope),
    }),
  };
}
