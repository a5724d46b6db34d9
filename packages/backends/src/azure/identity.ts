import type { AzureAuthentication } from '@strongroom/contract';
import { StrongroomError } from '@strongroom/contract/core';
import {
  ClientCertificateCredential,
  ClientSecretCredential,
  ManagedIdentityCredential,
  WorkloadIdentityCredential,
} from '@azure/identity';
import type { SecretClient } from '@azure/keyvault-secrets';
import type { BackendParts } from '../definition.ts';
import type { AzureCloud } from './clouds.ts';
import { recorded } from './exchange.ts';
import { signInFailure } from './failures.ts';
import { createHttpClient } from './http-client.ts';

export type TokenCredential = ConstructorParameters<typeof SecretClient>[1];

/**
 * How the settings say that it signs in. The SDK keeps tokens until shortly before they expire.
 *
 * @throws StrongroomError `state_conflict` when the server's identity is wanted and no profile lends it
 */
export function createIdentity(
  authentication: AzureAuthentication,
  { authority }: AzureCloud,
  parts: BackendParts,
): TokenCredential {
  const isAmbient = authentication.method === 'managed-identity' || authentication.method === 'workload-identity';
  if (isAmbient && parts.lent === undefined)
    throw new StrongroomError('state_conflict', {
      detail: 'The identity of the server is used only through a profile, which a platform administrator makes.',
    });
  let made: Promise<TokenCredential> | undefined;
  const make = async (): Promise<TokenCredential> => {
    made ??= createCredential(authentication, authority, parts);
    try {
      return await made;
    } catch (error) {
      made = undefined;
      throw error;
    }
  };
  return {
    getToken: (scopes, options) =>
      recorded(async (exchange) => {
        const credential = await make();
        try {
          return await credential.getToken(scopes, options);
        } catch (error) {
          if (error instanceof StrongroomError) throw error;
          throw signInFailure(exchange, isAmbient);
        }
      }),
  };
}

async function createCredential(
  authentication: AzureAuthentication,
  authority: string,
  { egress, credential }: BackendParts,
): Promise<TokenCredential> {
  const { clientId } = authentication;
  // Of the server, over the ways that its operator gave it: they lead to addresses that no user may name.
  if (authentication.method === 'managed-identity') return new ManagedIdentityCredential({ clientId });
  if (authentication.method === 'workload-identity') return new WorkloadIdentityCredential({ clientId });
  const options = {
    authorityHost: authority,
    // The authority is one of our own list.
    disableInstanceDiscovery: true,
    retryOptions: { maxRetries: 0 },
    httpClient: createHttpClient(egress, authority, { vendor: [new URL(authority).hostname] }),
  };
  const { tenantId } = authentication;
  if (authentication.method === 'client-secret')
    return new ClientSecretCredential(tenantId, clientId, await textOf(credential, 'clientSecret'), options);
  const certificate = await textOf(credential, 'clientCertificate');
  return new ClientCertificateCredential(tenantId, clientId, { certificate }, options);
}

async function textOf(credential: BackendParts['credential'], name: string): Promise<string> {
  const value = await credential(name);
  const text = value.revealText();
  value.destroy();
  return text;
}
