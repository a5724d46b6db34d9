import { type ConfigSchema, connectionTypes } from '@strongroom/contract';
import type { Destination, FieldProblems } from '../definition.ts';
import { schemaOf } from './config.ts';
import type { ConnectionDocument } from './document.ts';
import { fieldName } from './document.ts';

/** Where a connection's secrets go. */

/** The host and port that its type names; `null` for a type without, and where nothing is written. */
export function destinationOf({ type, config }: ConnectionDocument): Destination | null {
  const declared = connectionTypes.get(type)?.destination;
  const text = declared === undefined ? undefined : config[declared.field];
  return declared === undefined || typeof text !== 'string' ? null : readHostPort(text, declared);
}

const hostPort = /^([A-Za-z0-9][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?$/;

/** The first of `host:port,host:port`, or of a URL; `null` for what is neither. */
function readHostPort(text: string, fallback: { readonly scheme: string; readonly port: number }): Destination | null {
  if (text.includes('://')) return readUrl(text);
  const match = hostPort.exec(text.split(',')[0]?.trim() ?? '');
  const port = match?.[2] === undefined ? fallback.port : Number(match[2]);
  if (match?.[1] === undefined || port < 1 || port > 65_535) return null;
  return { scheme: fallback.scheme, host: match[1].toLowerCase(), port };
}

const ports: Readonly<Record<string, number>> = { http: 80, https: 443 };

function readUrl(text: string): Destination | null {
  const url = URL.parse(text);
  const scheme = url?.protocol.slice(0, -1) ?? '';
  const port = url === null || url.port === '' ? ports[scheme] : Number(url.port);
  if (url === null || port === undefined || port === 0 || url.hostname === '' || !Object.hasOwn(ports, scheme))
    return null;
  return { scheme, host: url.hostname, port };
}

/**
 * Everything that says where secrets go: fields with `x-destination`. Of a schema that marks none, all of the config, since
 * any of it may.
 */
export function boundTo(document: ConnectionDocument): unknown {
  const marked: unknown[] = [];
  visit(schemaOf(document), document.config, [], (name, value) => marked.push([name, value]));
  const isMarked = hasMark(schemaOf(document));
  return isMarked ? [document.type, marked] : [document.type, document.config];
}

/** Notes addresses with a user in them, and those that the type's test and destinations could not be read from. */
export function checkDestinations(document: ConnectionDocument, problems: FieldProblems): void {
  visit(schemaOf(document), document.config, [], (name, value) => {
    if (typeof value === 'string' && value.includes('@'))
      problems.add(`/${name}`, 'An address has no user and no password in it.');
  });
  const field = connectionTypes.get(document.type)?.destination?.field;
  if (field !== undefined && typeof document.config[field] === 'string' && destinationOf(document) === null)
    problems.add(`/config/${field}`, 'It is host:port, or an http or https URL.');
}

function hasMark(schema: ConfigSchema): boolean {
  if (schema['x-destination'] === true) return true;
  const { items, properties = {} } = schema;
  return (items !== undefined && hasMark(items)) || Object.values(properties).some(hasMark);
}

function visit(
  schema: ConfigSchema,
  value: unknown,
  path: readonly string[],
  found: (name: string, value: unknown) => void,
): void {
  if (value === undefined) return;
  if (schema['x-destination'] === true) found(fieldName(path), value);
  for (const [name, property] of Object.entries(schema.properties ?? {}))
    visit(property, (value as Readonly<Record<string, unknown>>)[name], [...path, name], found);
  const { items } = schema;
  if (items !== undefined && Array.isArray(value))
    for (const [index, item] of value.entries()) visit(items, item, [...path, `${index}`], found);
}
