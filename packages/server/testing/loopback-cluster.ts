import { randomUUID } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { loopbackCertificate } from './certificate.ts';

/**
 * The few routes of Kubernetes that a registered cluster is asked (who it is, its issuer, reviews of tokens), over TLS on
 * loopback. It is no cluster: tests of what a cluster decides run against a real API server.
 */
export interface LoopbackCluster {
  readonly url: string;
  /** PEM. */
  readonly caCertificate: string;
  /** The bearer token that it takes. */
  readonly token: string;
  issuer: string;
  /** Of its namespace kube-system; another one: another cluster answers at its address. */
  uid: string;
  mayReview: boolean;
  /** Tokens that it knows → what it says of them, `status.user`. */
  readonly tokens: Map<string, { readonly audiences: readonly string[]; readonly user: object }>;
  /** Method and path of each request, in order. */
  readonly requests: string[];
  /** Answered in place of anything else. */
  trouble: { readonly status: number; readonly body: unknown } | null;
  /** What a way to it with a token names; `secret` holds {@link token}. */
  access(secret: string): object;
  /** With its address, authority and token in it. */
  kubeconfig(): string;
  close(): Promise<void>;
}

/** @param isAlwaysAnother says another uid each time it is asked: it can be registered any number of times */
export async function openLoopbackCluster({ isAlwaysAnother = false } = {}): Promise<LoopbackCluster> {
  const { key, certificate } = loopbackCertificate();
  const cluster = {
    token: `loopback-${randomUUID()}`,
    issuer: 'https://kubernetes.default.svc',
    uid: randomUUID(),
    mayReview: true,
    tokens: new Map<string, { readonly audiences: readonly string[]; readonly user: object }>(),
    requests: [] as string[],
    trouble: null as LoopbackCluster['trouble'],
  };
  const server = createServer({ key, cert: certificate }, (request, response) => {
    const { method = '', url = '' } = request;
    cluster.requests.push(`${method} ${url}`);
    if (isAlwaysAnother) cluster.uid = randomUUID();
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const isKnown = request.headers.authorization === `Bearer ${cluster.token}`;
      const { status, body } =
        cluster.trouble ??
        (isKnown ? answer(cluster, method, url, Buffer.concat(chunks).toString()) : statusOf(401, 'Unauthorized'));
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A test that forgets it ends all the same.
  server.unref();
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(cluster, {
    url,
    caCertificate: certificate,
    access: (secret: string) => ({ kind: 'token', address: url, caCertificate: certificate, secret }),
    kubeconfig: () => kubeconfigOf(url, certificate, cluster.token),
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  });
}

type Facts = Pick<LoopbackCluster, 'issuer' | 'uid' | 'mayReview' | 'tokens'>;
interface Said {
  readonly status: number;
  readonly body: unknown;
}

function answer(cluster: Facts, method: string, url: string, sent: string): Said {
  switch (`${method} ${url}`) {
    case 'GET /api/v1/namespaces/kube-system':
      return { status: 200, body: { kind: 'Namespace', metadata: { name: 'kube-system', uid: cluster.uid } } };
    case 'GET /.well-known/openid-configuration':
      return { status: 200, body: { issuer: cluster.issuer } };
    case 'POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews':
      return { status: 201, body: { kind: 'SelfSubjectAccessReview', status: { allowed: cluster.mayReview } } };
    case 'POST /apis/authentication.k8s.io/v1/tokenreviews':
      return review(cluster, sent);
    default:
      return statusOf(404, 'NotFound');
  }
}

function review(cluster: Facts, sent: string): Said {
  if (!cluster.mayReview) return statusOf(403, 'Forbidden');
  const { spec } = JSON.parse(sent) as { spec: { token: string; audiences: string[] } };
  const known = cluster.tokens.get(spec.token);
  const audiences = known?.audiences.filter((each) => spec.audiences.includes(each)) ?? [];
  const status =
    known === undefined || audiences.length === 0
      ? { error: `invalid bearer token ${spec.token}` }
      : { authenticated: true, audiences, user: known.user };
  return { status: 201, body: { kind: 'TokenReview', status } };
}

function statusOf(status: number, reason: string): Said {
  return { status, body: { kind: 'Status', status: 'Failure', reason, code: status } };
}

/** JSON is YAML. */
function kubeconfigOf(server: string, certificate: string, token: string): string {
  const authority = Buffer.from(certificate).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'it', cluster: { server, 'certificate-authority-data': authority } }],
    users: [{ name: 'it', user: { token } }],
    contexts: [{ name: 'it', context: { cluster: 'it', user: 'it' } }],
    'current-context': 'it',
  });
}
