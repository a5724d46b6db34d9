import { isObject, type JsonObject, own } from '../vault/json.ts';
import { malformed } from './statuses.ts';

/**
 * A Secret as the API has it. It is kept as it came, so that a write gives back what it doesn't know of: fields of newer
 * versions, labels, owners, keys of others.
 */
export interface SecretObject {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** By key, base64; `null` where the object has no data at all, which isn't the same as a key that is missing. */
  readonly data: Readonly<Record<string, string>> | null;
  readonly isImmutable: boolean;
  /** Milliseconds since somebody asked for its deletion; `null` as long as nobody did. */
  readonly deletedAt: number | null;
  /** Milliseconds of the last change that the API server noted, or of its creation. */
  readonly changedAt: number | null;
  readonly whole: JsonObject;
}

/** @throws StrongroomError `backend_malformed` for what isn't that Secret */
export function readSecretObject(body: unknown, name: string, about: string): SecretObject {
  const metadata = own(body, 'metadata');
  const [uid, resourceVersion] = [own(metadata, 'uid'), own(metadata, 'resourceVersion')];
  const isSecret = isObject(body) && own(body, 'kind') === 'Secret' && own(metadata, 'name') === name;
  if (!isSecret || typeof uid !== 'string' || typeof resourceVersion !== 'string') throw malformed(about);
  const data = own(body, 'data') ?? null;
  return {
    name,
    uid,
    resourceVersion,
    labels: texts(own(metadata, 'labels'), about),
    annotations: texts(own(metadata, 'annotations'), about),
    data: data === null ? null : texts(data, about),
    isImmutable: own(body, 'immutable') === true,
    deletedAt: timeOf(own(metadata, 'deletionTimestamp')),
    changedAt: changedAt(metadata),
    whole: body,
  };
}

export interface SecretChange {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: Readonly<Record<string, string>>;
}

/** The object with another content, everything else as it came. */
export function changedObject({ whole }: SecretObject, { labels, annotations, data }: SecretChange): JsonObject {
  const metadata = own(whole, 'metadata');
  return { ...whole, metadata: { ...(isObject(metadata) ? metadata : {}), labels, annotations }, data };
}

export function newObject(name: string, namespace: string, { labels, annotations, data }: SecretChange): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: { name, namespace, labels, annotations },
    data,
  };
}

/** Bytes of a value in base64, as Kubernetes counts them. */
export function decodedBytes(base64: string): number {
  return Buffer.byteLength(base64, 'base64');
}

function texts(value: unknown, about: string): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (!isObject(value) || !Object.values(value).every((each) => typeof each === 'string')) throw malformed(about);
  return value as Record<string, string>;
}

function changedAt(metadata: unknown): number | null {
  const managed = own(metadata, 'managedFields');
  const entries: readonly unknown[] = Array.isArray(managed) ? managed : [];
  const times = [own(metadata, 'creationTimestamp'), ...entries.map((entry) => own(entry, 'time'))]
    .map(timeOf)
    .filter((time) => time !== null);
  return times.length === 0 ? null : Math.max(...times);
}

function timeOf(value: unknown): number | null {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? null : time;
}
