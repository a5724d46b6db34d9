import { Type } from 'typebox';
import { FreeText, Id, Label, Time } from '../names.ts';
import { ActionsField, Closed, Page, pageQuery, route, wholePageQuery } from '../route.ts';
import { SecretInput } from '../surfaces/fields.ts';

const word = { minLength: 1, pattern: '^[!-~]+$' } as const;

/** Of Kubernetes: an RFC 1123 label. */
export const namespacePattern = '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$';
const Namespace = Type.String({ pattern: namespacePattern, description: 'Namespace of Kubernetes' });

const address = Type.String({ ...word, maxLength: 2048, description: 'Of the API server: https://HOST:PORT' });
const caCertificate = Type.String({
  minLength: 1,
  maxLength: 65_536,
  description: 'PEM of its certificate authority; without it those of the system',
});

const AccessInput = Type.Union(
  [
    Closed({
      kind: Type.Literal('kubeconfig'),
      secret: SecretInput,
    }),
    Closed({
      kind: Type.Literal('token'),
      address,
      caCertificate: Type.Optional(caCertificate),
      secret: SecretInput,
    }),
    Closed({ kind: Type.Literal('in-cluster') }),
  ],
  {
    description:
      'How the server signs in there. kubeconfig: a secret of the admin scope that holds one, with address, authority and token in it; token: a secret that holds a bearer token; in-cluster: the ServiceAccount of the server’s own pod, where the operator allows it (clusters.inCluster)',
  },
);

const shownSecret = Type.Optional(
  Type.String({ description: 'Reference, canonical; absent where the caller may not see the admin scope' }),
);

const Access = Type.Union([
  Closed({ kind: Type.Literal('kubeconfig'), secret: shownSecret }),
  Closed({
    kind: Type.Literal('token'),
    address: Type.String(),
    caCertificate: Type.Optional(Type.String()),
    secret: shownSecret,
  }),
  Closed({ kind: Type.Literal('in-cluster') }),
]);

const issuer = Type.String({
  ...word,
  maxLength: 2048,
  description: '`iss` of the tokens of its ServiceAccounts; without it what the cluster says of itself',
});
const audience = Type.String({
  ...word,
  maxLength: 253,
  description: '`aud` of the tokens that workloads send; no other cluster has the same',
});

const Cluster = Closed(
  {
    id: Id,
    name: Label,
    description: Type.String(),
    access: Access,
    uid: Type.String({ description: 'Of its namespace kube-system: what the cluster is, whatever its address' }),
    issuer: Type.String(),
    audience: Type.String(),
    targets: Type.Integer({ description: 'Namespaces of it that belong to a domain' }),
    revision: Type.Integer(),
    createdAt: Time,
    createdBy: Type.String(),
    updatedAt: Time,
    updatedBy: Type.String(),
    actions: ActionsField,
  },
  { description: 'A Kubernetes cluster that domains run workloads in' },
);

const Target = Closed(
  { cluster: Label, namespace: Type.String(), domain: Label, createdAt: Time, createdBy: Type.String() },
  { description: 'A namespace of a cluster, which belongs to one domain' },
);

/** A line for each step, in the order in which they depend on each other. */
const TestResult = Closed({
  ok: Type.Boolean(),
  lines: Type.Array(
    Closed({
      step: Type.Enum(['credential', 'reachable', 'identity', 'issuer', 'token-review']),
      outcome: Type.Enum(['ok', 'failed', 'skipped']),
      code: Type.Optional(Type.String({ description: 'A code of the error table: why it failed' })),
      message: Type.String(),
    }),
  ),
});

const onCluster = Closed({ cluster: Label });
export const onNamespace = Closed({ cluster: Label, namespace: Namespace });
const view = { kind: 'platform', action: 'cluster.view' } as const;
const manage = { kind: 'platform', action: 'cluster.manage' } as const;
const shared = { tag: 'clusters', feature: 'secretsV2' } as const;
/** What a cluster can answer where it is asked. */
const answers = [
  'egress_denied',
  'reference_unresolved',
  'backend_unavailable',
  'backend_denied',
  'backend_malformed',
  'backend_throttled',
  'deadline_exceeded',
  'state_conflict',
  'audit_unavailable',
] as const;

export const clusterRoutes = [
  route({
    id: 'createCluster',
    method: 'POST',
    path: '/v1/clusters',
    summary: 'Register a Kubernetes cluster; it is asked who it is',
    ...shared,
    access: manage,
    body: Closed({
      name: Label,
      description: Type.Optional(FreeText),
      access: AccessInput,
      issuer: Type.Optional(issuer),
      audience: Type.Optional(audience),
    }),
    status: 201,
    response: Cluster,
    idempotent: true,
    rateLimitPerMinute: 60,
    errors: ['already_exists', ...answers],
  }),
  route({
    id: 'listClusters',
    method: 'GET',
    path: '/v1/clusters',
    summary: 'List clusters by name',
    ...shared,
    access: view,
    query: Closed({ ...pageQuery }),
    status: 200,
    response: Page(Cluster),
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'showCluster',
    method: 'GET',
    path: '/v1/clusters/{cluster}',
    summary: 'Show a cluster',
    ...shared,
    access: view,
    params: onCluster,
    status: 200,
    response: Cluster,
  }),
  route({
    id: 'updateCluster',
    method: 'PATCH',
    path: '/v1/clusters/{cluster}',
    summary: 'Change a cluster; another way to it must lead to the same cluster',
    ...shared,
    access: manage,
    params: onCluster,
    body: Closed({
      description: Type.Optional(FreeText),
      access: Type.Optional(AccessInput),
      issuer: Type.Optional(issuer),
      audience: Type.Optional(audience),
    }),
    status: 200,
    response: Cluster,
    ifMatch: true,
    rateLimitPerMinute: 60,
    errors: ['already_exists', 'revision_mismatch', ...answers],
  }),
  route({
    id: 'deleteCluster',
    method: 'DELETE',
    path: '/v1/clusters/{cluster}',
    summary: 'Forget a cluster none of whose namespaces belongs to a domain; nothing in it is touched',
    ...shared,
    access: manage,
    params: onCluster,
    status: 204,
    ifMatch: true,
    errors: ['in_use', 'revision_mismatch'],
  }),
  route({
    id: 'testCluster',
    method: 'POST',
    path: '/v1/clusters/{cluster}/test',
    summary: 'Try the way to a cluster, who it is, and whether it checks tokens for us',
    ...shared,
    access: manage,
    params: onCluster,
    status: 200,
    response: TestResult,
    rateLimitPerMinute: 60,
    errors: ['audit_unavailable'],
  }),
  route({
    id: 'listClusterTargets',
    method: 'GET',
    path: '/v1/clusters/{cluster}/targets',
    summary: 'Namespaces of a cluster that belong to a domain, by namespace',
    ...shared,
    access: view,
    params: onCluster,
    query: Closed({ ...pageQuery }),
    status: 200,
    response: Page(Target),
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'putClusterTarget',
    method: 'PUT',
    path: '/v1/clusters/{cluster}/targets/{namespace}',
    summary: 'Give a namespace of a cluster to a domain, and to no other',
    ...shared,
    access: manage,
    params: onNamespace,
    body: Closed({ domain: Label }),
    status: 200,
    response: Target,
    errors: ['already_exists'],
  }),
  route({
    id: 'deleteClusterTarget',
    method: 'DELETE',
    path: '/v1/clusters/{cluster}/targets/{namespace}',
    summary: 'Take a namespace from its domain; what runs there goes on',
    ...shared,
    access: manage,
    params: onNamespace,
    status: 204,
    errors: ['in_use'],
  }),
  route({
    id: 'listDomainTargets',
    method: 'GET',
    path: '/v1/domains/{domain}/targets',
    summary: 'Clusters and namespaces that the domain’s workloads may run in',
    ...shared,
    access: { kind: 'scope', action: 'domain.view' },
    params: Closed({ domain: Label }),
    query: Closed(wholePageQuery),
    status: 200,
    response: Page(
      Closed({
        cluster: Label,
        namespace: Type.String(),
        audience: Type.String({ description: '`aud` of the tokens that its workloads send' }),
      }),
    ),
    errors: ['cursor_invalid'],
  }),
] as const;
