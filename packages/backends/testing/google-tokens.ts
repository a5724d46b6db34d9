// A double of Google's token endpoint and of IAM's service account credentials, in this process, written from Google's
// reference pages: https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests,
// https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { googleTokenUrl } from '@strongroom/contract';
import { jwtVerify } from 'jose';
import type { Certificate } from './certificate.ts';

export interface TokenAnswer {
  readonly status: number;
  readonly body: unknown;
}

export interface GoogleTokens extends AsyncDisposable {
  readonly port: number;
  /** `POST /token`, `POST /v1/projects/-/serviceAccounts/…:generateAccessToken`. */
  readonly requests: readonly string[];
  /** What a console downloads for a service account. */
  readonly serviceAccountKey: string;
  readonly privateKey: string;
  /** In place of its own answer, where there is one. */
  script: ((path: string) => TokenAnswer | null) | null;
}

const serviceAccount = 'strongroom@finance-prod.iam.gserviceaccount.com';
/** The only service account that the server's own identity may act as. */
export const actedAs = 'reader@finance-prod.iam.gserviceaccount.com';
const keyId = 'canary-key-id-9a1f';

/** @param tokens where those that it issues are written, and those of others are looked up */
export async function startGoogleTokens({ key, certificate }: Certificate, tokens: Set<string>): Promise<GoogleTokens> {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const privateKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' });
  const requests: string[] = [];

  const issue = (): string => {
    const token = `ya29.canary-token-${randomBytes(12).toString('hex')}`;
    tokens.add(token);
    return token;
  };

  const exchange = async (body: string): Promise<TokenAnswer> => {
    const form = new URLSearchParams(body);
    const refusal = { status: 400, body: { error: 'invalid_grant', error_description: `Invalid JWT: ${body}` } };
    if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer') return refusal;
    try {
      const { payload, protectedHeader } = await jwtVerify(form.get('assertion') ?? '', pair.publicKey, {
        algorithms: ['RS256'],
        issuer: serviceAccount,
        audience: googleTokenUrl,
        maxTokenAge: '1h',
        requiredClaims: ['exp', 'iat', 'scope'],
      });
      const isRight =
        protectedHeader.kid === keyId && payload['scope'] === 'https://www.googleapis.com/auth/cloud-platform';
      if (!isRight) return refusal;
    } catch {
      return refusal;
    }
    return { status: 200, body: { access_token: issue(), expires_in: 3599, token_type: 'Bearer' } };
  };

  const impersonate = (path: string, authorization = ''): TokenAnswer => {
    if (!tokens.has(authorization.replace(/^Bearer /, ''))) return { status: 401, body: { error: { code: 401 } } };
    if (path !== `/v1/projects/-/serviceAccounts/${actedAs}:generateAccessToken`)
      return { status: 403, body: { error: { code: 403, status: 'PERMISSION_DENIED' } } };
    return {
      status: 200,
      body: { accessToken: issue(), expireTime: new Date(Date.now() + 3_600_000).toISOString() },
    };
  };

  const server = createServer({ key, cert: certificate }, (request, response) => {
    void (async () => {
      const body = Buffer.concat(await request.toArray()).toString('utf8');
      const path = request.url ?? '';
      requests.push(`${request.method} ${path}`);
      const own = path === '/token' ? exchange(body) : impersonate(path, request.headers.authorization);
      const answer = double.script?.(path) ?? (await own);
      response.writeHead(answer.status, { 'content-type': 'application/json; charset=utf-8' });
      response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const double: GoogleTokens = {
    port: (server.address() as AddressInfo).port,
    requests,
    privateKey,
    serviceAccountKey: JSON.stringify({
      type: 'service_account',
      project_id: 'finance-prod',
      private_key_id: keyId,
      private_key: privateKey,
      client_email: serviceAccount,
      client_id: '100000000000000000001',
      auth_uri: 'https://accounts.google.com/o/oauth2/auth',
      token_uri: googleTokenUrl,
      universe_domain: 'googleapis.com',
    }),
    script: null,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return double;
}
