import type { BackendDefinition } from '../definition.ts';
import { objectPerSecretCapabilities } from './object-per-secret.ts';
import { type ManagedKubernetesSettings, openManagedKubernetes } from './open.ts';
import { scopeObjectCapabilities } from './scope-objects.ts';

/** A scope's managed store in Kubernetes: Secrets in one of two layouts. */
export const definition: BackendDefinition<ManagedKubernetesSettings> = {
  type: 'kubernetes',
  title: 'Managed store in Kubernetes',
  capabilities: { ...objectPerSecretCapabilities, list: scopeObjectCapabilities.list },
  open: openManagedKubernetes,
};

export { openManagedKubernetes, type ManagedKubernetesSettings } from './open.ts';
export { adoptInKubernetes } from './adopt.ts';
export type { ApiAnswer, ApiConnection, ApiMethod, ApiRequest } from './api.ts';
export {
  type ClusterWay,
  connectCluster,
  isCertificate,
  mayReviewTokens,
  readClusterIssuer,
  readClusterUid,
  type ReviewedToken,
  reviewToken,
} from './cluster.ts';
export type { Adoption, KubernetesBackend } from './backend.ts';
export type { Fingerprints } from './content.ts';
export { detectNamespace } from './namespace.ts';
export { type FoundObject, NamespaceObjects, type ObjectKind, pods } from './objects.ts';
export { readSecretKey } from './read-key.ts';
export { openTypedCluster, readTypedKubeconfig, type TypedKubeconfig } from './typed-kubeconfig.ts';
