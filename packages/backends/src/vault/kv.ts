import { StrongroomError } from '@strongroom/contract/core';
import type { VaultCall, VaultClient } from './client.ts';
import { serverTime, type VaultAnswer } from './connection.ts';
import { isObject, own, type JsonObject } from './json.ts';
import { malformed, statusError } from './statuses.ts';

/**
 * What a KV version 2 engine says about one version of a secret
 * (https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-version).
 */
export type SecretState =
  | ({ readonly kind: 'present'; readonly data: JsonObject } & SecretMetadata)
  /** The version was deleted or destroyed; others may be there. */
  | ({ readonly kind: 'deleted' } & SecretMetadata)
  | { readonly kind: 'absent' };

/** {@link SecretState} without what the secret holds. */
export type VersionState =
  | { readonly kind: 'present' | 'deleted'; readonly version: number }
  | { readonly kind: 'absent' };

export type FieldsState =
  | { readonly kind: 'present'; readonly names: readonly string[]; readonly version: number }
  | { readonly kind: 'deleted' }
  | { readonly kind: 'absent' };

export interface SecretMetadata {
  readonly version: number;
  /** RFC 3339, nanoseconds; Vault's own text. */
  readonly createdTime: string;
  readonly customMetadata: Readonly<Record<string, string>>;
}

/** Bytes of an answer with values: a value of the largest size with every character escaped. */
const maxSecretBytes = 8 * 1024 * 1024;
/** Bytes of the names in one folder. */
const maxListBytes = 32 * 1024 * 1024;
/** How long it is believed that the mount is KV version 2. */
const mountBelievedMilliseconds = 60_000;

/** Reads one KV version 2 engine. Every path here is inside the mount, its segments checked by the caller. */
export class KvReader {
  readonly client: VaultClient;
  readonly mount: string;
  #mountCheckedAt = -Infinity;

  constructor(client: VaultClient, mount: string) {
    this.client = client;
    this.mount = mount;
  }

  /** @param version the current one without it */
  async read(path: string, call: VaultCall, version?: string): Promise<SecretState> {
    const about = 'reading the secret';
    const request = { about, answers: [404], maxBytes: maxSecretBytes };
    const answer = await this.client.send(
      'GET',
      this.path('data', path),
      version === undefined ? request : { ...request, query: `version=${version}` },
      call,
    );
    const data = own(answer.body, 'data');
    if (answer.status === 404 && data === undefined) {
      await this.#assertAbsence(answer, about, call);
      return { kind: 'absent' };
    }
    const metadata = readMetadata(own(data, 'metadata'));
    const content = own(data, 'data');
    if (metadata === null) {
      await this.assertVersion2(call);
      throw malformed(about);
    }
    if (answer.status === 404 && content === null) return { kind: 'deleted', ...metadata };
    if (answer.status !== 200 || !isObject(content)) throw malformed(about);
    return { kind: 'present', data: content, ...metadata };
  }

  /**
   * The current version, without a value (https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-metadata).
   * Needs read on `metadata`, which who may read `data` need not have.
   */
  async readVersion(path: string, call: VaultCall): Promise<VersionState> {
    const about = `asking for the version, which needs read on ${this.mount}/metadata`;
    const request = { about, answers: [404], maxBytes: maxSecretBytes };
    const answer = await this.client.send('GET', this.path('metadata', path), request, call);
    const data = own(answer.body, 'data');
    if (answer.status === 404) {
      if (data !== undefined) throw malformed(about);
      await this.#assertAbsence(answer, about, call);
      return { kind: 'absent' };
    }
    const version = own(data, 'current_version');
    const versions = own(data, 'versions');
    if (!Number.isSafeInteger(version) || !isObject(versions)) {
      await this.assertVersion2(call);
      throw malformed(about);
    }
    // Metadata alone was written: there was never a version.
    if (version === 0) return { kind: 'absent' };
    const current = Object.hasOwn(versions, String(version)) ? versions[String(version)] : undefined;
    const [deletionTime, isDestroyed] = [own(current, 'deletion_time'), own(current, 'destroyed')];
    if (typeof deletionTime !== 'string' || typeof isDestroyed !== 'boolean') throw malformed(about);
    // A time to come is that of a version with an end (`delete_version_after`). Vault says its own to the second.
    const now = (serverTime(answer) ?? Date.now()) + 999;
    const isDeleted = deletionTime !== '' && Date.parse(deletionTime) <= now;
    return { kind: isDestroyed || isDeleted ? 'deleted' : 'present', version: version as number };
  }

  /** Names of a secret's fields, without a value; none when it isn't there or its version was deleted. */
  async readFieldNames(path: string, call: VaultCall): Promise<FieldsState> {
    const about = `listing the fields, which needs read on ${this.mount}/subkeys`;
    const answer = await this.client.send(
      'GET',
      this.path('subkeys', path),
      { about, query: 'depth=1', answers: [404] },
      call,
    );
    const data = own(answer.body, 'data');
    if (answer.status === 404) {
      if (data !== undefined) return { kind: 'deleted' };
      await this.#assertAbsence(answer, about, call);
      return { kind: 'absent' };
    }
    const subkeys = own(data, 'subkeys');
    const metadata = readMetadata(own(data, 'metadata'));
    if (!isObject(subkeys) || metadata === null) throw malformed(about);
    return { kind: 'present', names: Object.keys(subkeys), version: metadata.version };
  }

  /** Names in a folder, sorted by code unit; those of folders end in `/`. None when it isn't there. */
  async list(folder: string, call: VaultCall): Promise<string[]> {
    const about = 'listing';
    const request = { about, answers: [404], maxBytes: maxListBytes };
    const answer = await this.client.send('LIST', this.path('metadata', folder), request, call);
    if (answer.status === 404) {
      await this.#assertAbsence(answer, about, call);
      return [];
    }
    const keys = own(own(answer.body, 'data'), 'keys');
    if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'string' && key !== '')) throw malformed(about);
    // Vault sorts; an order of our own makes positions in it mean the same everywhere.
    return (keys as string[]).toSorted(byCodeUnit);
  }

  /**
   * Makes sure that the mount is a KV engine of version 2: version 1 answers every path of version 2 with "not there".
   *
   * @throws StrongroomError `not_supported` for another engine; `backend_denied` when the credential has nothing to do there
   */
  async assertVersion2(call: VaultCall): Promise<void> {
    if (performance.now() - this.#mountCheckedAt < mountBelievedMilliseconds) return;
    const about = 'looking at the mount';
    const answer = await this.client.send('GET', `sys/internal/ui/mounts/${this.mount}`, { about }, call);
    const data = own(answer.body, 'data');
    const [type, path] = [own(data, 'type'), own(data, 'path')];
    if (typeof type !== 'string' || typeof path !== 'string') throw malformed(about);
    if (type !== 'kv') throw unsupported('is no KV secrets engine');
    if (own(own(data, 'options'), 'version') !== '2')
      throw unsupported('is a KV secrets engine of version 1; Strongroom needs version 2');
    if (path !== `${this.mount}/`) throw unsupported('ends elsewhere than before the first segment “data” of the path');
    this.#mountCheckedAt = performance.now();
  }

  /** The next question about the mount is put to Vault again. */
  forgetMount(): void {
    this.#mountCheckedAt = -Infinity;
  }

  path(api: 'data' | 'metadata' | 'subkeys', path: string): string {
    return path === '' ? `${this.mount}/${api}` : `${this.mount}/${api}/${path}`;
  }

  /** An empty list of errors is how the engine says that nothing is there; a missing engine and a proxy say more. */
  async #assertAbsence(answer: VaultAnswer, about: string, call: VaultCall): Promise<void> {
    const errors = own(answer.body, 'errors');
    if (Array.isArray(errors) && errors.length === 0) return this.assertVersion2(call);
    throw statusError(answer, about);
  }
}

export function byCodeUnit(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function readMetadata(value: unknown): SecretMetadata | null {
  const [version, createdTime] = [own(value, 'version'), own(value, 'created_time')];
  const custom = own(value, 'custom_metadata') ?? {};
  const isRead = Number.isSafeInteger(version) && typeof createdTime === 'string' && isObject(custom);
  if (!isRead || !Object.values(custom).every((text) => typeof text === 'string')) return null;
  return { version: version as number, createdTime, customMetadata: custom as Readonly<Record<string, string>> };
}

function unsupported(what: string): StrongroomError {
  return new StrongroomError('not_supported', {
    detail: `The mount in the path ${what}.`,
    hint: 'Name a KV version 2 engine: /v1/MOUNT/data/PATH.',
  });
}
