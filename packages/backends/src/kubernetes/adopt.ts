import { StrongroomError } from '@strongroom/contract/core';
import type { CallOptions } from '../backend.ts';
import type { BackendParts } from '../definition.ts';
import type { Adoption } from './backend.ts';
import { type ManagedKubernetesSettings, openManagedKubernetes } from './open.ts';

/**
 * Makes Secrets of an install before ours its own, for an operator: those of a scope, by the names that the settings give
 * them. Their values and everything else in them stay as they are.
 *
 * @param keys where each key has an object of its own
 * @throws StrongroomError as `KubernetesBackend.adopt`
 */
export async function adoptInKubernetes(
  settings: Omit<ManagedKubernetesSettings, 'fingerprints'>,
  parts: Pick<BackendParts, 'now'>,
  keys: readonly string[],
  options: CallOptions & { readonly isTrial: boolean },
): Promise<readonly Adoption[]> {
  const store = await openManagedKubernetes({ ...settings, fingerprints: { make: noValue, matches: noValue } }, parts);
  try {
    return await store.adopt(keys, options);
  } finally {
    await store.close();
  }
}

/** An adoption neither reads nor writes a value. */
function noValue(): Promise<never> {
  return Promise.reject(new StrongroomError('internal', { detail: 'An adoption has nothing to do with values.' }));
}
