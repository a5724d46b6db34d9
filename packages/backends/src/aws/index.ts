import type { AwsSettings } from '@strongroom/contract';
import type { BackendDefinition } from '../definition.ts';
import { capabilities } from './capabilities.ts';

export const definition: BackendDefinition<AwsSettings> = {
  type: 'aws',
  title: 'AWS Secrets Manager',
  capabilities,
  open: async (settings, parts) => (await import('./open.ts')).openAws(settings, parts),
};
