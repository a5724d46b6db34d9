import { X509Certificate } from 'node:crypto';
import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import type { Egress } from '../egress/index.ts';
import { own } from '../vault/json.ts';
import type { ApiAnswer, ApiConnection } from './api.ts';
import { shareConnection } from './connections.ts';
import { malformed, statusError } from './statuses.ts';
import { openTypedCluster, readTypedKubeconfig } from './typed-kubeconfig.ts';

/** How to reach a cluster and as whom. */
export type ClusterWay =
  | { readonly kind: 'kubeconfig'; readonly kubeconfig: SecretValue }
  | {
      readonly kind: 'token';
      /** `https://HOST:PORT`; goes through the egress guard. */
      readonly address: string;
      /** PEM. */
      readonly caCertificate?: string;
      readonly token: SecretValue;
    }
  /** The ServiceAccount of this pod. */
  | { readonly kind: 'in-cluster' };

const clusterHint =
  'Its ServiceAccount needs get on the namespace kube-system and create on tokenreviews; docs/guides/workload-identity.md has the roles.';

/**
 * A connection to a cluster. Nothing is asked yet. It has copies of what `way` holds; `close` destroys them.
 *
 * @throws StrongroomError `validation_failed` for a kubeconfig, a token or an authority that can't be used, `egress_denied`
 * for the address; neither quotes them
 */
export function connectCluster(way: ClusterWay, egress: Egress, now: () => number): ApiConnection {
  if (way.kind === 'in-cluster') {
    const { connection, release } = shareConnection({ inCluster: true, kubeconfigPath: '' }, now);
    return {
      verifiesTls: true,
      send: (request, signal) => connection.send(request, signal),
      stream: (path, limits, signal) => connection.stream(path, limits, signal),
      close: release,
    };
  }
  if (way.kind === 'kubeconfig') return openTypedCluster(readTypedKubeconfig(way.kubeconfig.revealText()), egress);
  const token = way.token.revealText();
  if (!/^[!-~]{1,16384}$/.test(token))
    throw new StrongroomError('validation_failed', {
      detail: 'The secret that the cluster names does not hold a token: visible ASCII without blanks.',
    });
  return openTypedCluster(
    {
      server: way.address,
      caCertificate: way.caCertificate,
      token: SecretValue.fromText(token),
      namespace: undefined,
    },
    egress,
  );
}

/** Whether a text is a PEM certificate. */
export function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).fingerprint256 !== '';
  } catch {
    return false;
  }
}

/** What a cluster is, whatever its address: the uid of its namespace `kube-system`, which is never made anew. */
export async function readClusterUid(connection: ApiConnection, signal: AbortSignal): Promise<string> {
  const about = 'asking which cluster it is';
  const answer = await connection.send({ method: 'GET', path: '/api/v1/namespaces/kube-system' }, signal);
  if (answer.status !== 200) throw answer.status === 404 ? malformed(about) : refusal(answer, about);
  const uid = own(own(answer.body, 'metadata'), 'uid');
  if (own(answer.body, 'kind') !== 'Namespace' || !isPlain(uid, 128)) throw malformed(about);
  return uid;
}

/**
 * `iss` of the tokens of its ServiceAccounts, as the cluster says it
 * (https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery);
 * `null` when it does not tell us.
 */
export async function readClusterIssuer(connection: ApiConnection, signal: AbortSignal): Promise<string | null> {
  const about = 'asking for the issuer of its tokens';
  const answer = await connection.send({ method: 'GET', path: '/.well-known/openid-configuration' }, signal);
  if (answer.status === 403 || answer.status === 404) return null;
  if (answer.status !== 200) throw refusal(answer, about);
  const issuer = own(answer.body, 'issuer');
  if (!isPlain(issuer, 2048)) throw malformed(about);
  return issuer;
}

/** Whether we may have tokens checked; `null` when the cluster doesn't say. */
export async function mayReviewTokens(connection: ApiConnection, signal: AbortSignal): Promise<boolean | null> {
  const about = 'asking what is allowed';
  const answer = await post(
    connection,
    '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { group: 'authentication.k8s.io', resource: 'tokenreviews', verb: 'create' } },
    },
    signal,
  );
  if (answer.status === 403 || answer.status === 404) return null;
  if (answer.status !== 201) throw refusal(answer, about);
  const allowed = own(own(answer.body, 'status'), 'allowed');
  if (typeof allowed !== 'boolean') throw malformed(about);
  return allowed;
}

/** What a cluster says of a token that it knows. */
export interface ReviewedToken {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Of the ServiceAccount: another one of the same name, made later, has another uid. */
  readonly uid: string;
  /** The pod that the token is bound to; `null`: none. */
  readonly pod: { readonly name: string; readonly uid: string } | null;
}

/**
 * Has a cluster check a token of a ServiceAccount for one audience: signature, times, that the ServiceAccount and the pod it
 * is bound to are there with the same uids
 * (https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/).
 *
 * @returns `null` when the cluster does not take it, or it is for another audience, or nobody’s who is a ServiceAccount
 * @throws StrongroomError when the cluster could not be asked; says nothing of the token
 */
export async function reviewToken(
  connection: ApiConnection,
  token: string,
  audience: string,
  signal: AbortSignal,
): Promise<ReviewedToken | null> {
  const about = 'having a token checked';
  const answer = await post(
    connection,
    '/apis/authentication.k8s.io/v1/tokenreviews',
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [audience] },
    },
    signal,
  );
  if (answer.status !== 201) throw refusal(answer, about);
  const status = own(answer.body, 'status');
  if (own(answer.body, 'kind') !== 'TokenReview' || typeof status !== 'object' || status === null)
    throw malformed(about);
  if (own(status, 'authenticated') !== true) return null;
  // Without our audience in the answer the API server does not know audiences, and the token may be for itself.
  const audiences = own(status, 'audiences');
  if (!Array.isArray(audiences) || !audiences.includes(audience)) return null;
  return subjectOf(own(status, 'user'));
}

function subjectOf(user: unknown): ReviewedToken | null {
  const username = own(user, 'username');
  const uid = own(user, 'uid');
  const parts = typeof username === 'string' ? username.split(':') : [];
  const [system, kind, namespace = '', serviceAccount = ''] = parts;
  if (parts.length !== 4 || system !== 'system' || kind !== 'serviceaccount') return null;
  if (namespace === '' || serviceAccount === '' || !isPlain(uid, 128)) return null;
  const extra = own(user, 'extra');
  const name = single(own(extra, 'authentication.kubernetes.io/pod-name'));
  const podUid = single(own(extra, 'authentication.kubernetes.io/pod-uid'));
  const pod = name === undefined || podUid === undefined ? null : { name, uid: podUid };
  return { namespace, serviceAccount, uid, pod };
}

function single(values: unknown): string | undefined {
  const [value] = Array.isArray(values) && values.length === 1 ? (values as readonly unknown[]) : [];
  return isPlain(value, 253) ? value : undefined;
}

function isPlain(text: unknown, maxLength: number): text is string {
  return typeof text === 'string' && text.length <= maxLength && /^[!-~]+$/.test(text);
}

function post(connection: ApiConnection, path: string, body: object, signal: AbortSignal): Promise<ApiAnswer> {
  return connection.send({ method: 'POST', path, body: SecretValue.fromText(JSON.stringify(body)) }, signal);
}

function refusal(answer: ApiAnswer, about: string): StrongroomError {
  const error = statusError(answer, about);
  if (answer.status !== 403) return error;
  return new StrongroomError('backend_denied', { detail: error.message, hint: clusterHint });
}
