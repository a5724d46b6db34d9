import type { KubernetesStoreSettings } from '@strongroom/contract';
import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import { shareConnection } from './connections.ts';
import { detectNamespace } from './namespace.ts';
import { SecretApi } from './secret-api.ts';
import { malformed } from './statuses.ts';

/**
 * One key of one Secret that an operator named, for the server itself. The caller destroys it.
 *
 * @throws StrongroomError `key_unavailable` naming the Secret and the key when it isn't there; what the cluster says
 */
export async function readSecretKey(
  settings: Pick<KubernetesStoreSettings, 'namespace' | 'inCluster' | 'kubeconfigPath'>,
  { name, key }: { readonly name: string; readonly key: string },
  now: () => number,
  signal: AbortSignal,
): Promise<SecretValue> {
  const namespace = settings.namespace ?? (await detectNamespace());
  const { inCluster = false, kubeconfigPath = '' } = settings;
  const { connection, release } = shareConnection({ inCluster, kubeconfigPath }, now);
  try {
    const object = await new SecretApi(connection, namespace).get(name, signal);
    const data = object?.data ?? {};
    const base64 = Object.hasOwn(data, key) ? data[key] : undefined;
    if (base64 === undefined)
      throw new StrongroomError('key_unavailable', {
        detail: `The namespace ${namespace} has no Secret ${name}${object === null ? '' : ` with the key ${key}`}.`,
      });
    const bytes = Buffer.from(base64, 'base64');
    if (bytes.toString('base64') !== base64) throw malformed('the value is not in base64');
    const value = SecretValue.fromBytes(bytes);
    bytes.fill(0);
    return value;
  } finally {
    await release();
  }
}
