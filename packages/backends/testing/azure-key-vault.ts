// A double of Azure Key Vault and of its sign-in, in this process: it is written from Microsoft's reference pages and shows
// that the SDK and we agree with those pages, not that Azure does. There is no Key Vault to install.
// https://learn.microsoft.com/rest/api/keyvault/secrets/, https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { jwtVerify } from 'jose';
import { makeCertificate } from './certificate.ts';

export const azureTenant = '0f0e0d0c-0b0a-4009-8807-060504030201';
export const azureClientId = '11111111-2222-4333-8444-555555555555';

export interface AzureAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

interface Version {
  readonly id: string;
  readonly value: string;
  /** Seconds. */
  readonly updated: number;
}

interface Secret {
  readonly name: string;
  readonly versions: Version[];
  isEnabled: boolean;
  isDeleted: boolean;
}

export interface AzureKeyVault extends AsyncDisposable {
  readonly port: number;
  /** PEM of the only authority whose certificate it has. */
  readonly caCertificate: string;
  readonly clientSecret: string;
  /** `GET /secrets/x`, `POST /TENANT/oauth2/v2.0/token`, without queries. */
  readonly requests: readonly string[];
  /** Domain that tokens are for, as the challenge says it; `localhost` is what fits `vault.localhost`. */
  resource: string;
  /** Tokens that are taken. */
  readonly tokens: Set<string>;
  /** PEM of the certificate that the application proves itself by, and the token of a ServiceAccount that counts as its own. */
  applicationCertificate: string | null;
  federatedToken: string | null;
  /** In place of its own answer, where there is one. */
  script: ((path: string) => AzureAnswer | null) | null;
  set(name: string, value: string): void;
  softDelete(name: string): void;
  purge(name: string): void;
  disable(name: string): void;
}

/** Serves `https://vault.localhost:PORT` and `https://login.localhost:PORT`, which is `https://localhost:PORT` to whom the former has no address. */
export async function startAzureKeyVault(): Promise<AzureKeyVault> {
  const { key, certificate } = makeCertificate(['vault.localhost', 'login.localhost', 'localhost']);
  const secrets = new Map<string, Secret>();
  const tokens = new Set<string>();
  const requests: string[] = [];
  const clientSecret = `canary-client-secret-${randomBytes(8).toString('hex')}`;

  const answer = async (request: IncomingMessage, body: string): Promise<AzureAnswer> => {
    const authority = request.headers.host ?? '';
    const url = new URL(request.url ?? '', `https://${authority}`);
    requests.push(`${request.method} ${url.pathname}`);
    const scripted = double.script?.(url.pathname) ?? null;
    if (scripted !== null) return scripted;
    if (['login.localhost', 'localhost'].includes(url.hostname)) return signIn(url, body);
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined || !tokens.has(token)) return challenge(authority);
    if (request.method !== 'GET' || !url.searchParams.has('api-version')) return failure(400, 'BadParameter');
    return read(url);
  };

  const challenge = (authority: string): AzureAnswer => {
    const signInAt = `https://login.localhost:${authority.split(':')[1] ?? ''}/${azureTenant}`;
    const header = `Bearer authorization="${signInAt}", resource="https://${double.resource}"`;
    return { ...failure(401, 'Unauthorized'), headers: { 'www-authenticate': header } };
  };

  /** RFC 7523 section 2.2: an assertion that the application's certificate signs, or a token of somebody who is trusted. */
  const isAsserted = async (form: URLSearchParams, url: URL): Promise<boolean> => {
    const assertion = form.get('client_assertion');
    const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
    if (assertion === null || form.get('client_assertion_type') !== type) return false;
    if (double.federatedToken !== null) return assertion === double.federatedToken;
    if (double.applicationCertificate === null) return false;
    const certificate = new X509Certificate(double.applicationCertificate);
    try {
      const { protectedHeader } = await jwtVerify(assertion, certificate.publicKey, {
        algorithms: ['RS256', 'PS256'],
        audience: `${url.origin}/${azureTenant}/oauth2/v2.0/token`,
        issuer: azureClientId,
        subject: azureClientId,
        requiredClaims: ['exp', 'jti', 'nbf'],
        // The SDK rounds the time up, too.
        clockTolerance: '5s',
      });
      const thumbprint = (hash: string): string => createHash(hash).update(certificate.raw).digest('base64url');
      const { x5t, 'x5t#S256': x5tS256 } = protectedHeader;
      return x5tS256 === undefined ? x5t === thumbprint('sha1') : x5tS256 === thumbprint('sha256');
    } catch {
      return false;
    }
  };

  const signIn = async (url: URL, body: string): Promise<AzureAnswer> => {
    const base = `${url.origin}/${azureTenant}`;
    if (url.pathname.endsWith('/.well-known/openid-configuration'))
      return {
        status: 200,
        body: {
          issuer: `${base}/v2.0`,
          authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
          token_endpoint: `${base}/oauth2/v2.0/token`,
          jwks_uri: `${base}/discovery/v2.0/keys`,
        },
      };
    const form = new URLSearchParams(body);
    const isProved = form.get('client_secret') === clientSecret || (await isAsserted(form, url));
    const isRight =
      form.get('client_id') === azureClientId &&
      form.get('grant_type') === 'client_credentials' &&
      form.get('scope')?.includes(`https://${double.resource}/.default`) === true &&
      isProved;
    if (!isRight)
      return { status: 401, body: { error: 'invalid_client', error_description: `AADSTS7000215: ${body}` } };
    const token = `canary-token-${randomBytes(12).toString('hex')}`;
    tokens.add(token);
    return { status: 200, body: { token_type: 'Bearer', expires_in: 3600, ext_expires_in: 3600, access_token: token } };
  };

  const read = (url: URL): AzureAnswer => {
    const [, collection, name = '', version = ''] = url.pathname.split('/');
    if (collection === 'secrets' && name === '') return page(url);
    if (collection === 'secrets' && version === 'versions') return versionsPage(url, secrets.get(name.toLowerCase()));
    const secret = secrets.get(name.toLowerCase());
    if (collection === 'deletedsecrets')
      return secret?.isDeleted === true ? { status: 200, body: bundle(url, secret) } : failure(404, 'SecretNotFound');
    const found = version === '' ? secret?.versions.at(-1) : secret?.versions.find(({ id }) => id === version);
    if (collection !== 'secrets' || secret === undefined || secret.isDeleted || found === undefined)
      return failure(404, 'SecretNotFound');
    if (!secret.isEnabled) return failure(403, 'Forbidden', 'SecretDisabled');
    const body = { ...bundle(url, secret), value: found.value, id: `${idOf(url, secret)}/${found.id}` };
    return { status: 200, body: { ...body, attributes: { enabled: true, updated: found.updated } } };
  };

  const page = (url: URL): AzureAnswer => {
    const size = Number(url.searchParams.get('maxresults') ?? 25);
    const after = url.searchParams.get('$skiptoken') ?? '';
    const rest = [...secrets.values()]
      .filter(({ isDeleted, name }) => !isDeleted && name > after)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const items = rest.slice(0, size);
    const next = new URL(url);
    next.searchParams.set('$skiptoken', items.at(-1)?.name ?? '');
    return {
      status: 200,
      body: { value: items.map((secret) => bundle(url, secret)), nextLink: rest.length > size ? next.href : null },
    };
  };

  /** In no order: by their ids. Of what isn't there it is an empty page. */
  const versionsPage = (url: URL, secret: Secret | undefined): AzureAnswer => {
    const size = Number(url.searchParams.get('maxresults') ?? 25);
    const after = url.searchParams.get('$skiptoken') ?? '';
    if (secret === undefined || secret.isDeleted) return { status: 200, body: { value: [], nextLink: null } };
    const rest = secret.versions.filter(({ id }) => id > after).toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const items = rest.slice(0, size).map(({ id, updated }) => ({
      id: `${idOf(url, secret)}/${id}`,
      attributes: { enabled: secret.isEnabled, created: updated, updated },
    }));
    const next = new URL(url);
    next.searchParams.set('$skiptoken', items.at(-1)?.id.split('/').at(-1) ?? '');
    return { status: 200, body: { value: items, nextLink: rest.length > size ? next.href : null } };
  };

  const server = createServer({ key, cert: certificate }, (request, response) => {
    void (async () => {
      const body = Buffer.concat(await request.toArray()).toString('utf8');
      send(response, await answer(request, body));
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const must = (name: string): Secret => {
    const secret = secrets.get(name.toLowerCase());
    if (secret === undefined) throw new Error('There is no such secret');
    return secret;
  };
  const double: AzureKeyVault = {
    port: (server.address() as AddressInfo).port,
    caCertificate: certificate,
    clientSecret,
    requests,
    tokens,
    applicationCertificate: null,
    federatedToken: null,
    resource: 'localhost',
    script: null,
    set(name, value) {
      const known = secrets.get(name.toLowerCase());
      const secret = known ?? { name, versions: [], isEnabled: true, isDeleted: false };
      // To the second, as Azure says it; never two in one second, of which no reader could tell which is the current one.
      const updated = Math.max(Math.floor(Date.now() / 1000), (secret.versions.at(-1)?.updated ?? 0) + 1);
      secret.versions.push({ id: randomBytes(16).toString('hex'), value, updated });
      secrets.set(name.toLowerCase(), secret);
    },
    softDelete(name) {
      must(name).isDeleted = true;
    },
    purge(name) {
      secrets.delete(name.toLowerCase());
    },
    disable(name) {
      must(name).isEnabled = false;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return double;
}

function idOf(url: URL, { name }: Secret): string {
  return `${url.origin}/secrets/${name}`;
}

function bundle(url: URL, secret: Secret): { readonly id: string; readonly attributes: object } {
  return { id: idOf(url, secret), attributes: { enabled: secret.isEnabled, updated: secret.versions.at(-1)?.updated } };
}

function failure(status: number, code: string, inner?: string): AzureAnswer {
  const message = 'The message of Azure names the vault and the caller.';
  return {
    status,
    body: { error: { code, message, ...(inner === undefined ? {} : { innererror: { code: inner } }) } },
  };
}

function send(response: ServerResponse, { status, headers = {}, body }: AzureAnswer): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}
