/** Verbs that the server needs for Secrets: it knows their names, so that it needs no list. */
export const kubernetesServerVerbs = ['create', 'get', 'update', 'delete'] as const;
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
  readonly kind: 'ServiceAccount' | 'Role' | 'RoleBinding';
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly [field: string]: unknown;
}

/**
 * The least that the store in Kubernetes needs, for the server and for workloads: a ServiceAccount, a Role and its RoleBinding
 * each (https://kubernetes.io/docs/reference/access-authn-authz/rbac/).
 */
export function kubernetesRbac(options: KubernetesRbacOptions): readonly KubernetesManifest[] {
  const { secrets } = options;
  // Whoever creates an object can't be held to its name: the cluster decides before it knows it.
  const named = kubernetesServerVerbs.filter((verb) => verb !== 'create');
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
  const rbac = 'rbac.authorization.k8s.io';
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
