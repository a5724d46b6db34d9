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

/** How the entries of a scope are laid out over Secrets. */
export interface Layout {
  readonly capabilities: Capabilities;
  get(key: string, options: GetOptions): Promise<Entry | null>;
  getMany(keys: readonly string[], options: CallOptions): Promise<Map<string, Entry | null | StrongroomError>>;
  list(options: ListOptions): Promise<ListPage>;
  put(key: string, content: Content, options: PutOptions): Promise<{ readonly version: string | null }>;
  delete(key: string, options: DeleteOptions): Promise<void>;
  /** Reads what the store needs to be there. What the line of the tried connection says. */
  tryStore(signal: AbortSignal): Promise<string>;
}
