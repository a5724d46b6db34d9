import { StrongroomError } from './errors.ts';

/** Of an object: a DNS subdomain (RFC 1123). */
const maxObjectNameLength = 253;

/** Whose object it is. */
export type ObjectScope =
  | { readonly kind: 'admin' }
  | { readonly kind: 'global' }
  | { readonly kind: 'domain'; readonly name: string };

/** What an object of a whole scope holds: `secret-store` its secrets, `vault-credentials` what its integrations sign in with. */
export type ScopeObjectKind = 'secret-store' | 'vault-credentials';

/**
 * The name of a scope's object: `<name>-secret-store` for Global, `-admin` and `-<domain>` behind it for the others. A domain
 * whose name is no label of DNS, or is `admin`, is `-domain.` and its name with every byte but digits and the letters a to y
 * as `z` and two hexadecimal digits: a dot is in no other name, so that two scopes never have one object.
 *
 * @throws StrongroomError `validation_failed` for a domain's name that is too long
 */
export function scopeObjectName(name: string, kind: ScopeObjectKind, scope: ObjectScope): string {
  const object = `${name}-${kind}${scopeSuffix(scope)}`;
  if (object.length <= maxObjectNameLength) return object;
  throw new StrongroomError('validation_failed', { detail: 'The domain’s name is too long for a name in Kubernetes.' });
}

function scopeSuffix(scope: ObjectScope): string {
  switch (scope.kind) {
    case 'global':
      return '';
    case 'admin':
      return '-admin';
    case 'domain':
      return `-${encodeDomain(scope.name)}`;
  }
}

function encodeDomain(name: string): string {
  if (/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(name) && name !== 'admin') return name;
  if (name === '' || !name.isWellFormed())
    throw new StrongroomError('validation_failed', { detail: 'The domain’s name is not text.' });
  const letters = [...new TextEncoder().encode(name)].map((byte) => {
    const character = String.fromCodePoint(byte);
    return /[a-y0-9]/.test(character) ? character : `z${byte.toString(16).padStart(2, '0')}`;
  });
  return `domain.${letters.join('')}`;
}
