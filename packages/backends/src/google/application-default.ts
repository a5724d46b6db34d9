import { StrongroomError } from '@strongroom/contract/core';
import { GoogleAuth } from 'google-gax';
import type { Egress } from '../egress/index.ts';
import { own } from '../vault/json.ts';
import { untilAborted } from '../wrappers/deadline.ts';
import type { TokenSource } from './access-tokens.ts';
import { type GoogleCloud, scope } from './cloud.ts';
import { malformed } from './failures.ts';
import { readToken, requestToken } from './token-request.ts';

/** The library keeps the token of the server itself, and has another one before its end. */
const askedAgainSeconds = 60;
const deadlineMilliseconds = 10_000;
const impersonationSeconds = 3600;

const about = 'acting as the service account';
const hint =
  'Check that it exists, and that the identity of the server has the role Service Account Token Creator on it.';

/**
 * The identity that the server has where it runs: workload identity, the machine's service account, or the file that its
 * operator names (https://cloud.google.com/docs/authentication/application-default-credentials). The ways to it are the
 * operator's, to addresses that no user may name.
 *
 * @throws StrongroomError `key_unavailable`
 */
export function applicationDefaultTokens(projectId: string): TokenSource {
  // Without a project the library looks for one: in files, of the machine, by running gcloud.
  const auth = new GoogleAuth({ scopes: [scope], projectId });
  return async () => {
    try {
      const token = await untilAborted(auth.getAccessToken(), AbortSignal.timeout(deadlineMilliseconds));
      return { text: readToken(token, 'signing in'), lifetimeSeconds: askedAgainSeconds };
    } catch {
      // What was tried last may name files and addresses of the server.
      throw new StrongroomError('key_unavailable', {
        detail: 'The server has no identity at Google.',
        hint: 'Its operator gives it one: workload identity, a service account of the machine, or application default credentials.',
      });
    }
  };
}

/**
 * Tokens of a service account that another identity may act as
 * (https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken).
 */
export function impersonatedTokens(
  serviceAccount: string,
  source: TokenSource,
  egress: Egress,
  cloud: GoogleCloud,
): TokenSource {
  return async () => {
    const { text } = await source();
    const answer = await requestToken(egress, cloud, {
      url: `${cloud.impersonationUrl}/v1/projects/-/serviceAccounts/${serviceAccount}:generateAccessToken`,
      headers: { authorization: `Bearer ${text}`, 'content-type': 'application/json' },
      body: JSON.stringify({ scope: [scope], lifetime: `${impersonationSeconds}s` }),
      about,
      hint,
    });
    const endsAt = own(answer, 'expireTime');
    const isDate = typeof endsAt === 'string' && !Number.isNaN(Date.parse(endsAt));
    if (!isDate) throw malformed(about);
    return { text: readToken(own(answer, 'accessToken'), about), lifetimeSeconds: impersonationSeconds };
  };
}
