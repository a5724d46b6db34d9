import { parseReference, StrongroomError } from '@strongroom/contract';
import type { ScopeRef } from '../access/types.ts';
import { referenceError } from '../launches/outcomes.ts';
import type { LaunchSubject, Resolver } from '../launches/resolve.ts';
import { type AuthorisedWanted, wantedId } from '../launches/wanted.ts';
import type { Store } from '../store/store.ts';
import type { NoticeSettingsRow } from './commands.ts';
import { signingKey } from './webhook.ts';

/** Where the signing secret is in the settings. */
export const signingPointer = '/webhook/signingSecret';

/**
 * Resolves the signing secret of a scope's webhook as a launch does, recorded before it is used, and hands its key to
 * `use`; it is gone when that has ended.
 * @throws StrongroomError `reference_unresolved`, `state_conflict`, `audit_unavailable`
 */
export async function withSigningKey<Result>(
  { store, resolver }: { readonly store: Store; readonly resolver: Resolver },
  scope: ScopeRef,
  settings: Pick<NoticeSettingsRow, 'signing_reference' | 'signing_source_id' | 'authorised_by'>,
  subject: LaunchSubject,
  signal: AbortSignal,
  use: (key: Uint8Array) => Promise<Result>,
): Promise<Result> {
  const wanted = wantedOf(settings);
  const resolution = await resolver.resolve({
    verb: 'surface.use',
    domain: scope,
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
  if (!resolution.ok) {
    const outcome = resolution.results[0]?.outcome ?? 'missing';
    const error = referenceError(outcome === 'resolved' ? 'missing' : outcome, { ...wanted, domain: scope.name });
    throw new StrongroomError('reference_unresolved', { detail: error.message, errors: [error] });
  }
  let key: Uint8Array;
  try {
    key = signingKey(resolution.values.get(wantedId(wanted)));
  } finally {
    resolution.values.destroy();
  }
  try {
    return await use(key);
  } finally {
    key.fill(0);
  }
}

function wantedOf({
  signing_reference,
  signing_source_id,
  authorised_by,
}: Pick<NoticeSettingsRow, 'signing_reference' | 'signing_source_id' | 'authorised_by'>): AuthorisedWanted {
  const text = signing_reference ?? '';
  return {
    name: 'signing secret',
    pointer: signingPointer,
    reference: parseReference(text),
    text,
    kind: 'reference',
    authorisers: [authorised_by],
    sourceId: signing_source_id,
  };
}
