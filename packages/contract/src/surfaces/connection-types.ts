import { bot, custom, services } from './connection-services.ts';
import { databases } from './connection-databases.ts';

/** Kinds of connections, each with the JSON Schema of its `config`. Forms, checks and the guide are made from these. */

/** The part of JSON Schema that connections are described in: https://json-schema.org/draft/2020-12. */
export interface ConfigSchema {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly title?: string;
  readonly description?: string;
  /** Of a string: it is a secret, and never in a document. */
  readonly format?: 'password';
  readonly enum?: readonly (string | number)[];
  readonly properties?: Readonly<Record<string, ConfigSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false;
  /** Of an array; objects with a field of format `password` have an `id`, which keeps their secrets when their order changes. */
  readonly items?: ConfigSchema;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  /** What the secrets are sent to: when it changes, what was typed is typed again. */
  readonly 'x-destination'?: true;
}

export interface ConnectionType {
  readonly type: string;
  readonly title: string;
  /** As OpenMetadata groups its services; the first component of a secret's name. */
  readonly category: 'database' | 'messaging' | 'pipeline' | 'dashboard' | 'storage' | 'bot' | 'custom';
  /** OpenMetadata's name of it; absent: it is no service of OpenMetadata. */
  readonly serviceType?: string;
  readonly schema: ConfigSchema;
  /** The field with `host:port` or a URL that its secrets are sent to, and what is meant where it does not say. */
  readonly destination?: { readonly field: string; readonly scheme: string; readonly port: number };
}

const list: readonly ConnectionType[] = [...databases, ...services, bot, custom];

/** By {@link ConnectionType.type}. */
export const connectionTypes: ReadonlyMap<string, ConnectionType> = new Map(list.map((each) => [each.type, each]));
export const connectionTypeNames = list.map(({ type }) => type);
