import { StrongroomError } from '@strongroom/contract';

/** Where a legacy install keeps plaintext secrets. */
export interface LegacyTablePlace {
  /** An SQLite file, or PostgreSQL. The URL may hold a password and is in no error. */
  readonly database:
    | { readonly kind: 'sqlite'; readonly file: string }
    | { readonly kind: 'postgres'; readonly url: string };
  /** `secret_store`, or with its schema before a dot. */
  readonly table: string;
  readonly keyColumn: string;
  readonly valueColumn: string;
}

export interface LegacyRow {
  readonly key: string | null;
  /** The bytes of the value as the table has it; the reader zeroes them. */
  readonly value: Uint8Array | null;
}

/** A table of key and plaintext value. */
export interface LegacyTable {
  /** How many rows it has. @throws as `read` */
  count(): Promise<number>;
  /** All rows, by key. @throws StrongroomError `not_found` for the table or a column, `storage_unavailable` */
  read(): Promise<readonly LegacyRow[]>;
  /** Deletes the row of a key while it has this very value. @returns whether it did */
  erase(key: string, value: Uint8Array): Promise<boolean>;
  /** Takes what was erased out of the files of the database, as far as it can. @returns what is left to do, for people */
  finish(): Promise<string | null>;
  close(): Promise<void>;
}

const name = /^[A-Za-z_][A-Za-z0-9_$]{0,62}$/;

/** Names as SQL has them. @throws StrongroomError `validation_failed` for what is no plain name */
export function quoted({ table, keyColumn, valueColumn }: LegacyTablePlace) {
  const parts = table.split('.');
  if (parts.length > 2 || ![...parts, keyColumn, valueColumn].every((part) => name.test(part)))
    throw new StrongroomError('validation_failed', {
      detail: 'The table or a column has a name with more than letters, digits and underscores.',
    });
  return {
    table: parts.map((part) => `"${part}"`).join('.'),
    key: `"${keyColumn}"`,
    value: `"${valueColumn}"`,
  };
}

export function noSuchTable({ table, keyColumn, valueColumn }: LegacyTablePlace): StrongroomError {
  return new StrongroomError('not_found', {
    detail: `The database has no table ${table} with the columns ${keyColumn} and ${valueColumn}.`,
    hint: 'Name them with --table, --key-column and --value-column.',
  });
}

/** What the database says may quote a row, so that only its code is kept. */
export function tableFailed(error: unknown): StrongroomError {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : '';
  return new StrongroomError('storage_unavailable', { detail: `The database of the legacy table failed${code}.` });
}
