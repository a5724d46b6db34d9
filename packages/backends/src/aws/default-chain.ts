import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { StrongroomError } from '@strongroom/contract/core';
import type { AwsIdentity } from './identity.ts';

/** One for the process, which keeps what it found until shortly before it expires. */
const provider = defaultProvider({ maxRetries: 0, timeout: 2000 });

/**
 * The identity that the server has where it runs: environment, web identity (IRSA), container or instance role
 * (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html).
 *
 * @throws StrongroomError `key_unavailable`
 */
export async function serverIdentity(): Promise<AwsIdentity> {
  try {
    return await provider();
  } catch {
    // What the chain tried last says nothing about the others, and may name files and addresses of the server.
    throw new StrongroomError('key_unavailable', {
      detail: 'The server has no identity at AWS.',
      hint: 'Its operator gives it one: a role for its ServiceAccount (IRSA), or a role of the instance.',
    });
  }
}
