import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { loopbackCertificate } from '../../server/testing/certificate.ts';
import type { Vault } from '../../../servers/vault-server.ts';
import { must } from './live-vault.ts';

/** Signs tokens as an issuer does that Vault's JWT method knows by its public key. */
export class TokenIssuer {
  readonly #key: KeyObject;
  readonly publicKey: string;

  constructor() {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.#key = privateKey;
    this.publicKey = publicKey.export({ type: 'spki', format: 'pem' });
  }

  /** RFC 7519, RS256. */
  issue(claims: Readonly<Record<string, unknown>>): string {
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const now = Math.floor(Date.now() / 1000);
    const signed = `${part({ alg: 'RS256', typ: 'JWT' })}.${part({ iat: now, nbf: now - 5, exp: now + 600, ...claims })}`;
    return `${signed}.${createSign('RSA-SHA256').update(signed).sign(this.#key, 'base64url')}`;
  }
}

const serviceAccount = { namespace: 'data', name: 'strongroom', uid: 'b4a7c1d2-0000-4000-8000-000000000001' };

/** A ServiceAccount token with the claims that Kubernetes gives (KEP-1205). */
export function serviceAccountToken(issuer: TokenIssuer, audience: string): string {
  const { namespace, name, uid } = serviceAccount;
  return issuer.issue({
    iss: 'https://kubernetes.default.svc.cluster.local',
    aud: [audience],
    sub: `system:serviceaccount:${namespace}:${name}`,
    'kubernetes.io': { namespace, serviceaccount: { name, uid } },
  });
}

/** The one endpoint of a Kubernetes API server that Vault asks: `POST /apis/authentication.k8s.io/v1/tokenreviews`. */
export async function startTokenReviews(isGood: (token: string) => boolean): Promise<Server> {
  const server = createServer((request, response) => {
    void (async () => {
      const review = (await json(request)) as {
        readonly spec: { readonly token: string; readonly audiences?: string[] };
      };
      const { namespace, name, uid } = serviceAccount;
      const user = {
        username: `system:serviceaccount:${namespace}:${name}`,
        uid,
        groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
      };
      const status = isGood(review.spec.token)
        ? { authenticated: true, user, audiences: review.spec.audiences }
        : { authenticated: false, user: {} };
      response.writeHead(201, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ ...review, kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', status }));
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

export async function mountJwt(vault: Vault, issuer: TokenIssuer, policy: string): Promise<void> {
  await must(vault, 'POST', 'sys/auth/ci/jwt', { type: 'jwt' });
  await must(vault, 'POST', 'auth/ci/jwt/config', { jwt_validation_pubkeys: [issuer.publicKey] });
  await must(vault, 'POST', 'auth/ci/jwt/role/strongroom', {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_audiences: ['vault'],
    token_policies: [policy],
  });
}

export async function mountKubernetes(vault: Vault, reviews: Server, policy: string): Promise<void> {
  await must(vault, 'POST', 'sys/auth/kubernetes', { type: 'kubernetes' });
  await must(vault, 'POST', 'auth/kubernetes/config', {
    kubernetes_host: `http://127.0.0.1:${(reviews.address() as AddressInfo).port}`,
    kubernetes_ca_cert: loopbackCertificate().certificate,
    disable_local_ca_jwt: true,
    token_reviewer_jwt: 'reviewer',
  });
  await must(vault, 'POST', 'auth/kubernetes/role/strongroom', {
    bound_service_account_names: [serviceAccount.name],
    bound_service_account_namespaces: [serviceAccount.namespace],
    token_policies: [policy],
  });
}
