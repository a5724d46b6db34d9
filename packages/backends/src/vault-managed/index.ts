import type { BackendDefinition, BackendParts } from '../definition.ts';
import { KvReader } from '../vault/kv.ts';
import { openClient, type VaultAccess } from '../vault/open.ts';
import { capabilities, ManagedVaultBackend } from './backend.ts';
import { type ManagedScope, scopePath } from './scope-path.ts';

export interface ManagedVaultSettings extends VaultAccess {
  /** `/v1/MOUNT/data/PREFIX`, as the legacy configuration has it. */
  readonly path: string;
  readonly scope: ManagedScope;
}

/** @throws StrongroomError `validation_failed` for a path without a prefix */
export function openManagedVault(settings: ManagedVaultSettings, parts: BackendParts): ManagedVaultBackend {
  const { mount, folder } = scopePath(settings.path, settings.scope);
  const client = openClient(settings, ['GET', 'LIST', 'POST', 'DELETE'], parts);
  return new ManagedVaultBackend({
    client,
    kv: new KvReader(client, mount),
    folder,
    isLogIn: settings.authentication.method !== 'token',
    now: parts.now,
  });
}

export const definition: BackendDefinition<ManagedVaultSettings> = {
  type: 'vault-managed',
  title: 'Managed store in Vault, in the legacy layout',
  capabilities,
  open: async (settings, parts) => openManagedVault(settings, parts),
};

export type { ManagedVaultBackend } from './backend.ts';
export { encodeDomain, type ManagedScope } from './scope-path.ts';
