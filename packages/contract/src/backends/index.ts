import type { BackendDeclaration, SourceType } from './declaration.ts';
import { vaultBackend } from './vault.ts';

/** Kinds of backends that an integration can connect: one line each. */
export const backendDeclarations = {
  VAULT: vaultBackend,
} as const satisfies { readonly [Type in SourceType]?: BackendDeclaration<Type> };

export type IntegrationType = keyof typeof backendDeclarations;
