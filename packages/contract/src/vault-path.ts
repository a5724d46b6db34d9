import { StrongroomError } from './errors.ts';
import { isPath, isPathSegment, pathSegmentsPattern } from './path-segments.ts';

/**
 * Where secrets are in Vault or OpenBao, as their API has it (KV version 2, `GET /v1/:mount/data/:path`): `/v1/secret/data`,
 * `/v1/secret/data/production`, `/v1/team/kv/data/app/db`. The first segment `data` after the first one ends the mount.
 */
export interface VaultPath {
  /** Of the secrets engine; one segment or more. */
  readonly mount: string;
  /** Inside the mount; `''` is all of it. */
  readonly path: string;
}

/** Characters of a path as it is typed. */
export const maxVaultPathLength = 1024;

/** A path that {@link parseVaultPath} takes, for schemas. */
export const vaultPathPattern = `^/v1/(?=[^/]+/(?:[^/]+/)*data(?:/|$))${pathSegmentsPattern}$`;

/** A mount or a namespace, for schemas: segments with `/` between them, and no `/` at either end. */
export const vaultSegmentsPattern = `^${pathSegmentsPattern}$`;

/** @throws StrongroomError `validation_failed`; the text is not repeated */
export function parseVaultPath(text: string): VaultPath {
  const segments = text.startsWith('/v1/') ? text.slice('/v1/'.length).split('/') : [];
  const data = segments.indexOf('data', 1);
  if (data === -1 || text.length > maxVaultPathLength || !segments.every(isPathSegment))
    throw new StrongroomError('validation_failed', {
      detail: 'The path in Vault is not valid.',
      hint: String.raw`Write /v1/MOUNT/data/PATH, without empty, dot or control segments, % or \ .`,
    });
  return { mount: segments.slice(0, data).join('/'), path: segments.slice(data + 1).join('/') };
}

export function formatVaultPath({ mount, path }: VaultPath): string {
  return path === '' ? `/v1/${mount}/data` : `/v1/${mount}/data/${path}`;
}

/**
 * The mount or the namespace itself, once it is sure that it holds nothing that climbs or that a header can't have.
 *
 * @throws StrongroomError `validation_failed`; the text is not repeated
 */
export function checkVaultSegments(text: string, what: 'mount' | 'namespace'): string {
  if (isPath(text) && text.length <= maxVaultPathLength && (what === 'mount' || /^[!-~]+$/.test(text))) return text;
  throw new StrongroomError('validation_failed', {
    detail: `The ${what} in Vault is not valid.`,
    hint: String.raw`Write segments with / between them, without empty, dot or control segments, % or \ .`,
  });
}
