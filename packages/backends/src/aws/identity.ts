import type { AwsAuthentication } from '@strongroom/contract';
import { StrongroomError } from '@strongroom/contract/core';
import type { BackendParts } from '../definition.ts';
import type { AssumedRole } from './assumed-role.ts';

/** What requests are signed with. */
export interface AwsIdentity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

export type IdentitySource = () => Promise<AwsIdentity>;

/** How the settings say that it signs in. What a way needs besides the client is loaded at its first use. */
export function createIdentitySource(
  authentication: AwsAuthentication,
  place: Pick<AssumedRole, 'region' | 'stsEndpoint'>,
  parts: BackendParts,
): IdentitySource {
  if (authentication.method === 'access-key') return accessKey(authentication.accessKeyId, parts);
  if (authentication.method === 'assume-role') {
    const { accessKeyId, roleArn, externalId } = authentication;
    return assumed({ ...place, roleArn, externalId }, accessKey(accessKeyId, parts), parts);
  }
  const { lent } = parts;
  if (lent === undefined)
    throw new StrongroomError('state_conflict', {
      detail: 'The identity of the server is used only through a profile, which a platform administrator makes.',
    });
  return assumed({ ...place, roleArn: authentication.roleArn, externalId: lent.externalId }, defaultChain, parts);
}

function accessKey(accessKeyId: string, { credential }: BackendParts): IdentitySource {
  return async () => {
    const secret = await credential('secretAccessKey');
    const secretAccessKey = secret.revealText();
    secret.destroy();
    return { accessKeyId, secretAccessKey };
  };
}

function assumed(role: AssumedRole, source: IdentitySource, { egress }: BackendParts): IdentitySource {
  return async () => (await import('./assumed-role.ts')).assumeRole(role, source, egress);
}

async function defaultChain(): Promise<AwsIdentity> {
  return (await import('./default-chain.ts')).serverIdentity();
}
