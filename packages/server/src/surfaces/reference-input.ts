import {
  formatReference,
  type Reference,
  referenceFromObject,
  type ReferenceObject,
  parseReference,
  reservedSourceName,
  StrongroomError,
} from '@strongroom/contract';
import type { ScopeRef } from '../access/types.ts';
import type { FieldProblems } from './definition.ts';

/** A reference as it may be sent: the object, or the URI text. */
export type SecretInput = ReferenceObject | string;

/** IOMETE's name for a secret: the key and where it is. */
export interface IometeSecret {
  readonly key: string;
  readonly secretObject: {
    readonly key: string;
    readonly source: { readonly type: 'KUBERNETES' | 'VAULT'; readonly id?: string };
  };
}

/** The reference, or `undefined` with the problem noted at `pointer`. */
export function readReference(
  input: SecretInput,
  pointer: string,
  problems: FieldProblems,
  scope: ScopeRef,
): Reference | undefined {
  try {
    const reference = typeof input === 'string' ? parseReference(input) : referenceFromObject(input);
    // Everybody else reads it from its text.
    if (typeof input !== 'string') parseReference(formatReference(reference));
    if (reference.scope === 'global' || reference.scope === scope.kind) return reference;
    problems.add(
      pointer,
      scope.kind === 'domain'
        ? 'Admin secrets are for platform surfaces (email, ldap); use a domain or Global secret.'
        : 'Secrets of a domain are for its own configurations; use an admin or Global secret.',
    );
    return undefined;
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    problems.add(pointer, error.message, { code: error.code });
    return undefined;
  }
}

/**
 * The reference that an IOMETE entry means. KUBERNETES is the managed store: of the caller's own domain (its name, its id,
 * or the object that IOMETE gave it), or Global's. VAULT is the domain's integration of that name. Another domain's id is
 * the same error as a made-up one.
 */
export function readIometeSecret(
  secret: IometeSecret['secretObject'],
  pointer: string,
  domain: ScopeRef,
  problems: FieldProblems,
): Reference | undefined {
  const { type, id } = secret.source;
  if (type === 'VAULT') {
    if (id === undefined || id === reservedSourceName) {
      problems.add(`${pointer}/source/id`, 'Name the Vault integration of this domain.');
      return undefined;
    }
    return readReference({ scope: 'domain', source: id, key: secret.key }, pointer, problems, domain);
  }
  const own = [undefined, domain.name, domain.id, `iomete-secret-store-${domain.name}`];
  if (own.includes(id)) return readReference({ scope: 'domain', key: secret.key }, pointer, problems, domain);
  if (id === 'global' || id === 'iomete-secret-store')
    return readReference({ scope: 'global', key: secret.key }, pointer, problems, domain);
  problems.add(`${pointer}/source/id`, 'The id is not that of this domain, nor of Global.');
  return undefined;
}
