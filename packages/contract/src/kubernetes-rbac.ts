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
  return [...account('server', kubernetesServerVerbs, options), ...account('runtime', kubernetesRuntimeVerbs, options)];
}

function account(
  who: string,
  verbs: readonly string[],
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
      rules: [{ apiGroups: [''], resources: ['secrets'], verbs }],
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
