import type { AzureSettings } from '@strongroom/contract';
import { StrongroomError } from '@strongroom/contract/core';
import { SecretClient } from '@azure/keyvault-secrets';
import type { BackendParts } from '../definition.ts';
import { AzureBackend } from './backend.ts';
import { type AzureCloud, clouds } from './clouds.ts';
import { createHttpClient } from './http-client.ts';
import { createIdentity } from './identity.ts';

/**
 * @param cloud where vaults are and applications sign in
 * @throws StrongroomError `state_conflict` when the server's identity is wanted and no profile lends it; `validation_failed`
 * when it would be shown to an address that is none of the cloud's vaults
 */
export function openAzure(
  settings: AzureSettings,
  parts: BackendParts,
  cloud: AzureCloud = clouds[settings.cloud ?? 'public'],
): AzureBackend {
  const { egress, lent } = parts;
  const vaultUrl = settings.vaultUrl.replace(/\/$/, '');
  const rules = { vendor: [cloud.vaultSuffix] };
  const { hostname, origin } = new URL(vaultUrl);
  if (lent !== undefined && !hostname.endsWith(cloud.vaultSuffix))
    throw new StrongroomError('validation_failed', {
      errors: [{ pointer: '/settings/vaultUrl', message: `is none of a vault (*${cloud.vaultSuffix})` }],
    });
  const httpClient = createHttpClient(egress, origin, rules);
  const createClient = () =>
    new SecretClient(vaultUrl, createIdentity(settings.authentication, cloud, parts), {
      httpClient,
      retryOptions: { maxRetries: 0 },
    });
  return new AzureBackend({ createClient, egress, vaultUrl, origin, rules });
}
