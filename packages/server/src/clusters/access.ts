import { formatReference, parseReference, type Reference, StrongroomError } from '@strongroom/contract';
import type { ScopeRef } from '../access/types.ts';
import type { OpenEgress } from '../integrations/connection.ts';
import { adminScopeId } from '../store/ids.ts';
import { FieldProblems } from '../surfaces/definition.ts';
import { readReference, type SecretInput } from '../surfaces/reference-input.ts';

/** How the server signs in at a cluster, as somebody sends it. */
export type ClusterAccessInput =
  | { readonly kind: 'kubeconfig'; readonly secret: SecretInput }
  | { readonly kind: 'token'; readonly address: string; readonly caCertificate?: string; readonly secret: SecretInput }
  | { readonly kind: 'in-cluster' };

/** As it is stored and shown; references in their canonical form. */
export type ClusterAccess =
  | { readonly kind: 'kubeconfig'; readonly secret: string }
  | { readonly kind: 'token'; readonly address: string; readonly caCertificate?: string; readonly secret: string }
  | { readonly kind: 'in-cluster' };

/** Where the references of clusters are decided: like those of other things of the platform. */
export const adminScope: ScopeRef = { id: adminScopeId, kind: 'admin', name: 'admin' };

export interface AccessParts {
  readonly egress: OpenEgress;
  /** Whether the operator lets the server's own ServiceAccount be used. */
  readonly allowsInCluster: boolean;
}

/**
 * @throws StrongroomError `validation_failed` for a reference that isn't to a secret of the admin scope, a certificate that is
 * none, or an identity that the operator does not lend; `egress_denied` for the address
 */
export async function readAccess(input: ClusterAccessInput, parts: AccessParts): Promise<ClusterAccess> {
  const problems = new FieldProblems();
  if (input.kind === 'in-cluster') {
    if (!parts.allowsInCluster)
      problems.add('/access/kind', 'The operator does not lend the server’s own ServiceAccount: clusters.inCluster.');
    problems.refuse('cluster');
    return input;
  }
  const reference = readReference(input.secret, '/access/secret', problems, adminScope);
  if (reference !== undefined && reference.scope !== 'admin')
    problems.add('/access/secret', 'Use a secret of the admin scope: others can be used by domains.');
  if (input.kind === 'token' && input.caCertificate !== undefined) {
    const { isCertificate } = await import('@strongroom/backends/kubernetes');
    if (!isCertificate(input.caCertificate)) problems.add('/access/caCertificate', 'is no certificate in PEM');
  }
  problems.refuse('cluster');
  if (reference === undefined) throw new StrongroomError('validation_failed');
  const secret = formatReference(reference);
  if (input.kind === 'kubeconfig') return { kind: 'kubeconfig', secret };
  const { address, caCertificate } = input;
  (await parts.egress()).checkUrl(address, { schemes: ['https'] });
  return { kind: 'token', address, ...(caCertificate === undefined ? {} : { caCertificate }), secret };
}

export function storedAccess(json: string): ClusterAccess {
  return JSON.parse(json) as ClusterAccess;
}

/** The reference in it; `null` where the server is itself. */
export function referenceOf(access: ClusterAccess): Reference | null {
  return access.kind === 'in-cluster' ? null : parseReference(access.secret);
}
