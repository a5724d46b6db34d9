import { StrongroomError } from '@strongroom/contract/core';
import type { Entry, KeyVersion, ListPage, VersionAnswers } from '../backend.ts';
import type { VaultCall } from './client.ts';
import { checkPathKey, checkVersion, deletedVersion, secretEntry } from './entries.ts';
import { FolderWalk } from './folder-walk.ts';
import type { KvReader } from './kv.ts';
import type { Layout } from './layout.ts';
import { readMany } from './read-many.ts';

/** Each secret below the path is a key, folders and all: `data/<path>/<key>`. */
export class SecretPerKeyLayout implements Layout {
  readonly #kv: KvReader;
  readonly #root: string;
  readonly #walk: FolderWalk;

  /** @param root path inside the mount; `''` is all of it */
  constructor(kv: KvReader, root: string) {
    this.#kv = kv;
    this.#root = root;
    this.#walk = new FolderWalk((folder, call) => kv.list(this.#path(folder), call));
  }

  async get(key: string, version: string | undefined, call: VaultCall): Promise<Entry | null> {
    const state = await this.#kv.read(this.#path(checkPathKey(key)), call, checkVersion(version));
    if (state.kind === 'absent') return null;
    if (state.kind === 'deleted') throw deletedVersion();
    return secretEntry(state.data, state);
  }

  async getMany(keys: readonly string[], call: VaultCall): Promise<Map<string, Entry | null | StrongroomError>> {
    return readMany(keys, call, (key, shared) => this.get(key, undefined, shared));
  }

  async versions(keys: readonly string[], call: VaultCall): Promise<VersionAnswers> {
    return readMany(keys, call, async (key, shared): Promise<KeyVersion | null> => {
      const state = await this.#kv.readVersion(this.#path(checkPathKey(key)), shared);
      if (state.kind === 'absent') return null;
      if (state.kind === 'deleted') throw deletedVersion();
      return { version: String(state.version) };
    });
  }

  async list(cursor: string | undefined, limit: number, call: VaultCall): Promise<ListPage> {
    const { keys, nextCursor } = await this.#walk.page(cursor, limit, call);
    return { items: keys.map((key) => ({ key })), nextCursor };
  }

  async tryRead(call: VaultCall): Promise<string> {
    const { keys } = await this.#firstKeys(call);
    // A name that nobody gives, where nothing is listed: it is allowed when the answer is that it isn't there.
    const state = await this.#kv.read(this.#path(keys[0] ?? 'strongroom-connection-test'), call);
    return state.kind === 'absent' ? 'Reading is allowed; no secret is there yet.' : 'Reading is allowed.';
  }

  async #firstKeys(call: VaultCall): Promise<{ readonly keys: readonly string[] }> {
    try {
      return await this.#walk.page(undefined, 1, call);
    } catch (error) {
      if (error instanceof StrongroomError && error.code === 'backend_denied') return { keys: [] };
      throw error;
    }
  }

  #path(below: string): string {
    if (this.#root === '') return below;
    return below === '' ? this.#root : `${this.#root}/${below}`;
  }
}
