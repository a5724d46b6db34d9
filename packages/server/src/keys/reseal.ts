import { StrongroomError } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import { credentialPlaceId } from '../integrations/credential-place.ts';
import type { LeaseToken } from '../store/leases.ts';
import type { Store } from '../store/store.ts';
import type { Keyring } from './keyring.ts';
import type { ValuePlace } from './keys.ts';
import type { RetiredCredential, RetiredVersion } from './queries.ts';

/** Values sealed anew per commit. */
const resealBatch = 100;

export interface ResealResult {
  readonly resealed: number;
  /** Values that don't open under their own key: their rows were changed. They stay as they are. */
  readonly failed: number;
  /** Whether nothing is left but what failed. */
  readonly isDone: boolean;
}

export interface ResealOptions {
  readonly batches: number;
  readonly signal?: AbortSignal;
  readonly lease?: LeaseToken;
}

/** A kind of rows that hold a sealed value: reads a batch of those under retired terms, and writes them back. */
interface Sealed<Row> {
  read(after: Row | undefined): Promise<readonly Row[]>;
  placeOf(row: Row): ValuePlace;
  write(rows: readonly Resealed<Row>[]): Promise<{ readonly changed: number }>;
}

interface Resealed<Row> {
  readonly row: Row;
  readonly termId: string;
  readonly envelope: Uint8Array;
}

interface SealedRow {
  readonly scope_id: string;
  readonly epoch: number;
  readonly version: number;
  readonly term_id: string;
  readonly envelope: Uint8Array;
}

/**
 * Seals values that are still under a retired term anew, those of secrets and then the credentials of integrations, a batch
 * a commit. Stops after `batches` with something in them that opens; whatever is left is found again by the next call, in this
 * process or another, so it resumes after a crash by itself.
 *
 * @throws StrongroomError `version_conflict` when the lease went to another process
 */
export async function resealRetired(store: Store, keyring: Keyring, options: ResealOptions): Promise<ResealResult> {
  const { lease } = options;
  const fence = lease === undefined ? {} : { lease: { name: lease.name, epoch: lease.epoch } };
  const { batches, ...versions } = await resealRows(keyring, options, versionsOf(store, fence));
  if (!versions.isDone) return versions;
  const credentials = await resealRows(
    keyring,
    { ...options, batches: options.batches - batches },
    credentialsOf(store, fence),
  );
  return {
    resealed: versions.resealed + credentials.resealed,
    failed: versions.failed + credentials.failed,
    isDone: credentials.isDone,
  };
}

async function resealRows<Row extends SealedRow>(
  keyring: Keyring,
  { batches, signal }: ResealOptions,
  sealed: Sealed<Row>,
): Promise<ResealResult & { readonly batches: number }> {
  let resealed = 0;
  let failed = 0;
  let after: Row | undefined;
  // What does not open stays in front, however often it is read: it counts for nothing, or nobody would get past it.
  for (let batch = 0; batch < batches;) {
    if (signal?.aborted === true) return { resealed, failed, isDone: false, batches: batch };
    const rows = await sealed.read(after);
    after = rows.at(-1);
    if (after === undefined) return { resealed, failed, isDone: true, batches: batch };
    const anew: Resealed<Row>[] = [];
    for (const row of rows) {
      const envelope = await sealAnew(keyring, sealed.placeOf(row), row);
      if (envelope === null) failed += 1;
      else anew.push({ row, ...envelope });
    }
    if (anew.length === 0) continue;
    batch += 1;
    resealed += (await sealed.write(anew)).changed;
  }
  return { resealed, failed, isDone: false, batches };
}

/** Null for a value that doesn't open: it must not keep the others from being sealed anew. */
async function sealAnew(
  keyring: Keyring,
  place: ValuePlace,
  row: SealedRow,
): Promise<{ readonly termId: string; readonly envelope: Uint8Array } | null> {
  let value: SecretValue;
  try {
    value = await keyring.open(place, row.envelope);
  } catch (error) {
    if (error instanceof StrongroomError && (error.code === 'internal' || error.code === 'key_unavailable'))
      return null;
    throw error;
  }
  try {
    const { termId, envelope } = await keyring.seal(place, value);
    return { termId, envelope };
  } finally {
    value.destroy();
  }
}

type Fence = { readonly lease?: LeaseToken };
function versionsOf(store: Store, fence: Fence): Sealed<RetiredVersion> {
  return {
    read: (last) =>
      store.query('keys.retiredVersions', {
        limit: resealBatch,
        ...(last && { after: { secretId: last.secret_id, epoch: last.epoch, version: last.version } }),
      }),
    placeOf: ({ scope_id, secret_id, epoch, version }) => ({ scopeId: scope_id, secretId: secret_id, epoch, version }),
    write: (rows) =>
      store.execute('keys.resealVersions', {
        ...fence,
        versions: rows.map(({ row, termId, envelope }) => ({
          secretId: row.secret_id,
          epoch: row.epoch,
          version: row.version,
          oldTermId: row.term_id,
          termId,
          envelope,
        })),
      }),
  };
}

function credentialsOf(store: Store, fence: Fence): Sealed<RetiredCredential> {
  return {
    read: (last) =>
      store.query('keys.retiredCredentials', {
        limit: resealBatch,
        ...(last && { after: { sourceId: last.source_id, name: last.name } }),
      }),
    placeOf: (row) => ({
      scopeId: row.scope_id,
      secretId: credentialPlaceId(row.source_id, row.name, JSON.parse(row.bound_to)),
      epoch: row.epoch,
      version: row.version,
    }),
    write: (rows) =>
      store.execute('keys.resealCredentials', {
        ...fence,
        credentials: rows.map(({ row, termId, envelope }) => ({
          sourceId: row.source_id,
          name: row.name,
          epoch: row.epoch,
          version: row.version,
          oldTermId: row.term_id,
          termId,
          envelope,
        })),
      }),
  };
}
