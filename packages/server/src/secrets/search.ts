import { type Expression, type ExpressionBuilder, sql, type SqlBool } from 'kysely';
import type { Tables } from '../store/tables.ts';

/**
 * How the words of a search become SQL. Both databases keep a trigram index over the same documents; a trigram index finds
 * nothing under three characters, so shorter texts search keys by prefix (see {@link shortestIndexedText}).
 */
export interface SecretSearch {
  /** Ids of secrets in the scope whose document holds the text; at most `limit`, in no order. */
  candidates(text: string, scopeId: string, limit: number): Expression<{ secret_id: string }>;
  /** Whether the document of the secret at hand holds the text; for scanning in key order when candidates are many. */
  contains(builder: ExpressionBuilder<Tables, 'secrets'>, text: string): Expression<SqlBool>;
}

export const shortestIndexedText = 3;

const sqliteSearch: SecretSearch = {
  candidates: (text, scopeId, limit) => sql<{ secret_id: string }>`
    select d.secret_id from secret_documents_trigrams t join secret_documents d on d.document_id = t.rowid
    where t.secret_documents_trigrams match ${`"${text.replaceAll('"', '""')}"`} and d.scope_id = ${scopeId} limit ${limit}`,
  contains: (_builder, text) => sql<SqlBool>`exists (
    select 1 from secret_documents d where d.secret_id = secrets.id and instr(d.text, ${text}) > 0)`,
};

const postgresSearch: SecretSearch = {
  candidates: (text, scopeId, limit) => sql<{ secret_id: string }>`
    select d.secret_id from secret_documents d
    where d.text like ${`%${escapeLike(text)}%`} and d.scope_id = ${scopeId} limit ${limit}`,
  contains: (_builder, text) => sql<SqlBool>`exists (
    select 1 from secret_documents d where d.secret_id = secrets.id and strpos(d.text, ${text}) > 0)`,
};

export const secretSearches: Readonly<Record<'sqlite' | 'postgres', SecretSearch>> = {
  sqlite: sqliteSearch,
  postgres: postgresSearch,
};

/** The smallest text above every text with this prefix, by code point; keys and prefixes are ASCII. */
export function prefixEnd(prefix: string): string {
  return `${prefix}\u{10ffff}`;
}

function escapeLike(text: string): string {
  return text.replace(/[\\%_]/g, (character) => `\\${character}`);
}
