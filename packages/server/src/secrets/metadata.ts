import { formatReference, isExactKey, type SecretMetadata, secretKeyPattern } from '@strongroom/contract';
import type { Static } from 'typebox';
import type { ActionAnswer } from '../access/refusal.ts';
import type { ScopeRef } from '../access/types.ts';
import type { ListedSecret, SecretRow } from './queries.ts';
import type { SeesUse } from './seen-uses.ts';
import type { UseRow } from './use-rows.ts';

export type SecretView = Static<typeof SecretMetadata>;

const dayMilliseconds = 86_400_000;
const secretKey = new RegExp(secretKeyPattern);

/** `epoch.n`, as receipts, drift and people write it. */
export function formatVersion(epoch: number, version: number): string {
  return `${epoch}.${version}`;
}

/** What may be shown of a secret. Nothing here is derived from its value, not even a length. */
export function secretView(
  scope: ScopeRef,
  row: ListedSecret,
  actions: readonly ActionAnswer[],
  now: number,
): SecretView {
  const view: { -readonly [Field in keyof SecretView]: SecretView[Field] } = {
    id: row.id,
    key: row.key,
    reference: formatReference({ scope: scope.kind, source: 'managed', key: row.key }),
    scope: scope.kind,
    source: 'managed',
    sourceType: row.source_type,
    shape: row.shape,
    description: row.description,
    folder: row.folder,
    tags: row.tags === '[]' ? [] : (JSON.parse(row.tags) as string[]),
    owner: row.owner,
    expiresAt: timeOrNull(row.expires_at),
    isExpired: row.expires_at !== null && row.expires_at <= now,
    rotateEveryDays: row.rotate_every_days,
    rotation: rotationState(row, now),
    destinations: row.destinations === null ? null : (JSON.parse(row.destinations) as SecretView['destinations']),
    version: formatVersion(row.current_epoch, row.current_version),
    usedBy: row.uses,
    rotatedAt: time(row.rotated_at),
    createdAt: time(row.created_at),
    createdBy: row.created_by,
    updatedAt: time(row.updated_at),
    updatedBy: row.updated_by,
    lastLaunchedAt: timeOrNull(row.last_launched_at),
    deletedAt: timeOrNull(row.deleted_at),
    purgeAfter: timeOrNull(row.purge_after),
    revision: row.revision,
    actions: [...actions],
  };
  // Added afterwards, not spread: an object of one shape is made three times as fast.
  if (scope.kind === 'domain') view.domain = scope.name;
  if (row.store_state !== null) view.storeState = row.store_state;
  if (row.is_unmarked === 1) view.isUnmarked = true;
  if (isExactKey(row.folded_key)) view.nameProblem = secretKey.test(row.key) ? 'clash' : 'odd';
  if (row.field_names !== null) view.fields = JSON.parse(row.field_names) as string[];
  return view;
}

/** When time alone changes what {@link secretView} says of a row, in milliseconds since 1970; Infinity: never. */
export function viewHoldsUntil(row: SecretRow, now: number): number {
  const dueAt = row.rotate_every_days === null ? Infinity : rotationDueAt(row.rotated_at, row.rotate_every_days) + 1;
  return Math.min(...[row.expires_at ?? Infinity, dueAt].filter((at) => at > now), Infinity);
}

export function rotationDueAt(rotatedAt: number, everyDays: number): number {
  return rotatedAt + everyDays * dayMilliseconds;
}

function rotationState(row: SecretRow, now: number): SecretView['rotation'] {
  if (row.rotate_every_days === null) return 'none';
  return rotationDueAt(row.rotated_at, row.rotate_every_days) < now ? 'due' : 'fresh';
}

export function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function timeOrNull(milliseconds: number | null): string | null {
  return milliseconds === null ? null : time(milliseconds);
}

/** One use, as people read it. A configuration that they may not see has no name, nor who put the reference there. */
export function useView(row: UseRow, sees: SeesUse) {
  const isSeen = sees(row);
  return {
    surface: row.surface,
    ...(isSeen ? { configuration: row.configuration } : {}),
    domain: row.domain,
    pointer: row.pointer,
    name: row.name,
    reference: row.reference,
    kind: row.kind,
    ...(isSeen ? { authorisedBy: row.authorised_by } : {}),
  };
}

/** Uses that one answer names as broken. */
export const maxBrokenUses = 200;

export interface BrokenUses {
  readonly brokenUses: ReturnType<typeof useView>[];
  /** Whether these are all. */
  readonly isComplete: boolean;
}

/** @param rows one more than an answer names where there are as many */
export function brokenUsesOf(rows: readonly UseRow[], sees: SeesUse): BrokenUses {
  const brokenUses = rows.slice(0, maxBrokenUses).map((row) => useView(row, sees));
  return { brokenUses, isComplete: rows.length <= maxBrokenUses };
}

/** A use in the words of a refusal; of what the caller may not see only its kind. */
export function useText({ surface, configuration, domain, name }: BrokenUses['brokenUses'][number]): string {
  if (configuration === undefined) return `${surface} that is not yours to see uses it as ${name}`;
  if (surface === 'notices') return `notices of ${configuration} uses it as ${name}`;
  // Of mail and directory there is one each, which is called like its kind.
  const by = surface === configuration ? surface : `${surface} ${configuration}`;
  return `${by} of ${domain === 'admin' ? 'the platform' : `domain ${domain}`} uses it as ${name}`;
}

/** Of brokenUses that there are none. */
export const noBrokenUses: BrokenUses = { brokenUses: [], isComplete: true };
