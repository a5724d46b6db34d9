import { StrongroomError } from '@strongroom/contract';
import type { BackendDefinition } from '@strongroom/backends';
import type { LoadBackend } from './opened-backends.ts';

/** Kinds of backends whose code this server has. */
const loaders: Readonly<Record<string, () => Promise<BackendDefinition<unknown>>>> = {};

/** @throws StrongroomError `not_supported` for a kind that this server has no code for */
export const loadBackend: LoadBackend = async (type) => {
  const load = loaders[type];
  if (load === undefined)
    throw new StrongroomError('not_supported', { detail: `This server can not connect to ${type}.` });
  return load();
};
