import type { GoogleSettings } from '@strongroom/contract';
import type { BackendDefinition } from '../definition.ts';
import { capabilities } from './capabilities.ts';

export const definition: BackendDefinition<GoogleSettings> = {
  type: 'google',
  title: 'Google Secret Manager',
  capabilities,
  open: async (settings, parts) => (await import('./open.ts')).openGoogle(settings, parts),
};
