import type { VaultSettings } from '@strongroom/contract';
import type { BackendDefinition } from '../definition.ts';
import { capabilities, openVault } from './open.ts';

export const definition: BackendDefinition<VaultSettings> = {
  type: 'vault',
  title: 'HashiCorp Vault or OpenBao',
  capabilities,
  open: async (settings, parts) => openVault(settings, parts),
};

export { readVaultKek, type VaultKekSettings } from './kek.ts';
export { readServiceAccountToken, serviceAccountCredential } from './service-account-token.ts';
