import { type ErrorCode, StrongroomError } from '@strongroom/contract';
import type { ClusterWay } from '@strongroom/backends/kubernetes';
import { formatReference, type Reference } from '@strongroom/contract';
import { type Failure, referenceError } from '../launches/outcomes.ts';
import type { LaunchSubject, Resolver } from '../launches/resolve.ts';
import { type AuthorisedWanted, wantedId } from '../launches/wanted.ts';
import type { Store } from '../store/store.ts';
import { adminScope, type ClusterAccess, referenceOf } from './access.ts';

/** What says how the server signs in at a cluster. */
export interface ClusterCredential {
  readonly name: string;
  readonly access: ClusterAccess;
  /** The source that was saved with the reference; `null`: any of that name. */
  readonly sourceId: string | null;
  /** Whose USE it takes. */
  readonly authorisedBy: string;
}

/**
 * Resolves the reference of a cluster by the launch's own steps, recorded before it is used, and hands `use` the way to the
 * cluster. The value is destroyed when `use` has returned.
 *
 * @param subject on whose behalf: the administrator who tries it, or the server itself
 * @throws StrongroomError of the reference, naming it; `audit_unavailable`
 */
export async function withCredential<Result>(
  { store, resolver }: { readonly store: Store; readonly resolver: Resolver },
  { name, access, sourceId, authorisedBy }: ClusterCredential,
  subject: LaunchSubject,
  signal: AbortSignal,
  use: (way: ClusterWay) => Result,
): Promise<Result> {
  const reference = referenceOf(access);
  if (access.kind === 'in-cluster' || reference === null) return use({ kind: 'in-cluster' });
  const wanted = wantedOf(name, reference, sourceId, authorisedBy);
  const resolution = await resolver.resolve({
    verb: 'launch.resolve',
    domain: adminScope,
    subject,
    needs: [],
    wanted: [wanted],
    readsAll: false,
    signal,
    commit: (release) =>
      store.execute('launches.record', undefined, {
        audit: release.audit,
        expectAuthorisationRevision: release.revision,
      }),
    refuse: (release) => store.execute('launches.record', undefined, { audit: release.audit }),
  });
  if (!resolution.ok) throw refusal(wanted, resolution.results[0]?.outcome ?? 'missing');
  try {
    const value = resolution.values.get(wantedId(wanted));
    return use(
      access.kind === 'kubeconfig'
        ? { kind: 'kubeconfig', kubeconfig: value }
        : {
            kind: 'token',
            address: access.address,
            ...(access.caCertificate === undefined ? {} : { caCertificate: access.caCertificate }),
            token: value,
          },
    );
  } finally {
    resolution.values.destroy();
  }
}

function wantedOf(name: string, reference: Reference, sourceId: string | null, authorisedBy: string): AuthorisedWanted {
  return {
    name: `cluster ${name}`,
    pointer: '/access/secret',
    reference,
    text: formatReference(reference),
    kind: 'reference',
    authorisers: [authorisedBy],
    sourceId,
  };
}

/** What a source that is away says stays what it says; the rest is about the reference. */
const passedOn: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'backend_unavailable',
  'backend_denied',
  'backend_sealed',
  'backend_throttled',
  'backend_malformed',
  'key_unavailable',
  'deadline_exceeded',
  'feature_disabled',
]);

function refusal(wanted: AuthorisedWanted, outcome: 'resolved' | Failure): StrongroomError {
  const error = referenceError(outcome === 'resolved' ? 'missing' : outcome, { ...wanted, domain: adminScope.name });
  const code = error.code !== undefined && passedOn.has(error.code) ? error.code : 'reference_unresolved';
  return new StrongroomError(code, { detail: error.message, errors: [error] });
}
