import { type domainSecretRoutes, formatReference, type ResponseOf } from '@strongroom/contract';
import { actionsOn } from '../access/refusal.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import type { KeyPlace } from './key-order.ts';

type SecretPage = ResponseOf<Extract<(typeof domainSecretRoutes)[number], { readonly id: 'listDomainSecrets' }>>;
export type IntegrationKeyView = Extract<SecretPage['items'][number], { readonly isReadOnly: true }>;
export type SourceView = SecretPage['sources'][number];

/** An integration whose keys are in a scope's list: the caller has USE of it. */
export interface ListedIntegration {
  readonly origin: KeyPlace & { readonly kind: 'index'; readonly from: number };
  readonly asset: AssetRef;
  readonly view: SourceView;
}

/** Integrations whose keys the caller may use in a scope. */
export type ListIntegrations = (caller: Caller, scope: ScopeRef) => Promise<readonly ListedIntegration[]>;

/** What may be shown of a key that somebody's own backend holds: it is changed there. */
export function integrationKeyView(
  caller: Caller,
  place: ScopeRef,
  { asset, view }: ListedIntegration,
  row: { readonly key: string; readonly fieldNames: readonly string[] | null; readonly uses: number },
): IntegrationKeyView {
  const { scope, source, sourceType } = view;
  return {
    isReadOnly: true,
    key: row.key,
    reference: formatReference({ scope, source, key: row.key }),
    scope,
    ...(scope === 'domain' ? { domain: place.name } : {}),
    source,
    sourceType,
    ...(row.fieldNames === null ? {} : { fields: [...row.fieldNames] }),
    usedBy: row.uses,
    actions: [
      { action: 'secret.manage', allowed: false, reason: `It is in ${source}, which is read from only` },
      ...actionsOn(caller.snapshot, ['integration.use'], { kind: 'asset', asset }),
    ],
  };
}
