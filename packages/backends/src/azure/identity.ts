import { createPrivateKey, X509Certificate } from 'node:crypto';
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
import { VendorFailure } from '../vendor-failure.ts';
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
        try {
          const credential = await make();
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
  if (authentication.method === 'managed-identity')
    return new ManagedIdentityCredential({ clientId, retryOptions: { maxRetries: 0 } });
  // It asks what its operator named, and not Microsoft whether that is known.
  if (authentication.method === 'workload-identity')
    return new WorkloadIdentityCredential({
      clientId,
      disableInstanceDiscovery: true,
      retryOptions: { maxRetries: 0 },
    });
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
  if (!isCertificate(certificate)) throw notACertificate();
  return new ClientCertificateCredential(tenantId, clientId, { certificate }, options);
}

/** Whether it is a certificate and the private key that belongs to it: what the SDK says of others comes late and quotes them. */
function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).checkPrivateKey(createPrivateKey(pem));
  } catch {
    return false;
  }
}

function notACertificate(): VendorFailure {
  const message = 'is no certificate with the private key that belongs to it, in PEM';
  const errors = [{ pointer: '/credentials/clientCertificate', message }];
  return new VendorFailure(
    'validation_failed',
    { detail: `The credential clientCertificate ${message}.`, errors },
    true,
  );
}

async function textOf(credential: BackendParts['credential'], name: string): Promise<string> {
  const value = await credential(name);
  const text = value.revealText();
  value.destroy();
  return text;
}
