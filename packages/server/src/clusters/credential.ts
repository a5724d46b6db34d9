import type { ClusterWay } from '@strongroom/backends/kubernetes';
import { withPlatformValues } from '../launches/platform-reference.ts';
import type { LaunchSubject, Resolver } from '../launches/resolve.ts';
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
 * Resolves the reference of a cluster, recorded before it is used, and hands `use` the way to the cluster. The value is
 * destroyed when `use` has ended.
 *
 * @param subject on whose behalf: the administrator who tries it, or the server itself
 * @throws StrongroomError of the reference, naming it; `audit_unavailable`
 */
export async function withCredential<Result>(
  parts: { readonly store: Store; readonly resolver: Resolver },
  { name, access, sourceId, authorisedBy }: ClusterCredential,
  subject: LaunchSubject,
  signal: AbortSignal,
  use: (way: ClusterWay) => Result,
): Promise<Awaited<Result>> {
  const reference = referenceOf(access);
  if (access.kind === 'in-cluster' || reference === null) return await use({ kind: 'in-cluster' });
  return withPlatformValues(
    parts,
    { verb: 'launch.resolve', scope: adminScope, subject, signal },
    [{ name: `cluster ${name}`, pointer: '/access/secret', reference, sourceId, authorisedBy }],
    ([value]) => {
      if (value === undefined) throw new TypeError('There is no value');
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
    },
  );
}
