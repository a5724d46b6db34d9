import { type NotNull, sql } from 'kysely';
import type { QueryContext } from '../store/store.ts';

export interface RetiredVersion {
  readonly scope_id: string;
  readonly secret_id: string;
  readonly epoch: number;
  readonly version: number;
  readonly term_id: string;
  readonly envelope: Uint8Array;
}

export interface VersionPlace {
  readonly secretId: string;
  readonly epoch: number;
  readonly version: number;
}

/** Versions whose value is still sealed under a retired term, in the order of their place, from behind `after` on. */
async function retiredVersions(
  context: QueryContext,
  args: { readonly limit: number; readonly after?: VersionPlace },
): Promise<RetiredVersion[]> {
  const { limit, after } = args;
  let query = context.db
    .selectFrom('key_terms')
    .innerJoin('secret_versions', 'secret_versions.term_id', 'key_terms.id')
    .innerJoin('secrets', 'secrets.id', 'secret_versions.secret_id')
    .select([
      'secrets.scope_id',
      'secret_versions.secret_id',
      'secret_versions.epoch',
      'secret_versions.version',
      'secret_versions.term_id',
      'secret_versions.envelope',
    ])
    .where('key_terms.purpose', '=', 'value')
    .where('key_terms.state', '=', 'retired')
    // What has a term has an envelope.
    .$narrowType<{ term_id: NotNull; envelope: NotNull }>()
    .orderBy('secret_versions.secret_id')
    .orderBy('secret_versions.epoch')
    .orderBy('secret_versions.version')
    .limit(limit);
  if (after !== undefined) {
    query = query.where(
      sql<boolean>`(secret_versions.secret_id, secret_versions.epoch, secret_versions.version) > (${after.secretId}, ${after.epoch}, ${after.version})`,
    );
  }
  return query.execute();
}

/** A sealed credential of an integration under a retired term. */
export interface RetiredCredential {
  readonly scope_id: string;
  readonly source_id: string;
  readonly name: string;
  readonly epoch: number;
  readonly version: number;
  readonly bound_to: string;
  readonly term_id: string;
  readonly envelope: Uint8Array;
}

/** Credentials of integrations that are still sealed under a retired term, from behind `after` on. */
async function retiredCredentials(
  context: QueryContext,
  args: { readonly limit: number; readonly after?: { readonly sourceId: string; readonly name: string } },
): Promise<RetiredCredential[]> {
  const { limit, after } = args;
  let query = context.db
    .selectFrom('key_terms')
    .innerJoin('integration_credentials', 'integration_credentials.term_id', 'key_terms.id')
    .innerJoin('integrations', 'integrations.id', 'integration_credentials.source_id')
    .selectAll('integration_credentials')
    .select('integrations.scope_id')
    .where('key_terms.purpose', '=', 'value')
    .where('key_terms.state', '=', 'retired')
    .orderBy('integration_credentials.source_id')
    .orderBy('integration_credentials.name')
    .limit(limit);
  if (after !== undefined) {
    query = query.where(
      sql<boolean>`(integration_credentials.source_id, integration_credentials.name) > (${after.sourceId}, ${after.name})`,
    );
  }
  return query.execute();
}

export interface TermSummary {
  readonly scope_id: string;
  readonly purpose: string;
  readonly state: string;
  readonly terms: number;
  readonly uses: number;
}

async function summary(context: QueryContext): Promise<TermSummary[]> {
  return context.db
    .selectFrom('key_terms')
    .select((column) => [
      'scope_id',
      'purpose',
      'state',
      column.fn.countAll<number>().as('terms'),
      column.fn.sum<number>('uses').as('uses'),
    ])
    .groupBy(['scope_id', 'purpose', 'state'])
    .orderBy('scope_id')
    .execute();
}

/** How many values and credentials wait to be sealed anew. */
async function retiredCount(context: QueryContext): Promise<number> {
  const terms = context.db
    .selectFrom('key_terms')
    .select('id')
    .where('purpose', '=', 'value')
    .where('state', '=', 'retired');
  const count = (table: 'secret_versions' | 'integration_credentials') =>
    context.db
      .selectFrom(table)
      .select((column) => column.fn.countAll<number>().as('count'))
      .where('term_id', 'in', terms)
      .executeTakeFirstOrThrow();
  const [versions, credentials] = [await count('secret_versions'), await count('integration_credentials')];
  return versions.count + credentials.count;
}

export const keyQueries = {
  'keys.retiredVersions': retiredVersions,
  'keys.retiredCredentials': retiredCredentials,
  'keys.summary': summary,
  'keys.retiredCount': retiredCount,
};
