import { StrongroomError } from '@strongroom/contract/core';
import { isPath } from '@strongroom/contract/core';
import type { Entry, KeyVersion, ListPage, VersionAnswers } from '../backend.ts';
import type { VaultCall } from './client.ts';
import { checkKey, checkVersion, deletedVersion, textEntry } from './entries.ts';
import { byCodeUnit, type FieldsState, type KvReader, type SecretState } from './kv.ts';
import type { Layout } from './layout.ts';

/** The path is one secret, each of its fields a key. All of them share the secret's version. */
export class FieldsOfOneLayout implements Layout {
  readonly #kv: KvReader;
  readonly #path: string;

  constructor(kv: KvReader, path: string) {
    this.#kv = kv;
    this.#path = path;
  }

  async get(key: string, version: string | undefined, call: VaultCall): Promise<Entry | null> {
    checkKey(key);
    return entryOf(await this.#kv.read(this.#path, call, checkVersion(version)), key);
  }

  async getMany(keys: readonly string[], call: VaultCall): Promise<Map<string, Entry | null | StrongroomError>> {
    if (keys.length === 0) return new Map();
    const state = await this.#kv.read(this.#path, call);
    return new Map([...new Set(keys)].map((key) => [key, answerOf(key, () => entryOf(state, key))] as const));
  }

  async versions(keys: readonly string[], call: VaultCall): Promise<VersionAnswers> {
    if (keys.length === 0) return new Map();
    const state = await this.#kv.readFieldNames(this.#path, call);
    return new Map([...new Set(keys)].map((key) => [key, answerOf(key, () => versionOf(state, key))] as const));
  }

  /** Names only: the values stay where they are. */
  async list(cursor: string | undefined, limit: number, call: VaultCall): Promise<ListPage> {
    const state = await this.#kv.readFieldNames(this.#path, call);
    const names = state.kind === 'present' ? state.names : [];
    // A name that no reference can hold can't be chosen either.
    const keys = names.filter((name) => isPath(name) && (cursor === undefined || name > cursor)).toSorted(byCodeUnit);
    const page = keys.slice(0, limit);
    return {
      items: page.map((key) => ({ key })),
      nextCursor: page.length === keys.length ? null : (page.at(-1) ?? null),
    };
  }

  async tryRead(call: VaultCall): Promise<string> {
    const state = await this.#kv.read(this.#path, call);
    if (state.kind === 'present') return 'Reading is allowed.';
    if (state.kind === 'deleted') throw deletedVersion();
    throw new StrongroomError('not_found', {
      detail: 'Reading is allowed, and no secret is there: in this layout the path is one secret.',
    });
  }
}

function entryOf(state: SecretState, key: string): Entry | null {
  if (state.kind === 'absent') return null;
  if (state.kind === 'deleted') throw deletedVersion();
  return Object.hasOwn(state.data, key) ? textEntry(state.data[key], state) : null;
}

function versionOf(state: FieldsState, key: string): KeyVersion | null {
  if (state.kind === 'absent') return null;
  if (state.kind === 'deleted') throw deletedVersion();
  return state.names.includes(key) ? { version: String(state.version) } : null;
}

function answerOf<Answer>(key: string, answer: () => Answer): Answer | StrongroomError {
  try {
    checkKey(key);
    return answer();
  } catch (error) {
    if (error instanceof StrongroomError) return error;
    throw error;
  }
}
