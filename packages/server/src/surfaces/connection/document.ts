import type { ConfigSchema, ConnectionCreate, ConnectionUpdate } from '@strongroom/contract';
import type { Static } from 'typebox';
import type { HeldCredential } from '../credential-fields.ts';

/** A connection as it is saved: its config without fields of format password, and these as references beside it. */
export interface ConnectionDocument {
  readonly description?: string;
  readonly type: string;
  /** Of type custom. */
  readonly schema?: ConfigSchema;
  readonly config: Config;
  /** By {@link fieldName}: `config/authType/password`, items of arrays by their id. */
  readonly credentials: Readonly<Record<string, HeldCredential>>;
}

export type Config = Readonly<Record<string, unknown>>;

export type ConnectionInput = Static<typeof ConnectionCreate> | Static<typeof ConnectionUpdate>;

/** What a place of the config is called wherever places are named, and its pointer but for the slash in front. */
export function fieldName(path: readonly string[]): string {
  return ['config', ...path].map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1')).join('/');
}

/** The inverse of {@link fieldName}. */
export function pathOf(name: string): string[] {
  return name
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}
