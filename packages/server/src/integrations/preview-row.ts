import type { ScopeRef } from '../access/types.ts';
import { type IntegrationChange, nothingKnown } from './commands.ts';
import type { ConnectionInput } from './connection.ts';
import type { CredentialSummary } from './credentials.ts';
import type { ListedIntegration } from './queries.ts';

export interface PreviewedIntegration {
  readonly id: string;
  readonly scope: ScopeRef;
  readonly input: ConnectionInput & {
    readonly name: string;
    readonly description?: string;
    readonly bundle?: string;
    readonly managedBy?: string;
  };
  readonly bundleId: string | null;
  readonly profile: { readonly id: string; readonly name: string } | null;
  /** Unix milliseconds. */
  readonly at: number;
  readonly by: string;
}

/** An integration as it would be read after it was made, with nothing written. */
export function previewRow({ id, scope, input, bundleId, profile, at, by }: PreviewedIntegration): ListedIntegration {
  return {
    id,
    scope_id: scope.id,
    name: input.name,
    folded_name: input.name.toLowerCase(),
    type: input.type,
    description: input.description ?? '',
    settings: JSON.stringify(input.settings),
    profile_id: profile?.id ?? null,
    profile_name: profile?.name ?? null,
    bundle_id: bundleId,
    bundle_name: bundleId === null ? null : (input.bundle ?? 'default'),
    is_for_all: 0,
    managed_by: input.managedBy ?? null,
    revision: 1,
    created_at: at,
    created_by: by,
    updated_at: at,
    updated_by: by,
    ...nothingKnown,
    index_generation: 0,
    index_from: 0,
    index_due_at: at,
    uses: 0,
  };
}

/** An integration as it would be read after a change, with nothing written. */
export function previewChange(
  row: ListedIntegration,
  change: Omit<IntegrationChange, 'credentials'>,
  told: { readonly profileName: string | null; readonly bundleName: string | null; readonly at: number },
): ListedIntegration {
  return {
    ...row,
    ...(change.isSetUpAnew ? nothingKnown : {}),
    description: change.description,
    settings: change.settings,
    profile_id: change.profileId,
    profile_name: told.profileName,
    bundle_id: change.bundleId,
    bundle_name: told.bundleName,
    revision: row.revision + 1,
    updated_at: told.at,
    updated_by: change.by,
  };
}

/** Credentials as they would be listed once these were typed; nothing of what was typed is in it. */
export function previewCredentials(
  kept: readonly CredentialSummary[],
  typed: readonly string[],
  { epoch, at, by }: { readonly epoch: number; readonly at: number; readonly by: string },
): readonly CredentialSummary[] {
  const made = typed.map((name) => {
    const before = kept.find((each) => each.name === name);
    return { name, epoch, version: (before?.version ?? 0) + 1, created_at: at, created_by: by };
  });
  return [...kept.filter(({ name }) => !typed.includes(name)), ...made].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
