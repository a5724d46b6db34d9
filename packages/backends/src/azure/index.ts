import type { AzureSettings } from '@strongroom/contract';
import type { BackendDefinition } from '../definition.ts';
import { capabilities } from './capabilities.ts';

export const definition: BackendDefinition<AzureSettings> = {
  type: 'azure',
  title: 'Azure Key Vault',
  capabilities,
  open: async (settings, parts) => (await import('./open.ts')).openAzure(settings, parts),
};
