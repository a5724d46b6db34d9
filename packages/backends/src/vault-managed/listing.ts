import { isPathSegment } from '@strongroom/contract/core';
import type { ListItem, ListPage } from '../backend.ts';
import type { VaultCall } from '../vault/client.ts';
import { isObject, own } from '../vault/json.ts';
import type { KvReader } from '../vault/kv.ts';
import { mapAtOnce, readsAtOnce } from '../vault/read-many.ts';
import { malformed } from '../vault/statuses.ts';
import { hasOwnerMark } from './mark.ts';

/** Secrets that are looked at for one page: a page may be short, also empty, and not be the last. */
const maxLookedAt = 400;

/**
 * A page of the folder's secrets: those that are ours, or those that aren't. Vault's list has names alone, so each is looked
 * at, without its value.
 */
export async function listFolder(
  kv: KvReader,
  folder: string,
  options: { readonly isOurs: boolean; readonly cursor: string | undefined; readonly limit: number },
  call: VaultCall,
): Promise<ListPage> {
  const { isOurs, cursor, limit } = options;
  const names = (await kv.list(folder, call)).filter((name) => isPathSegment(name) && (cursor ?? '') < name);
  const items: ListItem[] = [];
  let passed = 0;
  while (passed < Math.min(names.length, maxLookedAt) && items.length < limit) {
    const some = names.slice(passed, passed + Math.min(readsAtOnce, limit - items.length));
    const found = await mapAtOnce(some, call, (name, shared) => look(kv, `${folder}/${name}`, name, shared));
    items.push(...found.flatMap((item) => (item !== null && item.isOurs === isOurs ? [item.item] : [])));
    passed += some.length;
  }
  return { items, nextCursor: passed < names.length ? (names[passed - 1] ?? null) : null };
}

/** A page of all names, whosever they are; what is deleted in Vault is among them. */
export async function listNames(
  kv: KvReader,
  folder: string,
  { cursor, limit }: { readonly cursor: string | undefined; readonly limit: number },
  call: VaultCall,
): Promise<ListPage> {
  const names = (await kv.list(folder, call)).filter((name) => isPathSegment(name) && (cursor ?? '') < name);
  const page = names.slice(0, limit);
  return { items: page.map((key) => ({ key })), nextCursor: page.length < names.length ? (page.at(-1) ?? null) : null };
}

/** `null` when it is gone by now, or its current version is. */
async function look(
  kv: KvReader,
  path: string,
  key: string,
  call: VaultCall,
): Promise<{ readonly item: ListItem; readonly isOurs: boolean } | null> {
  const about = 'reading the metadata';
  const answer = await kv.client.send('GET', kv.path('metadata', path), { about, answers: [404] }, call);
  if (answer.status === 404) return null;
  const data = own(answer.body, 'data');
  const [current, versions, custom] = [
    own(data, 'current_version'),
    own(data, 'versions'),
    own(data, 'custom_metadata') ?? {},
  ];
  if (typeof current !== 'number' || !isObject(versions) || !isObject(custom)) throw malformed(about);
  const version = own(versions, String(current));
  if (version === undefined || own(version, 'destroyed') === true || own(version, 'deletion_time') !== '') return null;
  const updatedAt = Date.parse(String(own(version, 'created_time')));
  const isOurs = hasOwnerMark(custom as Readonly<Record<string, string>>);
  return { item: Number.isNaN(updatedAt) ? { key } : { key, updatedAt }, isOurs };
}
