import { StrongroomError } from '@strongroom/contract';
import type { Keys } from '../../keys/keys.ts';
import { hotStatement, type Store } from '../../store/store.ts';
import type { Target, TargetSource } from '../targets.ts';
import type { Fetched, FetchKey, SecretSource } from './source.ts';

interface VersionRow {
  readonly secret_id: string;
  readonly epoch: number;
  readonly version: number;
  readonly envelope: Uint8Array;
  readonly fingerprint: Uint8Array;
  readonly shape: 'text' | 'binary' | 'fields';
}

const versionColumns = ['secret_id', 'epoch', 'version', 'envelope', 'fingerprint', 'shape'] as const;

const versionOfSecret = hotStatement<VersionRow>('launches.versionOfSecret', (db) =>
  db
    .selectFrom('secret_versions')
    .select([...versionColumns])
    .where('secret_id', '=', '')
    .where('epoch', '=', 0)
    .where('version', '=', 0)
    .compile(),
);

/** Beyond this many keys one statement is cheaper than several compiled ones. */
const singleReads = 4;

/** The managed store `database`: envelopes in `secret_versions`, opened by the keyring. */
export function createDatabaseSource(store: Store, keys: Keys): SecretSource {
  return {
    // The key of a flight holds the version, so a fetch never crosses a rotation that was acknowledged.
    flightPrefix: (source: TargetSource) => source.id,
    async fetch(wanted: readonly FetchKey[]): Promise<ReadonlyMap<string, Fetched>> {
      const rows = await readVersions(store, wanted);
      const fetched = new Map<string, Fetched>();
      for (const { key, target } of wanted) fetched.set(key, await open(keys, target, rows.get(rowId(target))));
      return fetched;
    },
  };
}

function rowId({ secret }: Target): string {
  return secret === null ? '' : `${secret.id} ${secret.epoch}.${secret.version}`;
}

async function readVersions(store: Store, wanted: readonly FetchKey[]): Promise<ReadonlyMap<string, VersionRow>> {
  const rows = new Map<string, VersionRow>();
  const secrets = wanted.flatMap(({ target }) => (target.secret === null ? [] : [target.secret]));
  if (secrets.length <= singleReads) {
    for (const secret of secrets) {
      const row = await store.first(versionOfSecret, [secret.id, secret.epoch, secret.version]);
      if (row !== undefined) rows.set(`${row.secret_id} ${row.epoch}.${row.version}`, row);
    }
    return rows;
  }
  const found = await store.db
    .selectFrom('secret_versions')
    .select([...versionColumns])
    .where((where) =>
      where.or(
        secrets.map((secret) => where.and({ secret_id: secret.id, epoch: secret.epoch, version: secret.version })),
      ),
    )
    .execute();
  for (const row of found) rows.set(`${row.secret_id} ${row.epoch}.${row.version}`, row);
  return rows;
}

async function open(keys: Keys, target: Target, row: VersionRow | undefined): Promise<Fetched> {
  if (target.secret === null || row === undefined) return { kind: 'failed', failure: 'missing' };
  const place = {
    scopeId: target.scopeId,
    secretId: target.secret.id,
    epoch: row.epoch,
    version: row.version,
  };
  try {
    const value = await keys.open(place, row.envelope);
    return {
      kind: 'value',
      value,
      version: `${row.epoch}.${row.version}`,
      fingerprint: row.fingerprint,
      shape: row.shape,
    };
  } catch (error) {
    if (error instanceof StrongroomError) return { kind: 'failed', failure: 'key-unavailable', detail: error.message };
    throw error;
  }
}
