import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import type { Egress } from '../egress/index.ts';
import { VendorFailure } from '../vendor-failure.ts';
import { checkEndpoint, endpointOf } from './endpoint.ts';
import { awsFailure, identityFailure, malformed } from './failures.ts';
import type { AwsIdentity, IdentitySource } from './identity.ts';
import { createRequestHandler } from './request-handler.ts';
import { sdkOptions } from './sdk-options.ts';

export interface AssumedRole {
  readonly region: string;
  /** In place of the region's own. */
  readonly stsEndpoint: string | undefined;
  readonly roleArn: string;
  readonly externalId: string | undefined;
}

/** Seen in the account's records. */
const sessionName = 'strongroom';
const hint = 'Check the trust policy of the role, its external id, and that the identity may assume it.';

/**
 * Credentials of a role, for an hour (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html). The request
 * has the guard's own deadline: many calls wait for it, and the end of one must not end the others.
 *
 * @throws StrongroomError
 */
export async function assumeRole(role: AssumedRole, source: IdentitySource, egress: Egress): Promise<AwsIdentity> {
  const { region, roleArn, externalId, stsEndpoint } = role;
  const regional = new STSClient({ ...sdkOptions, region }).config.endpointProvider({
    Region: region,
    UseDualStack: false,
    UseFIPS: false,
    UseGlobalEndpoint: false,
  });
  const endpoint = endpointOf(regional.url, stsEndpoint);
  checkEndpoint(endpoint, egress);
  const requestHandler = createRequestHandler(egress, endpoint.rules);
  const sts = new STSClient({ ...sdkOptions, region, endpoint: endpoint.url, credentials: source, requestHandler });
  try {
    const { Credentials: given } = await sts.send(
      new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: sessionName, ExternalId: externalId }),
    );
    if (!isWhole(given)) throw malformed('assuming the role');
    const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken } = given;
    return { accessKeyId, secretAccessKey, sessionToken, expiration: given.Expiration };
  } catch (error) {
    const failure = awsFailure(error, 'assuming the role');
    if (failure instanceof VendorFailure || failure.code === 'key_unavailable') throw identityFailure(failure, hint);
    throw failure;
  } finally {
    sts.destroy();
  }
}

interface GivenCredentials {
  readonly AccessKeyId: string;
  readonly SecretAccessKey: string;
  readonly SessionToken: string;
  readonly Expiration: Date;
}

function isWhole(given: object | undefined): given is GivenCredentials {
  if (given === undefined) return false;
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = given as Record<keyof GivenCredentials, unknown>;
  const texts = [AccessKeyId, SecretAccessKey, SessionToken];
  const isDate = Expiration instanceof Date && !Number.isNaN(Expiration.getTime());
  return isDate && texts.every((text) => typeof text === 'string' && text !== '');
}
