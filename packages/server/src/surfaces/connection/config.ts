import {
  type ConfigSchema,
  CredentialInput,
  connectionTypes,
  hasPlaceholder,
  unresolvedConfigReason,
  unresolvedMessage,
  type UnresolvedReason,
} from '@strongroom/contract';
import type { ScopeRef } from '../../access/types.ts';
import { createValidatorCompiler, type Validator } from '../../http/validation.ts';
import { type CredentialInput as SentCredential, credentialState, readCredential } from '../credential-fields.ts';
import type { CredentialChange, FieldProblems } from '../definition.ts';
import { checkPlainText } from '../plain-text.ts';
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
  for (const { pointer, message } of answer.error.errors ?? []) {
    const text = valueAt(config, pointer);
    // The words to choose from are no help to who wrote a placeholder there.
    const said = typeof text === 'string' && hasPlaceholder(text) ? unresolvedMessage('choice') : message;
    problems.add(`/config${pointer}`, said === 'is not a field of this request' ? 'is not in the schema' : said);
  }
}

function valueAt(config: Config, pointer: string): unknown {
  const names = pointer.split('/').slice(1);
  return names.reduce<unknown>((part, name) => Object(part)[name.replaceAll('~1', '/').replaceAll('~0', '~')], config);
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
  // `isItem`, of an object: it is known by its id; of a text: it is such an id.
  const read = (part: ConfigSchema, value: unknown, path: readonly string[], isItem = false): unknown => {
    if (part.type === 'object') {
      const members = value as Config;
      return Object.fromEntries(
        Object.entries(part.properties ?? {}).flatMap(([name, property]): [string, unknown][] => {
          if (!Object.hasOwn(members, name)) return [];
          const at = [...path, name];
          if (property.format !== 'password')
            return [[name, read(property, members[name], at, isItem && name === 'id')]];
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
      return all.map((item, index) => read(items, item, [...path, isKeyed ? idOf(item) : `${index}`], isKeyed));
    }
    // An id is looked at with the others of its list.
    if (typeof value === 'string' && !isItem) checkText(value, path, unresolvedConfigReason(part, false), problems);
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
    if (hasPlaceholder(id)) problems.add(pointer, unresolvedMessage('name'));
    else if (!itemId.test(id)) problems.add(pointer, 'An id is 1 to 63 letters, digits, dots, - and _.');
    if (seen.has(id)) problems.add(pointer, 'Another item of the list has this id.');
    seen.add(id);
  }
}

/** @param reason why no placeholder is resolved in it, if so */
function checkText(
  text: string,
  path: readonly string[],
  reason: UnresolvedReason | undefined,
  problems: FieldProblems,
): void {
  const pointer = `/${fieldName(path)}`;
  if (/^secret:|secret:\/\/(?:domain|global|admin)\//i.test(text))
    problems.add(pointer, 'Only fields of format password take a reference; this one is used as it is written.');
  else if (reason !== undefined && hasPlaceholder(text)) problems.add(pointer, unresolvedMessage(reason));
  else checkPlainText(text, pointer, problems);
}

/** A plain text of a config. */
export interface ConfigText {
  readonly path: readonly string[];
  readonly text: string;
}

/**
 * The texts of a config in which placeholders are resolved.
 * @param isItem of an object: it is known by its id; of a text: it is such an id
 */
export function configTexts(
  schema: ConfigSchema,
  config: unknown,
  path: readonly string[] = [],
  isItem = false,
): ConfigText[] {
  if (schema.format === 'password') return [];
  if (typeof config === 'string')
    return unresolvedConfigReason(schema, isItem) === undefined ? [{ path, text: config }] : [];
  const members = Object(config) as Config;
  if (schema.type === 'object') {
    return Object.entries(schema.properties ?? {}).flatMap(([name, property]) =>
      configTexts(
        property,
        Object.hasOwn(members, name) ? members[name] : undefined,
        [...path, name],
        isItem && name === 'id',
      ),
    );
  }
  const { items } = schema;
  if (schema.type !== 'array' || items === undefined || !Array.isArray(config)) return [];
  const isKeyed = hasPassword(items);
  return config.flatMap((item: unknown, index) => configTexts(items, item, [...path, `${index}`], isKeyed));
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
