import type { StrongroomError } from '@strongroom/contract/core';
import type { Entry, ListPage, VersionAnswers } from '../backend.ts';
import type { VaultCall } from './client.ts';

/** How keys lie in an engine: each a secret below a path, or the fields of one secret. */
export interface Layout {
  /** @throws StrongroomError `backend_deleted` when the version was deleted: that isn't absence */
  get(key: string, version: string | undefined, call: VaultCall): Promise<Entry | null>;
  getMany(keys: readonly string[], call: VaultCall): Promise<Map<string, Entry | null | StrongroomError>>;
  /** Of the current versions, without a value. */
  versions(keys: readonly string[], call: VaultCall): Promise<VersionAnswers>;
  list(cursor: string | undefined, limit: number, call: VaultCall): Promise<ListPage>;
  /** Tries a reading, keeps nothing; resolves when it is allowed. What it says is for the person at the form. */
  tryRead(call: VaultCall): Promise<string>;
}
