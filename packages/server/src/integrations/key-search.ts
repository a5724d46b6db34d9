import { sql, type SqlBool } from 'kysely';
import { likePattern, type TextSearches, trigramPhrase } from '../secrets/search.ts';

const columns = { id: 'integration_keys.document_id', foldedKey: 'integration_keys.folded_key' };

/** Over the keys of integrations. */
export const keySearches: TextSearches<number> = {
  sqlite: {
    candidates: (text, sourceId, limit) => sql<{ id: number }>`
      select k.document_id as id from integration_keys_trigrams t join integration_keys k on k.document_id = t.rowid
      where t.integration_keys_trigrams match ${trigramPhrase(text)} and k.source_id = ${sourceId} limit ${limit}`,
    contains: (text) => sql<SqlBool>`instr(integration_keys.folded_key, ${text}) > 0`,
    columns,
  },
  postgres: {
    candidates: (text, sourceId, limit) => sql<{ id: number }>`
      select k.document_id as id from integration_keys k
      where k.folded_key like ${likePattern(text)} and k.source_id = ${sourceId} limit ${limit}`,
    contains: (text) => sql<SqlBool>`strpos(integration_keys.folded_key, ${text}) > 0`,
    columns,
  },
};
