import { type ErrorCode, formatReference, type Reference, StrongroomError } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import type { ScopeRef } from '../access/types.ts';
import type { Store } from '../store/store.ts';
import { type Failure, referenceError } from './outcomes.ts';
import type { LaunchSubject, Resolver, ResolveRequest } from './resolve.ts';
import { type AuthorisedWanted, wantedId } from './wanted.ts';

/** A reference that the product itself holds for its own use, beside configurations: of a cluster, of notices. */
export interface PlatformReference {
  /** What people call it in an error. */
  readonly name: string;
  /** RFC 6901, into what they sent. */
  readonly pointer: string;
  readonly reference: Reference;
  /** The source that was saved with it; `null`: any of that name. */
  readonly sourceId: string | null;
  /** Whose USE it takes. */
  readonly authorisedBy: string;
}

export interface PlatformUsing {
  readonly verb: ResolveRequest['verb'];
  /** Where the references are. */
  readonly scope: ScopeRef;
  /** On whose behalf: who tries it, or the server itself. */
  readonly subject: LaunchSubject;
  readonly signal: AbortSignal;
}

/**
 * Resolves references of the platform by the launch's own steps, recorded before they are used, and hands `use` the values in
 * their order: all of them or none. They are destroyed when `use` has ended.
 * @throws StrongroomError of the first that can't be resolved, naming it; `audit_unavailable`
 */
export async function withPlatformValues<Result>(
  { store, resolver }: { readonly store: Store; readonly resolver: Resolver },
  { verb, scope, subject, signal }: PlatformUsing,
  references: readonly PlatformReference[],
  use: (values: readonly SecretValue[]) => Result,
): Promise<Awaited<Result>> {
  const wanted = references.map(wantedOf);
  const resolution = await resolver.resolve({
    verb,
    domain: scope,
    subject,
    needs: [],
    wanted,
    readsAll: false,
    signal,
    commit: (release) =>
      store.execute('launches.record', undefined, {
        audit: release.audit,
        expectAuthorisationRevision: release.revision,
      }),
    refuse: (release) => store.execute('launches.record', undefined, { audit: release.audit }),
  });
  if (!resolution.ok) {
    const at = resolution.results.findIndex(({ outcome }) => outcome !== 'resolved' && outcome !== 'withheld');
    throw refusal(scope, wanted[Math.max(at, 0)], resolution.results[at]?.outcome ?? 'missing');
  }
  try {
    return await use(wanted.map((each) => resolution.values.get(wantedId(each))));
  } finally {
    resolution.values.destroy();
  }
}

function wantedOf({ name, pointer, reference, sourceId, authorisedBy }: PlatformReference): AuthorisedWanted {
  const text = formatReference(reference);
  return { name, pointer, reference, text, kind: 'reference', authorisers: [authorisedBy], sourceId };
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

function refusal(
  scope: ScopeRef,
  wanted: AuthorisedWanted | undefined,
  outcome: 'resolved' | Failure,
): StrongroomError {
  if (wanted === undefined) return new StrongroomError('reference_unresolved');
  const error = referenceError(outcome === 'resolved' ? 'missing' : outcome, { ...wanted, domain: scope.name });
  const code = error.code !== undefined && passedOn.has(error.code) ? error.code : 'reference_unresolved';
  return new StrongroomError(code, { detail: error.message, errors: [error] });
}
