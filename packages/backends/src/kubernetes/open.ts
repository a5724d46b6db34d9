import type { KubernetesStoreSettings } from '@strongroom/contract';
import { parseKubernetesTags } from '@strongroom/contract/core';
import type { BackendParts } from '../definition.ts';
import type { ManagedScope } from '../vault-managed/scope-path.ts';
import { KubernetesBackend } from './backend.ts';
import { shareConnection } from './connections.ts';
import type { Fingerprints } from './content.ts';
import { formatScope, identityOf, type ScopeObjectKind, scopeObjectName } from './names.ts';
import { detectNamespace } from './namespace.ts';
import { ObjectPerSecretLayout } from './object-per-secret.ts';
import { ScopeObjectLayout } from './scope-objects.ts';
import { SecretApi } from './secret-api.ts';

export interface ManagedKubernetesSettings extends KubernetesStoreSettings {
  readonly scope: ManagedScope;
  readonly fingerprints: Fingerprints;
  /**
   * `vault-credentials`: what the scope's integrations sign in with, in an object of its own in either layout. It is for the
   * server itself; no API reads it.
   */
  readonly purpose?: ScopeObjectKind;
}

/**
 * A scope's managed store. Reads neither the kubeconfig nor the cluster: what is wrong there is found by the first call.
 *
 * @throws StrongroomError `validation_failed` for tags, a namespace's file or a domain's name that can't be used
 */
export async function openManagedKubernetes(
  settings: ManagedKubernetesSettings,
  { now }: Pick<BackendParts, 'now'>,
): Promise<KubernetesBackend> {
  const { scope, fingerprints, purpose = 'secret-store', app = 'strongroom', name = 'strongroom' } = settings;
  const tags = parseKubernetesTags(settings.tags ?? []);
  const ownLabels = { app, 'managed-by': `${app}-secrets-manager` };
  const isScopeObject = settings.layout === 'scope-objects' || purpose !== 'secret-store';
  const objectName = isScopeObject ? scopeObjectName(name, purpose, scope) : '';
  const namespace = settings.namespace ?? (await detectNamespace());
  const { connection, release } = shareConnection(
    { inCluster: settings.inCluster ?? false, kubeconfigPath: settings.kubeconfigPath ?? '' },
    now,
  );
  const api = new SecretApi(connection, namespace);
  const parts = { api, fingerprints, ownLabels, tags };
  const layout = isScopeObject
    ? new ScopeObjectLayout({
        ...parts,
        objectName,
        scope,
        purpose,
        identity: `${purpose}/${name}/${formatScope(scope)}`,
      })
    : new ObjectPerSecretLayout({
        ...parts,
        naming: settings.naming ?? 'unique',
        identity: identityOf(settings, scope),
      });
  return new KubernetesBackend(api, layout, release);
}
