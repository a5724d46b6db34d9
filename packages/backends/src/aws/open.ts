import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { AwsSettings } from '@strongroom/contract';
import type { BackendParts } from '../definition.ts';
import { AwsBackend } from './backend.ts';
import { AwsClient } from './client.ts';
import { checkEndpoint, endpointOf } from './endpoint.ts';
import { createIdentitySource } from './identity.ts';
import { createRequestHandler } from './request-handler.ts';
import { sdkOptions } from './sdk-options.ts';

/** @throws StrongroomError `state_conflict` when the server's identity is wanted and no profile lends it */
export function openAws(settings: AwsSettings, parts: BackendParts): AwsBackend {
  const { region, stsEndpoint, prefix = '', versionStage = 'AWSCURRENT' } = settings;
  const regional = new SecretsManagerClient({ ...sdkOptions, region }).config.endpointProvider({
    Region: region,
    UseDualStack: false,
    UseFIPS: false,
  });
  const endpoint = endpointOf(regional.url, settings.endpoint);
  const requestHandler = createRequestHandler(parts.egress, endpoint.rules);
  const credentials = createIdentitySource(settings.authentication, { region, stsEndpoint }, parts);
  const create = () =>
    new SecretsManagerClient({ ...sdkOptions, region, endpoint: endpoint.url, credentials, requestHandler });
  return new AwsBackend({
    client: new AwsClient(create, () => checkEndpoint(endpoint, parts.egress)),
    egress: parts.egress,
    endpoint,
    prefix,
    versionStage,
  });
}
