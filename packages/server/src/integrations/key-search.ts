import { type Expression, sql, type SqlBool } from 'kysely';

/** How a search in the index of keys becomes SQL; a trigram index finds nothing under three characters. */
export interface KeySearch {
  /** Ids of rows of the source whose key holds the text; at most `limit`, in no order. */
  candidates(text: string, sourceId: string, limit: number): Expression<{ document_id: number }>;
  /** Whether the key of the row at hand holds the text; for scanning in key order when candidates are many. */
  contains(text: string): Expression<SqlBool>;
}

const sqliteSearch: KeySearch = {
  candidates: (text, sourceId, limit) => sql<{ document_id: number }>`
    select k.document_id from integration_keys_trigrams t join integration_keys k on k.document_id = t.rowid
    where t.integration_keys_trigrams match ${`"${text.replaceAll('"', '""')}"`} and k.source_id = ${sourceId} limit ${limit}`,
  contains: (text) => sql<SqlBool>`instr(integration_keys.folded_key, ${text}) > 0`,
};

const postgresSearch: KeySearch = {
  candidates: (text, sourceId, limit) => sql<{ document_id: number }>`
    select k.document_id from integration_keys k
    where k.folded_key like ${`%${text.replace(/[\\%_]/g, (character) => `\\${character}`)}%`} and k.source_id = ${sourceId} limit ${limit}`,
  contains: (text) => sql<SqlBool>`strpos(integration_keys.folded_key, ${text}) > 0`,
};

export const keySearches: Readonly<Record<'sqlite' | 'postgres', KeySearch>> = {
  sqlite: sqliteSearch,
  postgres: postgresSearch,
};
