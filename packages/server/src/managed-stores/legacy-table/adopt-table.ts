import { timingSafeEqual } from 'node:crypto';
import { StrongroomError } from '@strongroom/contract';
import { SecretValue } from '@strongroom/crypto';
import { operatorActor } from '../../identities/actor.ts';
import type { Keys } from '../../keys/keys.ts';
import { minComparableBytes } from '../../secrets/values.ts';
import { globalScopeId, newId } from '../../store/ids.ts';
import type { Store } from '../../store/store.ts';
import type { LegacyRow, LegacyTable } from './table.ts';

export interface TableRow {
  readonly key: string;
  /** `erased`: it is in the catalogue, and in the table no more. `would-be-adopted`: of a trial. */
  readonly outcome: 'erased' | 'would-be-adopted' | 'refused';
  readonly reason?: string;
}

/** How far a row has come, for drills that stop there. */
export type TableStep = 'encrypted' | 'verified' | 'erased';

export interface TableAdoptionParts {
  readonly store: Store;
  readonly keys: Keys;
  readonly table: LegacyTable;
  readonly limits: { readonly valueBytes: number; readonly keysPerScope: number; readonly secretVersions: number };
  readonly isTrial: boolean;
  readonly reached?: (step: TableStep) => void;
}

interface Target {
  readonly sourceId: string;
  readonly epoch: number;
}

const maxKeyCharacters = 253;

/**
 * Takes the rows of a plaintext table into Global's encrypted store, one after the other: encrypted, read back and compared,
 * and only then erased where they were. Killed anywhere and repeated it goes on: a row whose value is there already is compared
 * and erased; one whose value differs is left and named.
 *
 * @throws StrongroomError `state_conflict` when Global's values are not in the database; what either database says
 */
export async function adoptRows(parts: TableAdoptionParts): Promise<readonly TableRow[]> {
  const target = await globalStore(parts.store);
  const rows = await parts.table.read();
  try {
    const counts = new Map<string, number>();
    for (const { key } of rows) counts.set(key ?? '', (counts.get(key ?? '') ?? 0) + 1);
    const items: TableRow[] = [];
    for (const row of rows) {
      const key = row.key ?? '';
      const reason = refusalOf(row, counts.get(key) ?? 0, parts.limits.valueBytes);
      if (reason !== null || row.value === null) items.push({ key, outcome: 'refused', reason: reason ?? '' });
      else items.push(await adoptRow(parts, target, key, row.value));
    }
    return items;
  } finally {
    for (const { value } of rows) value?.fill(0);
  }
}

async function globalStore(store: Store): Promise<Target> {
  const source = await store.db
    .selectFrom('sources')
    .select(['id', 'type'])
    .where('scope_id', '=', globalScopeId)
    .where('name', '=', 'managed')
    .executeTakeFirstOrThrow();
  if (source.type !== 'DATABASE')
    throw new StrongroomError('state_conflict', {
      detail: `Global's values are in ${source.type}, and the rows of a table go into the encrypted database.`,
      hint: 'Choose database for Global (stores.global, or secretStore.type).',
    });
  const { epoch } = await store.db.selectFrom('installation').select('epoch').executeTakeFirstOrThrow();
  return { sourceId: source.id, epoch };
}

function refusalOf({ key, value }: LegacyRow, count: number, maxBytes: number): string | null {
  if (key === null || key === '') return 'has no key';
  if (
    key.length > maxKeyCharacters ||
    /[\p{Cc}\u2028\u2029/\\%]/u.test(key) ||
    /^\.{1,2}$/.test(key) ||
    !key.isWellFormed()
  )
    return 'has a key that no reference can name';
  if (count > 1) return 'is there more than once';
  if (value === null) return 'has no value';
  return value.byteLength > maxBytes ? `is larger than the store's limit of ${maxBytes} bytes` : null;
}

async function adoptRow(parts: TableAdoptionParts, target: Target, key: string, bytes: Uint8Array): Promise<TableRow> {
  const { store, table, isTrial, reached } = parts;
  const held = await heldValue(parts, target, key);
  if (held === 'deleted') return { key, outcome: 'refused', reason: 'belongs to a deleted secret of Global' };
  if (held !== null && !isSame(held, bytes))
    return { key, outcome: 'refused', reason: 'has another value in Global; nothing of it was erased' };
  if (isTrial) return { key, outcome: 'would-be-adopted' };
  if (held === null) {
    await encrypt(parts, target, key, bytes);
    reached?.('encrypted');
    const kept = await heldValue(parts, target, key);
    if (kept === null || kept === 'deleted' || !isSame(kept, bytes))
      return { key, outcome: 'refused', reason: 'was not read back as it is; nothing of it was erased' };
  }
  reached?.('verified');
  await store.execute('access.record', undefined, { audit: [erasure(key)] });
  if (!(await table.erase(key, bytes)))
    return { key, outcome: 'refused', reason: 'was changed or erased by somebody else meanwhile; repeat it' };
  reached?.('erased');
  return { key, outcome: 'erased' };
}

/** What Global has under the exact key; compared as bytes, and by nobody else seen. */
async function heldValue(
  { store, keys }: TableAdoptionParts,
  { sourceId }: Target,
  key: string,
): Promise<Uint8Array | 'deleted' | null> {
  const row = await store.db
    .selectFrom('secrets')
    .innerJoin('secret_versions', (join) =>
      join
        .onRef('secret_versions.secret_id', '=', 'secrets.id')
        .onRef('secret_versions.epoch', '=', 'secrets.current_epoch')
        .onRef('secret_versions.version', '=', 'secrets.current_version'),
    )
    .select([
      'secrets.id',
      'secrets.deleted_at',
      'secret_versions.epoch',
      'secret_versions.version',
      'secret_versions.envelope',
    ])
    .where('secrets.source_id', '=', sourceId)
    .where('secrets.key', '=', key)
    .executeTakeFirst();
  if (row === undefined) return null;
  if (row.deleted_at !== null || row.envelope === null) return 'deleted';
  const place = { scopeId: globalScopeId, secretId: row.id, epoch: row.epoch, version: row.version };
  const value = await keys.open(place, row.envelope);
  try {
    return Uint8Array.from(value.reveal());
  } finally {
    value.destroy();
  }
}

/** Zeroes what was held. */
function isSame(held: Uint8Array, bytes: Uint8Array): boolean {
  const isEqual = held.byteLength === bytes.byteLength && timingSafeEqual(held, bytes);
  held.fill(0);
  return isEqual;
}

async function encrypt(
  { store, keys, limits }: TableAdoptionParts,
  { sourceId, epoch }: Target,
  key: string,
  bytes: Uint8Array,
): Promise<void> {
  const id = newId('secret');
  const value = SecretValue.fromBytes(bytes);
  try {
    const sealed = await keys.seal({ scopeId: globalScopeId, secretId: id, epoch, version: 1 }, value);
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
      by: operatorActor.principalName,
      sealed: {
        ...sealed,
        shape: isText(bytes) ? ('text' as const) : ('binary' as const),
        fieldNames: null,
        isComparable: value.byteLength >= minComparableBytes,
        copiedFrom: null,
      },
    };
    await store.execute('managed.find', { scopeId: globalScopeId, sourceId, entries: [entry], by: operatorActor });
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

function erasure(key: string) {
  return {
    ...operatorActor,
    action: 'secret.manage',
    outcome: 'allowed',
    scope: { id: globalScopeId, name: 'global' },
    object: { type: 'secret', id: '', name: key },
    because: ['legacy-table'],
    detail: { change: 'erase' },
  } as const;
}
