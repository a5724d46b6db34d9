import type { BackendDeclaration, SourceType } from './declaration.ts';
import { awsBackend } from './aws.ts';
import { azureBackend } from './azure.ts';
import { googleBackend } from './google.ts';
import { vaultBackend } from './vault.ts';

/** Kinds of backends that an integration can connect: one line each. */
export const backendDeclarations = {
  VAULT: vaultBackend,
  AWS: awsBackend,
  AZURE: azureBackend,
  GOOGLE: googleBackend,
} as const satisfies { readonly [Type in SourceType]?: BackendDeclaration<Type> };

export type IntegrationType = keyof typeof backendDeclarations;
