import { googleTokenUrl, readServiceAccountKey, type ServiceAccountKey } from '@strongroom/contract';
import { importPKCS8, SignJWT } from 'jose';
import type { BackendParts } from '../definition.ts';
import { own } from '../vault/json.ts';
import { VendorFailure } from '../vendor-failure.ts';
import type { TokenSource } from './access-tokens.ts';
import { type GoogleCloud, scope } from './cloud.ts';
import { malformed } from './failures.ts';
import { readToken, requestToken } from './token-request.ts';

const about = 'signing the service account in';
const hint = 'Check that the key and the service account still exist, and the clock of the server.';
const longestLifetimeSeconds = 3600;

/**
 * A token for an assertion that the service account's key signs (RFC 7523,
 * https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests).
 */
export function serviceAccountTokens(
  { egress, credential, now }: Pick<BackendParts, 'egress' | 'credential' | 'now'>,
  cloud: GoogleCloud,
): TokenSource {
  return async () => {
    const assertion = await assertionOf(await readKey(credential), Math.floor(now() / 1000));
    const body = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion });
    const answer = await requestToken(egress, cloud, {
      url: cloud.tokenUrl,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: body.toString(),
      about,
      hint,
    });
    const lifetimeSeconds = own(answer, 'expires_in');
    if (typeof lifetimeSeconds !== 'number' || !(lifetimeSeconds > 0)) throw malformed(about);
    return {
      text: readToken(own(answer, 'access_token'), about),
      lifetimeSeconds: Math.min(lifetimeSeconds, longestLifetimeSeconds),
    };
  };
}

async function readKey(credential: BackendParts['credential']): Promise<ServiceAccountKey> {
  const value = await credential('serviceAccountKey');
  const key = readServiceAccountKey(value.revealText());
  value.destroy();
  if (typeof key === 'string') throw invalid(key);
  return key;
}

async function assertionOf({ clientEmail, privateKeyId, privateKey }: ServiceAccountKey, nowSeconds: number) {
  let key: CryptoKey;
  try {
    key = await importPKCS8(privateKey, 'RS256');
  } catch {
    // What the parser says may quote it.
    throw invalid('has a private_key that can not be read');
  }
  return new SignJWT({ scope })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...(privateKeyId === undefined ? {} : { kid: privateKeyId }) })
    .setIssuer(clientEmail)
    .setAudience(googleTokenUrl)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + longestLifetimeSeconds)
    .sign(key);
}

function invalid(message: string): VendorFailure {
  const errors = [{ pointer: '/credentials/serviceAccountKey', message }];
  return new VendorFailure(
    'validation_failed',
    { detail: `The credential serviceAccountKey ${message}.`, errors },
    true,
  );
}
