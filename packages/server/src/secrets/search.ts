import { type Expression, sql, type SqlBool } from 'kysely';
import type { QueryContext } from '../store/store.ts';

/**
 * How the words of a search become SQL, for one kind of rows. Both databases keep a trigram index over the same texts; a
 * trigram index finds nothing under three characters, so shorter texts search keys by prefix (see {@link searchCondition}).
 */
export interface TextSearch<Id extends string | number> {
  /** Ids of rows in the place whose text holds what is searched; at most `limit`, in no order. */
  candidates(text: string, place: string, limit: number): Expression<{ id: Id }>;
  /** Whether the text of the row at hand holds it; for scanning in key order when candidates are many. */
  contains(text: string): Expression<SqlBool>;
  /** Columns of the rows at hand, with their table. */
  readonly columns: { readonly id: string; readonly foldedKey: string };
}

export type TextSearches<Id extends string | number> = Readonly<Record<'sqlite' | 'postgres', TextSearch<Id>>>;

const shortestIndexedText = 3;
/** Above this many hits a search scans in key order instead: hits are dense then, and a page is found soon. */
const maxCandidates = 2000;

/**
 * What is true of the rows that a search finds; `null`: there are none.
 *
 * @param text folded, not empty
 * @param place the scope or the source of the rows
 */
export async function searchCondition<Id extends string | number>(
  { db, dialect }: QueryContext,
  searches: TextSearches<Id>,
  text: string,
  place: string,
): Promise<Expression<SqlBool> | null> {
  const search = searches[dialect];
  const id = sql.ref(search.columns.id);
  const foldedKey = sql.ref(search.columns.foldedKey);
  if (text.length < shortestIndexedText)
    return sql<SqlBool>`(${foldedKey} >= ${text} and ${foldedKey} < ${prefixEnd(text)})`;
  const { rows } = await sql<{ id: Id }>`${search.candidates(text, place, maxCandidates + 1)}`.execute(db);
  if (rows.length === 0) return null;
  return rows.length > maxCandidates
    ? search.contains(text)
    : sql<SqlBool>`${id} in (${sql.join(rows.map((row) => row.id))})`;
}

const secretColumns = { id: 'secrets.id', foldedKey: 'secrets.folded_key' };

/** Over key, folder, tags and description. */
export const secretSearches: TextSearches<string> = {
  sqlite: {
    candidates: (text, scopeId, limit) => sql<{ id: string }>`
      select d.secret_id as id from secret_documents_trigrams t join secret_documents d on d.document_id = t.rowid
      where t.secret_documents_trigrams match ${trigramPhrase(text)} and d.scope_id = ${scopeId} limit ${limit}`,
    contains: (text) => sql<SqlBool>`exists (
      select 1 from secret_documents d where d.secret_id = secrets.id and instr(d.text, ${text}) > 0)`,
    columns: secretColumns,
  },
  postgres: {
    candidates: (text, scopeId, limit) => sql<{ id: string }>`
      select d.secret_id as id from secret_documents d
      where d.text like ${likePattern(text)} and d.scope_id = ${scopeId} limit ${limit}`,
    contains: (text) => sql<SqlBool>`exists (
      select 1 from secret_documents d where d.secret_id = secrets.id and strpos(d.text, ${text}) > 0)`,
    columns: secretColumns,
  },
};

/** The smallest text above every text with this prefix, by code point; keys and prefixes are ASCII. */
export function prefixEnd(prefix: string): string {
  return `${prefix}\u{10ffff}`;
}

/** The text itself, in the language of SQLite's full-text search. */
export function trigramPhrase(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

/** What holds the text itself, for `like`. */
export function likePattern(text: string): string {
  return `%${text.replace(/[\\%_]/g, (character) => `\\${character}`)}%`;
}
