import { Type, type Static } from 'typebox';
import { Closed } from '../route.ts';

/** `managed-by: <app>-secrets-manager` has to be a label's value, of at most 63 characters. */
const maxAppLength = 63 - '-secrets-manager'.length;

const settings = Closed({
  namespace: Type.Optional(
    Type.String({
      pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$',
      description:
        'Namespace of the Secrets; without it the one of the ServiceAccount that the server has as a pod, else default',
    }),
  ),
  kubeconfigPath: Type.Optional(
    Type.String({
      maxLength: 4096,
      default: '',
      description: 'File of the operator’s kubeconfig, for a server outside of the cluster; empty: ~/.kube/config',
    }),
  ),
  inCluster: Type.Optional(
    Type.Boolean({ default: false, description: 'Use the ServiceAccount that the server has as a pod' }),
  ),
  app: Type.Optional(
    Type.String({
      pattern: `^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,${maxAppLength - 2}}[A-Za-z0-9])?$`,
      default: 'strongroom',
      description: 'Label app of the Secrets; the label managed-by is APP-secrets-manager',
    }),
  ),
  name: Type.Optional(
    Type.String({
      pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$',
      default: 'strongroom',
      description:
        'Layout scope-objects: what the names of the Secrets begin with; iomete for those of an IOMETE install',
      examples: ['iomete'],
    }),
  ),
  layout: Type.Optional(
    Type.Enum(['object-per-secret', 'scope-objects'], {
      default: 'object-per-secret',
      description:
        'object-per-secret: a Secret for each key; scope-objects: one Secret for each scope, with all its keys',
    }),
  ),
  naming: Type.Optional(
    Type.Enum(['unique', 'openmetadata'], {
      default: 'unique',
      description:
        'Layout object-per-secret, names of the Secrets. unique: with a hash where the name alone would not tell two keys apart; openmetadata: as OpenMetadata documents them, a clash is refused',
    }),
  ),
  prefix: Type.Optional(
    Type.String({ pattern: '^[ -~]{0,63}$', default: '', description: 'Layout object-per-secret: begins every name' }),
  ),
  clusterName: Type.Optional(
    Type.String({
      pattern: '^(?=.*[A-Za-z0-9])[ -~]{1,63}$',
      default: 'strongroom',
      description: 'Layout object-per-secret: follows the prefix in every name',
      examples: ['openmetadata'],
    }),
  ),
  openMetadataDomain: Type.Optional(
    Type.String({
      pattern: '^[a-z0-9](?:[a-z0-9-]{0,51}[a-z0-9])?$',
      description:
        'Layout object-per-secret: the domain that stands for OpenMetadata. The names of its Secrets are without domain-NAME, so that its connections have those that OpenMetadata documents; to be set before the domain has secrets',
    }),
  ),
  tags: Type.Optional(
    Type.Array(Type.String({ maxLength: 400 }), {
      maxItems: 50,
      default: [],
      description: 'Labels besides our own, each key:value',
      examples: [['team:data', 'example.com/cost-center:42']],
    }),
  ),
});

/** Secrets of Kubernetes as a managed store: https://kubernetes.io/docs/concepts/configuration/secret/. */
export const kubernetesStore = { type: 'KUBERNETES', title: 'Kubernetes Secrets', settings } as const;

export type KubernetesStoreSettings = Static<typeof settings>;
