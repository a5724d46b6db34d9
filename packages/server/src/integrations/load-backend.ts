import { type IntegrationType, StrongroomError } from '@strongroom/contract';
import type { BackendDefinition } from '@strongroom/backends';

/** Loads the code of a kind of backend at its first use. */
export type LoadBackend = (type: string) => Promise<BackendDefinition<unknown>>;

/** @throws StrongroomError `not_supported` for a kind that this program has no code for */
export const loadBackend: LoadBackend = async (type) => {
  const { registry } = await import('@strongroom/backends/registry');
  const isKnown = (text: string): text is IntegrationType => Object.hasOwn(registry, text);
  if (isKnown(type)) return registry[type]();
  throw new StrongroomError('not_supported', { detail: `There are no integrations of the kind ${type}.` });
};
