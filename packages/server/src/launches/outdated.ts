import { type Kysely, sql } from 'kysely';
import { adminScopeId, globalScopeId } from '../store/ids.ts';
import type { QueryContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';

export interface OutdatedFilter {
  /** The domain whose workloads are looked at; absent: all domains. */
  readonly scopeId?: string;
  /** Only what sources of this scope have; absent: all. */
  readonly targetScopeId?: string;
  readonly secretId?: string;
}

/** More launches than this are not found one by one: among so many the next page of a list is near. */
const maxFew = 1_000;
/** Clocks of replicas may differ by so much. */
const skewMilliseconds = 600_000;

/**
 * Launches that are not over and hold a version that is not the current one, or was of a secret that is no more; `null`: more
 * than a thousand. What it takes grows with what changed since the oldest of the launches began, not with how many there are.
 */
export async function outdatedLaunches(
  { db }: Pick<QueryContext, 'db'>,
  filter: OutdatedFilter,
): Promise<string[] | null> {
  const found = new Set<string>();
  for (const find of [ofSecrets, ofPurged, ofIntegrations]) {
    for (const id of await find(db, filter)) found.add(id);
    if (found.size > maxFew) return null;
  }
  return [...found];
}

/** By the secrets that changed. */
async function ofSecrets(db: Kysely<Tables>, filter: OutdatedFilter): Promise<string[]> {
  const since = filter.secretId === undefined ? (await oldestOpen(db, filter)) - skewMilliseconds : 0;
  const found: string[] = [];
  for (const outdated of outdatedConditions) {
    const rows = await changedSecrets(db, filter, since)
      .where(outdated)
      .limit(maxFew + 1)
      .execute();
    for (const row of rows) found.push(row.launch_id);
    if (found.length > maxFew) break;
  }
  return found;
}

const currentVersion = sql`cast(secrets.current_epoch as text) || '.' || cast(secrets.current_version as text)`;
/** One at a time, as each is a range of the index: «not equal» is none, and would look at all who have the current version. */
const outdatedConditions = [
  sql<boolean>`secrets.deleted_at is null and receipts.version < ${currentVersion}`,
  sql<boolean>`secrets.deleted_at is null and receipts.version > ${currentVersion}`,
  sql<boolean>`secrets.deleted_at is not null`,
];

/** With the receipts that are held of them. CROSS JOIN: SQLite begins with the secrets, whatever it knows of the tables' sizes. */
function changedSecrets(db: Kysely<Tables>, filter: OutdatedFilter, since: number) {
  let query = db
    .selectFrom('secrets')
    .crossJoin('receipts')
    .select('receipts.launch_id')
    .distinct()
    .whereRef('receipts.secret_id', '=', 'secrets.id')
    .where('receipts.held', '=', 1);
  if (filter.scopeId !== undefined) query = query.where('receipts.scope_id', '=', filter.scopeId);
  if (filter.secretId !== undefined) return query.where('secrets.id', '=', filter.secretId);
  const scopes = sourceScopes(filter);
  if (scopes !== null) query = query.where('secrets.scope_id', 'in', scopes);
  return query.where('secrets.updated_at', '>', since);
}

async function ofPurged(db: Kysely<Tables>, { scopeId, targetScopeId, secretId }: OutdatedFilter): Promise<string[]> {
  let query = db.selectFrom('receipts').select('launch_id').distinct().where('held', '=', 2);
  if (scopeId !== undefined) query = query.where('scope_id', '=', scopeId);
  if (secretId !== undefined) query = query.where('secret_id', '=', secretId);
  if (targetScopeId !== undefined)
    query = query.where('source_id', 'in', (column) =>
      column.selectFrom('sources').select('id').where('scope_id', '=', targetScopeId),
    );
  return launchIds(query.limit(maxFew + 1).execute());
}

/** By what backends said of the keys that are held. */
async function ofIntegrations(db: Kysely<Tables>, filter: OutdatedFilter): Promise<string[]> {
  if (filter.secretId !== undefined) return [];
  let query = db
    .selectFrom('source_versions')
    .crossJoin('receipts')
    .select('receipts.launch_id')
    .distinct()
    .whereRef('receipts.source_id', '=', 'source_versions.source_id')
    .whereRef('receipts.target_key', '=', 'source_versions.key')
    .where('receipts.held', '=', 1)
    .where('receipts.secret_id', 'is', null)
    .where((column) =>
      column.or([
        column('source_versions.is_absent', '=', 1),
        column('receipts.version', '!=', column.ref('source_versions.version')),
      ]),
    );
  if (filter.scopeId !== undefined) query = query.where('receipts.scope_id', '=', filter.scopeId);
  const scopes = sourceScopes(filter);
  if (scopes !== null)
    query = query.where('source_versions.source_id', 'in', (column) =>
      column.selectFrom('integrations').select('id').where('scope_id', 'in', scopes),
    );
  return launchIds(query.limit(maxFew + 1).execute());
}

/** Where what a domain's workloads hold can be; `null`: anywhere. */
function sourceScopes({ scopeId, targetScopeId }: OutdatedFilter): readonly string[] | null {
  if (targetScopeId !== undefined) return [targetScopeId];
  return scopeId === undefined ? null : [scopeId, globalScopeId, adminScopeId];
}

/** When the oldest launch began that is not over; in the future where there is none. */
async function oldestOpen(db: Kysely<Tables>, { scopeId }: OutdatedFilter): Promise<number> {
  let query = db.selectFrom('scopes').select((column) =>
    column
      .selectFrom('launches')
      .select((launches) => launches.fn.min('created_at').as('oldest'))
      .whereRef('launches.scope_id', '=', 'scopes.id')
      .where('launches.ended_at', 'is', null)
      .as('oldest'),
  );
  if (scopeId !== undefined) query = query.where('scopes.id', '=', scopeId);
  const rows = await query.execute();
  return Math.min(...rows.map(({ oldest }) => (oldest === null ? Number.MAX_SAFE_INTEGER : oldest)));
}

async function launchIds(rows: Promise<readonly { readonly launch_id: string }[]>): Promise<string[]> {
  return (await rows).map((row) => row.launch_id);
}
