import { type ConfigSchema, CredentialInput, connectionTypes } from '@strongroom/contract';
import type { ScopeRef } from '../../access/types.ts';
import { createValidatorCompiler, type Validator } from '../../http/validation.ts';
import { type CredentialInput as SentCredential, credentialState, readCredential } from '../credential-fields.ts';
import type { CredentialChange, FieldProblems } from '../definition.ts';
import { hasPassword } from './custom-schema.ts';
import { type Config, type ConnectionDocument, fieldName } from './document.ts';

/** Reading a config by its schema, and putting one together again. */

/** What a config is of. */
export function schemaOf({ type, schema }: Pick<ConnectionDocument, 'type' | 'schema'>): ConfigSchema {
  return schema ?? connectionTypes.get(type)?.schema ?? { type: 'object', properties: {} };
}

const validators = new Map<string, Validator>();

/** Notes where a config that was sent is not of its schema; a field of format password is what a credential field takes. */
export function checkConfig(type: string, schema: ConfigSchema, config: Config, problems: FieldProblems): void {
  let validate = validators.get(type);
  if (validate === undefined) {
    validate = createValidatorCompiler()('body', sendable(schema));
    // One that came with its connection may never come again.
    if (connectionTypes.get(type)?.schema === schema) validators.set(type, validate);
  }
  const answer = validate(config);
  if ('value' in answer) return;
  for (const { pointer, message } of answer.error.errors ?? [])
    problems.add(`/config${pointer}`, message === 'is not a field of this request' ? 'is not in the schema' : message);
}

/** A schema as Ajv takes it: texts have a limit, what is secret is not required. */
function sendable(schema: ConfigSchema): Record<string, unknown> {
  if (schema.format === 'password') return JSON.parse(JSON.stringify(CredentialInput)) as Record<string, unknown>;
  const { properties, required, items, title: _title, description: _description, ...rest } = schema;
  const members = properties === undefined ? {} : { properties: mapValues(properties, sendable) };
  const needed = required?.filter((name) => properties?.[name]?.format !== 'password') ?? [];
  return {
    ...(rest.type === 'string' ? { maxLength: 65_536 } : {}),
    ...(rest.type === 'array' ? { maxItems: 1000 } : {}),
    ...rest,
    ...members,
    ...(needed.length === 0 ? {} : { required: needed }),
    ...(items === undefined ? {} : { items: sendable(items) }),
  };
}

function mapValues<Value, Result>(
  record: Readonly<Record<string, Value>>,
  map: (value: Value) => Result,
): Record<string, Result> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

/** A config in its two parts. */
export interface ReadConfig {
  readonly config: Config;
  readonly changes: ReadonlyMap<string, CredentialChange>;
}

/** Takes what is secret out of a config that is of its schema. */
export function readConfig(schema: ConfigSchema, sent: Config, scope: ScopeRef, problems: FieldProblems): ReadConfig {
  const changes = new Map<string, CredentialChange>();
  const read = (part: ConfigSchema, value: unknown, path: readonly string[]): unknown => {
    if (part.type === 'object') {
      const members = value as Config;
      return Object.fromEntries(
        Object.entries(part.properties ?? {}).flatMap(([name, property]): [string, unknown][] => {
          if (!Object.hasOwn(members, name)) return [];
          const at = [...path, name];
          if (property.format !== 'password') return [[name, read(property, members[name], at)]];
          const change = readCredential(members[name] as SentCredential, `/${fieldName(at)}`, scope, problems);
          if (change !== undefined) changes.set(fieldName(at), change);
          return [];
        }),
      );
    }
    if (part.type === 'array') {
      const { items } = part;
      if (items === undefined) return value;
      const all = value as readonly unknown[];
      const isKeyed = hasPassword(items);
      if (isKeyed) checkIds(all, path, problems);
      return all.map((item, index) => read(items, item, [...path, isKeyed ? idOf(item) : `${index}`]));
    }
    if (typeof value === 'string') checkPlain(value, `/${fieldName(path)}`, problems);
    return value;
  };
  return { config: read(schema, sent, []) as Config, changes };
}

function idOf(item: unknown): string {
  return String((item as { readonly id?: unknown }).id);
}

const itemId = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

function checkIds(items: readonly unknown[], path: readonly string[], problems: FieldProblems): void {
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const id = idOf(item);
    const pointer = `/${fieldName([...path, `${index}`, 'id'])}`;
    if (!itemId.test(id)) problems.add(pointer, 'An id is 1 to 63 letters, digits, dots, - and _.');
    if (seen.has(id)) problems.add(pointer, 'Another item of the list has this id.');
    seen.add(id);
  }
}

function checkPlain(text: string, pointer: string, problems: FieldProblems): void {
  if (/secret:\/\/(?:domain|global|admin)\//i.test(text) || /^secret:/i.test(text) || text.includes('${secrets.'))
    problems.add(pointer, 'Only fields of format password take a reference; this one is used as it is written.');
  if (!text.isWellFormed() || text.includes('\u0000'))
    problems.add(pointer, 'It holds a NUL character or a lone surrogate.');
}

/** Every field of format password that a config has: those of items of arrays for the items that are there. */
export function passwordFields(schema: ConfigSchema, config: unknown, path: readonly string[] = []): string[] {
  if (schema.format === 'password') return [fieldName(path)];
  if (schema.type === 'object') {
    const members = Object(config) as Config;
    return Object.entries(schema.properties ?? {}).flatMap(([name, property]) =>
      passwordFields(property, Object.hasOwn(members, name) ? members[name] : undefined, [...path, name]),
    );
  }
  const { items } = schema;
  if (schema.type !== 'array' || items === undefined || !Array.isArray(config) || !hasPassword(items)) return [];
  return config.flatMap((item: unknown) => passwordFields(items, item, [...path, idOf(item)]));
}

/** A config with something in the place of each secret; nothing where that is `undefined`. */
export function fillConfig(
  schema: ConfigSchema,
  config: unknown,
  secretAt: (name: string) => unknown,
  path: readonly string[] = [],
): unknown {
  if (schema.format === 'password') return secretAt(fieldName(path));
  if (schema.type === 'object') {
    const members = Object(config) as Config;
    const filled = Object.entries(schema.properties ?? {}).flatMap(([name, property]): [string, unknown][] => {
      const value = fillConfig(property, Object.hasOwn(members, name) ? members[name] : undefined, secretAt, [
        ...path,
        name,
      ]);
      return value === undefined ? [] : [[name, value]];
    });
    return config === undefined && filled.length === 0 ? undefined : Object.fromEntries(filled);
  }
  const { items } = schema;
  if (schema.type === 'array' && items !== undefined && Array.isArray(config) && hasPassword(items))
    return config.map((item: unknown) => fillConfig(items, item, secretAt, [...path, idOf(item)]));
  return config;
}

/** A config as it is shown. */
export function shownConfig(document: ConnectionDocument): Record<string, unknown> {
  const { config, credentials } = document;
  const shown = fillConfig(schemaOf(document), config, (name) =>
    credentialState(Object.hasOwn(credentials, name) ? credentials[name] : undefined),
  );
  return shown as Record<string, unknown>;
}
