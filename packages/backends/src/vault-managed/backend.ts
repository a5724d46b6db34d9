import { isPathSegment, StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import type {
  Backend,
  CallOptions,
  Capabilities,
  CheckLine,
  Content,
  DeleteOptions,
  Entry,
  GetOptions,
  ListOptions,
  ListPage,
  PutOptions,
} from '../backend.ts';
import { trySteps } from '../check-steps.ts';
import { engineSteps, serverSteps } from '../vault/check.ts';
import { startCall, type VaultCall, type VaultClient } from '../vault/client.ts';
import { checkPathKey, deletedVersion, updatedAt } from '../vault/entries.ts';
import { own } from '../vault/json.ts';
import type { KvReader } from '../vault/kv.ts';
import { readMany } from '../vault/read-many.ts';
import { contentOf, maxValueBytes } from './content.ts';
import { listFolder, listNames } from './listing.ts';
import { intentOf, isDeletedInVault, parseVersion, readPlace, versionOf } from './state.ts';
import { ManagedWriter } from './writer.ts';

export const capabilities: Capabilities = {
  list: true,
  put: true,
  delete: true,
  cas: true,
  versions: true,
  batch: 1,
  fields: 'native',
  limits: { valueBytes: maxValueBytes },
};

/** A name that nobody gives, to try with. */
const trialName = 'strongroom-connection-test';

export interface ManagedVaultParts {
  readonly client: VaultClient;
  readonly kv: KvReader;
  readonly folder: string;
  readonly isLogIn: boolean;
  readonly now: () => number;
}

/**
 * A scope's managed store in Vault, in the legacy layout: each key a secret in the scope's folder, its value in the field
 * `value`. Secrets of others in the folder are read, and neither changed nor deleted until they are adopted.
 */
export class ManagedVaultBackend implements Backend {
  readonly type = 'vault-managed';
  readonly capabilities = capabilities;
  readonly #parts: ManagedVaultParts;
  readonly #writer: ManagedWriter;

  constructor(parts: ManagedVaultParts) {
    this.#parts = parts;
    this.#writer = new ManagedWriter(parts.kv, parts.now);
  }

  async get(key: string, { signal, version }: GetOptions): Promise<Entry | null> {
    return this.#read(key, version, this.#start(signal));
  }

  async getMany(
    keys: readonly string[],
    { signal }: CallOptions,
  ): Promise<ReadonlyMap<string, Entry | null | StrongroomError>> {
    return readMany(keys, this.#start(signal), (key, call) => this.#read(key, undefined, call));
  }

  /** Our own entries; with those of others, names alone, so that a round over many costs one request. */
  async list({ signal, cursor, limit, includesFound = false }: ListOptions): Promise<ListPage> {
    const { kv, folder } = this.#parts;
    if (includesFound) return listNames(kv, folder, { cursor, limit }, this.#start(signal));
    return listFolder(kv, folder, { isOurs: true, cursor, limit }, this.#start(signal));
  }

  /** What others wrote in the folder: it can be read under these keys, and adopted. */
  async listUnmarked({ signal, cursor, limit }: ListOptions): Promise<ListPage> {
    const { kv, folder } = this.#parts;
    return listFolder(kv, folder, { isOurs: false, cursor, limit }, this.#start(signal));
  }

  /**
   * Marks a secret of others as ours; its value stays.
   *
   * @returns whether it was somebody else's. @throws StrongroomError `not_found` when nothing is there
   */
  async adopt(key: string, { signal }: CallOptions): Promise<boolean> {
    return this.#writer.adopt(this.#path(key), this.#start(signal));
  }

  async put(key: string, content: Content, options: PutOptions): Promise<{ readonly version: string }> {
    const call = this.#start(options.signal);
    return { version: await this.#writer.put(this.#path(key), content, options.expect, options.intentId, call) };
  }

  async delete(key: string, { signal, expect }: DeleteOptions): Promise<void> {
    await this.#writer.delete(this.#path(key), expect, this.#start(signal));
  }

  async check({ signal }: CallOptions): Promise<readonly CheckLine[]> {
    const { client, kv, folder, isLogIn } = this.#parts;
    const call = { signal, hasLoggedInAgain: false };
    const steps = {
      ...serverSteps(client, call),
      ...engineSteps(client, kv, call, isLogIn),
      list: async () => {
        await kv.list(folder, call);
        return 'Listing is allowed.';
      },
      read: async () => {
        await kv.read(`${folder}/${trialName}`, call);
        return 'Reading is allowed.';
      },
      write: () => this.#tryWrite(call),
    };
    return trySteps(steps, ['list', 'read']);
  }

  async close(): Promise<void> {
    this.#parts.client.tokens.close();
  }

  async #read(key: string, version: string | undefined, call: VaultCall): Promise<Entry | null> {
    const number = version === undefined ? undefined : parseVersion(version);
    const place = await readPlace(this.#parts.kv, this.#path(key), call, number);
    if (isDeletedInVault(place)) throw deletedVersion();
    if (place.entry === null) return null;
    const { data, metadata } = place.entry;
    if (version !== undefined && versionOf(metadata) !== version) return null;
    const intentId = intentOf(place);
    return {
      ...contentOf(data, place.mark),
      version: versionOf(metadata),
      updatedAt: updatedAt(metadata),
      ...(intentId === undefined ? {} : { intentId }),
      ...(place.mark === null ? { found: { isMarked: place.hasOwnerMark } } : {}),
    };
  }

  /** Asks for the policy; writes nothing (https://developer.hashicorp.com/vault/api-docs/system/capabilities-self). */
  async #tryWrite(call: VaultCall): Promise<string> {
    const { client, kv, folder } = this.#parts;
    const needed: Readonly<Record<string, readonly string[]>> = {
      [kv.path('data', `${folder}/${trialName}`)]: ['create', 'update'],
      [kv.path('metadata', `${folder}/${trialName}`)]: ['create', 'update', 'read', 'delete'],
    };
    const body = SecretValue.fromText(JSON.stringify({ paths: Object.keys(needed) }));
    const { body: answer } = await client.send(
      'POST',
      'sys/capabilities-self',
      { about: 'asking what is allowed', body },
      call,
    );
    const missing = Object.entries(needed).flatMap(([path, names]) => {
      const allowed = own(own(answer, 'data'), path);
      const list: readonly unknown[] = Array.isArray(allowed) ? allowed : [];
      return list.includes('root')
        ? []
        : names.filter((name) => !list.includes(name)).map((name) => `${name} on ${path}`);
    });
    if (missing.length > 0)
      throw new StrongroomError('backend_denied', { detail: `The policy does not allow: ${missing.join(', ')}.` });
    return 'Writing and deleting are allowed.';
  }

  #path(key: string): string {
    if (!isPathSegment(key))
      throw new StrongroomError('reference_malformed', {
        detail: 'The key is not a name in the managed store in Vault.',
      });
    return `${this.#parts.folder}/${checkPathKey(key)}`;
  }

  #start(signal: AbortSignal): VaultCall {
    this.#parts.client.tokens.assertOpen();
    return startCall(signal);
  }
}
