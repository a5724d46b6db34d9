import type { impactRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../http/handler.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import type { ImpactView } from './gather.ts';
import type { Impact } from './service.ts';

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

/** One handler serves all three scopes: the guard has put the scope of the path into the request. */
export function impactHandlers(impact: Impact): HandlersOf<typeof impactRoutes> {
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
    showMemberImpact: async ({ caller, scope, params, query }) => ({
      body: await impact.ofRevocation(caller, scope, {
        kind: 'member',
        principal: params.principal,
        preset: query.preset,
      }),
    }),
    showGrantImpact: async ({ caller, scope, params }) => ({
      body: await impact.ofRevocation(caller, scope, { kind: 'grant', id: params.grant }),
    }),
    showBundleGrantImpact: async ({ caller, scope, params }) => ({
      body: await impact.ofRevocation(caller, scope, {
        kind: 'bundle-grant',
        bundle: params.bundle,
        id: params.grant,
      }),
    }),
  };
}
