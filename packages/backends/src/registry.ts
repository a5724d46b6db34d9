import type { IntegrationType, SourceType } from '@strongroom/contract';
import type { BackendDefinition } from './definition.ts';

/**
 * How each kind of integration is loaded, at its first use: a server without one of a kind loads nothing of it. The settings
 * that a definition takes are those that the contract declares for the kind.
 */
export const registry = {
  AWS: async () => (await import('./aws/index.ts')).definition,
  AZURE: async () => (await import('./azure/index.ts')).definition,
  GOOGLE: async () => (await import('./google/index.ts')).definition,
  VAULT: async () => (await import('./vault/index.ts')).definition,
} as const satisfies { readonly [Type in IntegrationType]: () => Promise<BackendDefinition<never>> };

/** How each kind of managed store outside of the database is loaded, at its first use. Its settings name the scope. */
export const managedStores = {
  KUBERNETES: async () => (await import('./kubernetes/index.ts')).definition,
  VAULT: async () => (await import('./vault-managed/index.ts')).definition,
} as const satisfies { readonly [Type in SourceType]?: () => Promise<BackendDefinition<never>> };
