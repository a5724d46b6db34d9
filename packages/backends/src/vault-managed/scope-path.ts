import { isPath, parseVaultPath, StrongroomError } from '@strongroom/contract/core';

export type ManagedScope =
  | { readonly kind: 'admin' }
  | { readonly kind: 'global' }
  | { readonly kind: 'domain'; readonly name: string };

export interface ScopePath {
  readonly mount: string;
  /** The folder of the scope inside the mount; each secret in it is a key. */
  readonly folder: string;
}

/**
 * Where a scope's secrets are: `<prefix>/<KEY>` for Global, which is the legacy layout, `<prefix>-admin/<KEY>` and
 * `<prefix>-domain-<encoded>/<KEY>` beside it. No two scopes of one prefix have the same folder.
 *
 * @param path `/v1/MOUNT/data/PREFIX`
 * @throws StrongroomError `validation_failed` without a prefix
 */
export function scopePath(path: string, scope: ManagedScope): ScopePath {
  const { mount, path: prefix } = parseVaultPath(path);
  if (prefix === '')
    throw new StrongroomError('validation_failed', {
      detail: 'The managed store in Vault needs a path of its own: /v1/MOUNT/data/PREFIX.',
    });
  const folder = `${prefix}${suffixOf(scope)}`;
  if (!isPath(folder)) throw new StrongroomError('validation_failed', { detail: 'The prefix in Vault is too long.' });
  return { mount, folder };
}

function suffixOf(scope: ManagedScope): string {
  switch (scope.kind) {
    case 'global':
      return '';
    case 'admin':
      return '-admin';
    case 'domain':
      return `-domain-${encodeDomain(scope.name)}`;
  }
}

/**
 * A domain's name as a part of a path segment: lower-case letters, digits and hyphens as they are, every other byte of its
 * UTF-8 as `_` and two hexadecimal digits. Two names never have the same encoding.
 */
export function encodeDomain(name: string): string {
  if (!name.isWellFormed() || name === '')
    throw new StrongroomError('validation_failed', { detail: 'The name of the domain is not text.' });
  return [...Buffer.from(name, 'utf8')]
    .map((byte) => {
      const character = String.fromCodePoint(byte);
      return /[a-z0-9-]/.test(character) ? character : `_${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
}
