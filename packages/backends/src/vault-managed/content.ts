import { StrongroomError } from '@strongroom/contract/core';
import { CryptoError, SecretValue } from '@strongroom/crypto';
import type { Content } from '../backend.ts';
import { writeField } from '../vault/entries.ts';
import { isObject, type JsonObject } from '../vault/json.ts';
import { malformed } from '../vault/statuses.ts';
import type { WriteMark } from './mark.ts';

/** Holds a text, as in the legacy layout. */
const textField = 'value';
/** Holds bytes: a name of its own, so that nobody takes the encoding for the value. */
const binaryField = 'valueBase64';

/** Bytes of one value. */
export const maxValueBytes = 512 * 1024;
/** Bytes of a request: storages of Vault take about a mebibyte in one entry (raft's max_entry_size). */
const maxRequestBytes = 960 * 1024;

/** The entry's own members, as they are written. */
export interface Members {
  readonly shape: Content['shape'];
  readonly members: Readonly<Record<string, string>>;
}

/** @throws StrongroomError `validation_failed` for fields that are none; `backend_limit`. Neither repeats anything of it. */
export function membersOf({ value, shape }: Content): Members {
  if (value.byteLength > maxValueBytes) throw tooLarge(`${maxValueBytes} bytes of one value`);
  if (shape === 'binary') return { shape, members: { [binaryField]: base64Of(value) } };
  const text = textOf(value);
  return { shape, members: shape === 'text' ? { [textField]: text } : readFields(text) };
}

/** The whole request of a write. @throws StrongroomError `backend_limit` */
export function writeRequest(data: Readonly<Record<string, unknown>>, cas: number): SecretValue {
  const body = SecretValue.fromText(JSON.stringify({ options: { cas }, data }));
  if (body.byteLength <= maxRequestBytes) return body;
  body.destroy();
  throw tooLarge(`${maxRequestBytes} bytes of one secret as it is written`);
}

/** Which members of a secret are the entry's own; what isn't is somebody else's and stays. */
function ownNames(data: JsonObject, mark: WriteMark | null): readonly string[] {
  const shape = mark?.shape ?? (Object.hasOwn(data, textField) ? 'text' : 'fields');
  if (shape === 'text') return [textField];
  if (shape === 'binary') return [binaryField];
  if (shape === 'deleted') return [];
  return (mark?.fields ?? Object.keys(data)).filter((name) => name !== writeField && Object.hasOwn(data, name));
}

/** @throws StrongroomError `backend_malformed` for what isn't text or base64 */
export function contentOf(
  data: JsonObject,
  mark: WriteMark | null,
): Content & { readonly fieldNames: readonly string[] | null } {
  const names = ownNames(data, mark);
  const [first = ''] = names;
  if (names.length === 1 && first === textField && mark?.shape !== 'fields')
    return { shape: 'text', value: toSecret(textAt(data, textField)), fieldNames: null };
  if (names.length === 1 && first === binaryField && mark?.shape === 'binary')
    return { shape: 'binary', value: bytesAt(data), fieldNames: null };
  const members = names.map((name) => `${JSON.stringify(name)}:${JSON.stringify(textAt(data, name))}`);
  return { shape: 'fields', value: toSecret(`{${members.join(',')}}`), fieldNames: names };
}

/** What stays when the entry is written anew or taken away. */
export function foreignMembers(data: JsonObject, mark: WriteMark | null): Record<string, unknown> {
  const own = new Set([...ownNames(data, mark), writeField]);
  return Object.fromEntries(Object.entries(data).filter(([name]) => !own.has(name)));
}

function readFields(text: string): Record<string, string> {
  const parsed = parse(text);
  if (!isObject(parsed) || !Object.values(parsed).every((value) => typeof value === 'string'))
    throw invalid('The value is not a JSON object of texts.');
  if (Object.hasOwn(parsed, writeField)) throw invalid(`A field can not be called ${writeField}.`);
  return parsed as Record<string, string>;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // The parser quotes its input.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function base64Of(value: SecretValue): string {
  const bytes = Buffer.from(value.reveal().buffer);
  const text = bytes.toString('base64');
  bytes.fill(0);
  return text;
}

function textOf(value: SecretValue): string {
  try {
    return value.revealText();
  } catch (error) {
    if (error instanceof CryptoError) throw invalid('The value is not text in UTF-8.');
    throw error;
  }
}

function textAt(data: JsonObject, name: string): string {
  const value = Object.hasOwn(data, name) ? data[name] : undefined;
  if (typeof value !== 'string') throw malformed('a field of the secret is not text');
  return value;
}

function bytesAt(data: JsonObject): SecretValue {
  const text = textAt(data, binaryField);
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw malformed('the bytes of the secret are not in base64');
  const value = SecretValue.fromBytes(bytes);
  bytes.fill(0);
  return value;
}

function toSecret(text: string): SecretValue {
  try {
    return SecretValue.fromText(text);
  } catch (error) {
    if (error instanceof CryptoError) throw malformed('a field of the secret is not text');
    throw error;
  }
}

function invalid(detail: string): StrongroomError {
  return new StrongroomError('validation_failed', { detail });
}

function tooLarge(limit: string): StrongroomError {
  return new StrongroomError('backend_limit', { detail: `The managed store in Vault takes at most ${limit}.` });
}
