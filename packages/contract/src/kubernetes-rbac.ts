/** Verbs that the server needs for Secrets: it knows their names, so that it needs no list. */
export const kubernetesServerVerbs = ['create', 'get', 'update', 'delete'] as const;
/** Of these, what the layout `scope-objects` needs: its objects stay when their last key goes. */
export const kubernetesScopeObjectVerbs = ['create', 'get', 'update'] as const;
/** Verbs that a workload needs which reads Secrets by itself. */
export const kubernetesRuntimeVerbs = ['get'] as const;

export interface KubernetesRbacOptions {
  /** Where the server and the workloads run. */
  readonly namespace: string;
  /** Where the Secrets are. */
  readonly secretsNamespace: string;
  /** What the names of the objects begin with. */
  readonly name: string;
  /**
   * Names of the Secrets, where they are known beforehand: in the layout `scope-objects`. Then nothing else in the namespace can
   * be read or changed; without it all of it.
   */
  readonly secrets?: { readonly server: readonly string[]; readonly runtime: readonly string[] };
}

export interface KubernetesManifest {
  readonly apiVersion: string;
  readonly kind: 'ServiceAccount' | 'Role' | 'RoleBinding' | 'ClusterRole' | 'ClusterRoleBinding';
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}

/**
 * The least that the store in Kubernetes needs, for the server and for workloads: a ServiceAccount, a Role and its RoleBinding
 * each (https://kubernetes.io/docs/reference/access-authn-authz/rbac/).
 */
export function kubernetesRbac(options: KubernetesRbacOptions): readonly KubernetesManifest[] {
  const { secrets } = options;
  // Whoever creates an object can't be held to its name: the cluster decides before it knows it.
  const named = kubernetesScopeObjectVerbs.filter((verb) => verb !== 'create');
  const server: readonly Rule[] =
    secrets === undefined
      ? [{ verbs: kubernetesServerVerbs }]
      : [{ verbs: ['create'] }, { verbs: named, resourceNames: secrets.server }];
  const runtime: readonly Rule[] =
    secrets === undefined
      ? [{ verbs: kubernetesRuntimeVerbs }]
      : [{ verbs: kubernetesRuntimeVerbs, resourceNames: secrets.runtime }];
  return [
    ...account('server', server, options),
    ...(secrets?.runtime.length === 0 ? [] : account('runtime', runtime, options)),
  ];
}

/**
 * Verbs that the Kubernetes runner needs in each namespace where it runs jobs. It reads no Secret, not even its own; but who may
 * create pods in a namespace can have every Secret there.
 */
export const kubernetesRunnerRules = [
  { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['create', 'get', 'list', 'watch', 'delete'] },
  { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
  { apiGroups: ['batch'], resources: ['jobs'], verbs: ['create', 'get', 'watch', 'delete'] },
  {
    apiGroups: ['sparkoperator.k8s.io'],
    resources: ['sparkapplications'],
    verbs: ['create', 'get', 'watch', 'delete'],
  },
] as const;

export interface KubernetesRunnerOptions {
  /** Where the server's ServiceAccount is. */
  readonly namespace: string;
  /** What the names of the objects begin with. */
  readonly name: string;
  /** Where it runs jobs: namespaces that belong to domains. */
  readonly runnerNamespaces: readonly string[];
}

/** The least that the Kubernetes runner needs in one cluster, and that a cluster needs to be registered. */
export function kubernetesRunnerRbac({
  namespace,
  name,
  runnerNamespaces,
}: KubernetesRunnerOptions): readonly KubernetesManifest[] {
  const subject = { kind: 'ServiceAccount', name: `${name}-server`, namespace };
  const identity = `${name}-cluster`;
  const role = `${name}-runner`;
  const uid = { apiGroups: [''], resources: ['namespaces'], resourceNames: ['kube-system'], verbs: ['get'] };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: subject.name, namespace } },
    { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata: { name: identity }, rules: [uid] },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: identity },
      subjects: [subject],
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: identity },
    },
    ...runnerNamespaces.flatMap((runs): KubernetesManifest[] => [
      {
        apiVersion: `${rbac}/v1`,
        kind: 'Role',
        metadata: { name: role, namespace: runs },
        rules: kubernetesRunnerRules,
      },
      {
        apiVersion: `${rbac}/v1`,
        kind: 'RoleBinding',
        metadata: { name: role, namespace: runs },
        subjects: [subject],
        roleRef: { apiGroup: rbac, kind: 'Role', name: role },
      },
    ]),
  ];
}

const rbac = 'rbac.authorization.k8s.io';

interface Rule {
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

function account(
  who: string,
  rules: readonly Rule[],
  { namespace, secretsNamespace, name }: KubernetesRbacOptions,
): KubernetesManifest[] {
  const own = `${name}-${who}`;
  const role = `${own}-secrets`;
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: own, namespace } },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'Role',
      metadata: { name: role, namespace: secretsNamespace },
      rules: rules.map((rule) => ({ apiGroups: [''], resources: ['secrets'], ...rule })),
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata: { name: role, namespace: secretsNamespace },
      subjects: [{ kind: 'ServiceAccount', name: own, namespace }],
      roleRef: { apiGroup: rbac, kind: 'Role', name: role },
    },
  ];
}
