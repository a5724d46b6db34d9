import { DatabaseSync } from 'node:sqlite';

/** As the wire has it. */
export interface StoredEntry {
  readonly shape: 'text' | 'binary' | 'fields';
  readonly valueBase64: string;
  readonly version: string;
  readonly updatedAt: number;
  readonly intentId?: string;
  readonly found?: { readonly isMarked: boolean };
}

export interface StoredExpectation {
  readonly kind: 'any' | 'absent' | 'version' | 'intent';
  readonly version?: string;
  readonly intentId?: string;
}

interface PutRequest {
  readonly key: string;
  readonly shape: StoredEntry['shape'];
  readonly valueBase64: string;
  readonly expect: StoredExpectation;
  readonly intentId: string | null;
}

type Row = Readonly<Record<string, string | number | Uint8Array | null>>;

export class StoreRefusal extends Error {
  override readonly name = 'StoreRefusal';
  readonly reason: 'conflict' | 'foreign' | 'full';

  constructor(reason: StoreRefusal['reason']) {
    super(reason);
    this.reason = reason;
  }
}

const schema = `
  CREATE TABLE entries (
    key TEXT PRIMARY KEY, version INTEGER NOT NULL, owner TEXT NOT NULL, intent TEXT, annotation TEXT, deleted INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE contents (
    version INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, shape TEXT NOT NULL, value BLOB NOT NULL,
    updated_at INTEGER NOT NULL
  ) STRICT;
`;

/** Entries in an SQLite file: versions that are never given twice, an owner, and an annotation that isn't ours. */
export class ReferenceStore {
  static readonly containerBytes = 400_000;
  readonly database: DatabaseSync;

  constructor(path: string) {
    this.database = new DatabaseSync(path);
    this.database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;');
    this.database.exec(schema);
  }

  get(key: string, version: string | null): StoredEntry | null {
    const row = this.#row(
      `SELECT c.version, shape, value, updated_at, CASE WHEN c.version = e.version THEN intent END AS intent,
              intent IS NULL AS found, owner
       FROM entries e JOIN contents c ON c.key = e.key AND c.version = coalesce(?, e.version) WHERE e.key = ?`,
      version,
      key,
    );
    if (row === undefined) return null;
    return {
      shape: row['shape'] as StoredEntry['shape'],
      valueBase64: Buffer.from(row['value'] as Uint8Array).toString('base64'),
      version: String(row['version']),
      updatedAt: Number(row['updated_at']),
      ...(row['intent'] === null ? {} : { intentId: String(row['intent']) }),
      ...(row['found'] === 1 ? { found: { isMarked: row['owner'] === 'ours' } } : {}),
    };
  }

  /** Whether it is deleted and may come back. */
  isDeleted(key: string): boolean {
    return this.#row('SELECT deleted FROM entries WHERE key = ?', key)?.['deleted'] === 1;
  }

  softDelete(key: string): void {
    this.database.prepare('UPDATE entries SET deleted = 1 WHERE key = ?').run(key);
  }

  /** Our keys after the one given, or everybody's, in the order of their bytes. */
  list(after: string | null, limit: number, includesFound = false): string[] {
    const rows = this.database
      .prepare(`SELECT key FROM entries WHERE (owner = 'ours' OR ?) AND key > ? ORDER BY key LIMIT ?`)
      .all(includesFound ? 1 : 0, after ?? '', limit) as Row[];
    return rows.map((row) => String(row['key']));
  }

  /** @throws StoreRefusal having changed nothing */
  put({ key, shape, valueBase64, expect, intentId }: PutRequest): string {
    this.#assertOursAndExpected(key, expect);
    const value = Buffer.from(valueBase64, 'base64');
    const others = this.#row(
      'SELECT coalesce(sum(length(value)), 0) AS bytes FROM contents c JOIN entries e USING (version) WHERE e.key <> ?',
      key,
    );
    if (Number(others?.['bytes']) + value.length > ReferenceStore.containerBytes) throw new StoreRefusal('full');
    const { lastInsertRowid } = this.database
      .prepare('INSERT INTO contents (key, shape, value, updated_at) VALUES (?, ?, ?, ?)')
      .run(key, shape, value, Date.now());
    this.database
      .prepare(
        `INSERT INTO entries (key, version, owner, intent) VALUES (?, ?, 'ours', ?)
         ON CONFLICT (key) DO UPDATE SET version = excluded.version, intent = excluded.intent, deleted = 0`,
      )
      .run(key, lastInsertRowid, intentId);
    return String(lastInsertRowid);
  }

  /** @throws StoreRefusal having changed nothing */
  delete(key: string, expect: StoredExpectation): void {
    if (this.#row('SELECT 1 FROM entries WHERE key = ?', key) === undefined && expect.kind === 'any') return;
    this.#assertOursAndExpected(key, expect);
    this.remove(key);
  }

  /** Whosever it is. */
  remove(key: string): void {
    this.database.prepare('DELETE FROM entries WHERE key = ?').run(key);
    this.database.prepare('DELETE FROM contents WHERE key = ?').run(key);
  }

  /** What somebody else has written on an entry. */
  annotate(key: string, annotation: string): void {
    this.database.prepare('UPDATE entries SET annotation = ? WHERE key = ?').run(annotation, key);
  }

  annotationOf(key: string): string | null {
    return (this.#row('SELECT annotation FROM entries WHERE key = ?', key)?.['annotation'] ?? null) as string | null;
  }

  /** Gives an entry to somebody else. */
  disown(key: string): void {
    this.database.prepare(`UPDATE entries SET owner = 'theirs' WHERE key = ?`).run(key);
  }

  /** What `strongroom store adopt` does. */
  adopt(key: string): void {
    this.database.prepare(`UPDATE entries SET owner = 'ours' WHERE key = ?`).run(key);
  }

  close(): void {
    this.database.close();
  }

  #assertOursAndExpected(key: string, expect: StoredExpectation): void {
    const row = this.#row('SELECT version, owner, intent FROM entries WHERE key = ?', key);
    if (row !== undefined && row['owner'] !== 'ours') throw new StoreRefusal('foreign');
    const isMet = {
      any: true,
      absent: row === undefined,
      version: row !== undefined && String(row['version']) === expect.version,
      intent: row !== undefined && row['intent'] !== null && row['intent'] === expect.intentId,
    }[expect.kind];
    if (!isMet) throw new StoreRefusal('conflict');
  }

  #row(sql: string, ...parameters: (string | number | null)[]): Row | undefined {
    return this.database.prepare(sql).get(...parameters) as Row | undefined;
  }
}
