import { timingSafeEqual } from 'node:crypto';
import { exactKey, foldKey } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import type { Actor } from '../../identities/actor.ts';
import type { Keys } from '../../keys/keys.ts';
import { minComparableBytes } from '../../secrets/values.ts';
import { globalScopeId, newId } from '../../store/ids.ts';
import type { Store } from '../../store/store.ts';

/** Global's managed store, while that is the database. */
export interface GlobalStore {
  readonly sourceId: string;
  readonly epoch: number;
}

export interface TableLimits {
  readonly valueBytes: number;
  readonly keysPerScope: number;
  readonly secretVersions: number;
}

export interface HeldParts {
  readonly store: Store;
  readonly keys: Keys;
  readonly limits: TableLimits;
}

/** The version of a secret that a row is compared with. */
export interface CopyVersion {
  readonly id: string;
  readonly epoch: number;
  readonly version: number;
}

/** A secret of Global under the exact key of a row. */
export interface HeldSecret extends CopyVersion {
  /** Null: deleted, or without a value. */
  readonly envelope: Uint8Array | null;
  readonly isUnmarked: boolean;
  readonly isMissing: boolean;
}

/** Null while its values are elsewhere. */
export async function globalStore(store: Store): Promise<GlobalStore | null> {
  const source = await store.db
    .selectFrom('sources')
    .select(['id', 'type'])
    .where('scope_id', '=', globalScopeId)
    .where('name', '=', 'managed')
    .executeTakeFirstOrThrow();
  if (source.type !== 'DATABASE') return null;
  const { epoch } = await store.db.selectFrom('installation').select('epoch').executeTakeFirstOrThrow();
  return { sourceId: source.id, epoch };
}

/** What Global has under keys, by key; deleted secrets too. */
export async function heldSecrets(
  store: Store,
  { sourceId }: GlobalStore,
  keys: readonly string[],
): Promise<ReadonlyMap<string, HeldSecret>> {
  if (keys.length === 0) return new Map();
  const rows = await store.db
    .selectFrom('secrets')
    .innerJoin('secret_versions', (join) =>
      join
        .onRef('secret_versions.secret_id', '=', 'secrets.id')
        .onRef('secret_versions.epoch', '=', 'secrets.current_epoch')
        .onRef('secret_versions.version', '=', 'secrets.current_version'),
    )
    .select([
      'secrets.id',
      'secrets.key',
      'secrets.deleted_at',
      'secrets.is_unmarked',
      'secrets.store_state',
      'secret_versions.epoch',
      'secret_versions.version',
      'secret_versions.envelope',
    ])
    .where('secrets.scope_id', '=', globalScopeId)
    .where('secrets.source_id', '=', sourceId)
    // What there is an index of; the same key in other letters is another's.
    .where('secrets.folded_key', 'in', [...new Set(keys.flatMap((key) => [foldKey(key), exactKey(key)]))])
    .where('secrets.key', 'in', keys)
    .execute();
  return new Map(
    rows.map(({ id, key, epoch, version, ...row }) => [
      key,
      {
        id,
        epoch,
        version,
        envelope: row.deleted_at === null ? row.envelope : null,
        isUnmarked: row.is_unmarked === 1,
        isMissing: row.store_state === 'missing',
      },
    ]),
  );
}

/** Compared as bytes, and by nobody else seen. @throws StrongroomError `key_unavailable` */
export async function holds({ keys }: HeldParts, held: HeldSecret, bytes: Uint8Array): Promise<boolean> {
  if (held.envelope === null) return false;
  const { id: secretId, epoch, version } = held;
  const value = await keys.open({ scopeId: globalScopeId, secretId, epoch, version }, held.envelope);
  const kept = value.reveal();
  try {
    return kept.byteLength === bytes.byteLength && timingSafeEqual(kept, bytes);
  } finally {
    kept.fill(0);
    value.destroy();
  }
}

/** Takes a row up as a secret. @param isUnmarked it is only read, and follows the table */
export async function takeUp(
  parts: HeldParts,
  { sourceId, epoch }: GlobalStore,
  { key, value: bytes }: { readonly key: string; readonly value: Uint8Array },
  by: { readonly actor: Actor | undefined; readonly isUnmarked: boolean },
): Promise<void> {
  const { store, limits } = parts;
  const id = newId('secret');
  const entry = {
    id,
    key,
    folder: '',
    description: '',
    owner: '',
    tags: [],
    destinations: null,
    expiresAt: null,
    rotateEveryDays: null,
    keepVersions: limits.secretVersions,
    maxKeysPerScope: limits.keysPerScope,
    by: by.actor?.principalName ?? 'outside',
    isUnmarked: by.isUnmarked,
    sealed: await seal(parts, { secretId: id, epoch, version: 1 }, bytes),
  };
  await store.execute('managed.find', {
    scopeId: globalScopeId,
    sourceId,
    entries: [entry],
    ...(by.actor === undefined ? {} : { by: by.actor }),
  });
}

/** The next version of a copy: what the row has by now. @returns whether it was still a copy of that version */
export async function follow(
  parts: HeldParts,
  { epoch }: GlobalStore,
  held: HeldSecret,
  bytes: Uint8Array,
): Promise<boolean> {
  const version = held.version + 1;
  const sealed = await seal(parts, { secretId: held.id, epoch, version }, bytes);
  const found = { kind: 'edit', sealed: { ...sealed, epoch, version } } as const;
  const { isNoted } = await parts.store.execute('legacyTable.note', { ...placeOf(held), found });
  return isNoted;
}

/** That the row of a copy has gone, or is there again. @returns whether it was still a copy of that version */
export async function note({ store }: HeldParts, held: CopyVersion, kind: 'missing' | 'as-left'): Promise<boolean> {
  const { isNoted } = await store.execute('legacyTable.note', { ...placeOf(held), found: { kind } });
  return isNoted;
}

function placeOf({ id, epoch, version }: CopyVersion) {
  return { secretId: id, epoch, version };
}

async function seal(
  { keys }: HeldParts,
  place: { readonly secretId: string; readonly epoch: number; readonly version: number },
  bytes: Uint8Array,
) {
  const value = SecretValue.fromBytes(bytes);
  try {
    const sealed = await keys.seal({ scopeId: globalScopeId, ...place }, value);
    return {
      ...sealed,
      shape: isText(bytes) ? ('text' as const) : ('binary' as const),
      fieldNames: null,
      isComparable: value.byteLength >= minComparableBytes,
      copiedFrom: null,
    };
  } finally {
    value.destroy();
  }
}

function isText(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
