import type { StrongroomError } from '@strongroom/contract/core';
import type {
  Capabilities,
  Content,
  DeleteOptions,
  Entry,
  GetOptions,
  CallOptions,
  ListOptions,
  ListPage,
  PutOptions,
} from '../backend.ts';

import type { Verb } from './secret-api.ts';

/** How the entries of a scope are laid out over Secrets. */
export interface Layout {
  readonly capabilities: Capabilities;
  /** What the role has to allow. */
  readonly verbs: readonly Verb[];
  /** Of the one Secret that all keys are in; without it each has one of its own. */
  readonly objectName?: string;
  get(key: string, options: GetOptions): Promise<Entry | null>;
  getMany(keys: readonly string[], options: CallOptions): Promise<Map<string, Entry | null | StrongroomError>>;
  list(options: ListOptions): Promise<ListPage>;
  put(key: string, content: Content, options: PutOptions): Promise<{ readonly version: string | null }>;
  delete(key: string, options: DeleteOptions): Promise<void>;
  /** Reads what the store needs to be there. What the line of the tried connection says. */
  tryStore(signal: AbortSignal): Promise<string>;
}
