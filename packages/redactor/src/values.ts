import { isUtf8 } from 'node:buffer';
import { ByteSink, isAlphanumeric, isBlank, isDigit, WORD_BYTES } from './bytes.ts';

/** Values at least this long are searched for in every form. */
export const MIN_ENCODED_BYTES = 8;
/** Values at least this long, and shorter than {@link MIN_ENCODED_BYTES}, are searched for raw and as whole tokens. */
export const MIN_TOKEN_BYTES = 4;

/**
 * Words that logs are full of; masking them would hide the log and protect nothing. Compared without regard to case.
 */
export const COMMON_WORDS: ReadonlySet<string> = new Set(
  (
    'true false null none nil undefined default empty unset yes no on off enabled disabled root admin administrator ' +
    'user username guest anonymous public private password passwd secret token changeme test testing example sample ' +
    'demo development staging production prod local localhost localhost.localdomain 127.0.0.1 0.0.0.0 http https ' +
    'info debug warn warning error'
  ).split(' '),
);

export type UnmaskedReason = 'empty' | 'too_short' | 'common_word' | 'json_leaf_too_short';

/** How a value or a part of it is searched for, or why it isn't. */
export function classifyValue(value: Uint8Array): 'encoded' | 'token' | Exclude<UnmaskedReason, 'json_leaf_too_short'> {
  if (value.every(isBlank)) return 'empty';
  if (value.length < MIN_TOKEN_BYTES) return 'too_short';
  if (value.length <= 32 && COMMON_WORDS.has(String.fromCharCode(...value).toLowerCase())) return 'common_word';
  return value.length < MIN_ENCODED_BYTES ? 'token' : 'encoded';
}

/** Why `value`, or a string inside it, won't be masked; undefined if all of it will. For saying so when it is saved. */
export function unmaskedReason(value: Uint8Array): UnmaskedReason | undefined {
  const kind = classifyValue(value);
  if (kind !== 'token' && kind !== 'encoded') return kind;
  let hasShortLeaf = false;
  visitParts(
    value,
    () => {},
    () => (hasShortLeaf = true),
  );
  return hasShortLeaf ? 'json_leaf_too_short' : undefined;
}

/** A leaf can be a document again; beyond this depth the leaf counts as a whole only. */
const MAX_NESTED_DOCUMENTS = 3;

/**
 * Calls `visit` for everything inside `value` that counts as a value of its own: leaves of a JSON object or array, lines
 * of a text of several lines, the joined body of each PEM block (RFC 7468). Views passed are only valid during the call.
 * `shortLeaf` is called when a non-empty JSON string is too short to be masked.
 */
export function visitParts(
  value: Uint8Array,
  visit: (part: Uint8Array) => void,
  shortLeaf: () => void,
  depth = 0,
): void {
  if (depth < MAX_NESTED_DOCUMENTS && isJsonDocument(value)) {
    visitJsonLeaves(value, (leaf, isString) => {
      if (isString && leaf.length > 0 && leaf.length < MIN_TOKEN_BYTES && !isCommonWord(leaf)) shortLeaf();
      visit(leaf);
      visitParts(leaf, visit, shortLeaf, depth + 1);
    });
    return;
  }
  visitLines(value, visit);
}

function isCommonWord(value: Uint8Array): boolean {
  return COMMON_WORDS.has(String.fromCharCode(...value).toLowerCase());
}

function isJsonDocument(value: Uint8Array): boolean {
  const first = value.find((byte) => !isBlank(byte));
  if ((first !== 0x7b && first !== 0x5b) || !isUtf8(value)) return false;
  try {
    JSON.parse(new TextDecoder().decode(value));
    return true;
  } catch {
    // Not JSON is an answer here. The error quotes the value, so it goes no further.
    return false;
  }
}

/** `json` is valid JSON. Numbers are taken as written, so that no precision is lost. Keys aren't leaves. */
function visitJsonLeaves(json: Uint8Array, visit: (leaf: Uint8Array, isString: boolean) => void): void {
  const sink = new ByteSink(json.length + 1);
  let index = 0;
  while (index < json.length) {
    const byte = json[index] ?? 0;
    if (byte === 0x22) {
      sink.clear();
      index = readJsonString(json, index + 1, sink);
      let next = index;
      while (next < json.length && isBlank(json[next] ?? 0)) next++;
      if (json[next] !== 0x3a) visit(sink.view(), true);
    } else if (byte === 0x2d || isDigit(byte)) {
      const start = index;
      while (index < json.length && (isAlphanumeric(json[index] ?? 0) || '+-.'.includes(charAt(json, index)))) index++;
      visit(json.subarray(start, index), false);
    } else index++;
  }
  sink.clear();
}

const charAt = (bytes: Uint8Array, index: number): string => String.fromCharCode(bytes[index] ?? 0);

const JSON_ESCAPED: Readonly<Record<string, number>> = { b: 8, t: 9, n: 10, f: 12, r: 13, '"': 34, '\\': 92, '/': 47 };

/** Unescapes from `index` (after the opening quote) into `sink`; returns the index after the closing quote. */
function readJsonString(json: Uint8Array, index: number, sink: ByteSink): number {
  let highSurrogate = 0;
  for (; index < json.length && json[index] !== 0x22; index++) {
    if (json[index] !== 0x5c) {
      sink.push(json[index] ?? 0);
      continue;
    }
    index++;
    const plain = JSON_ESCAPED[charAt(json, index)];
    if (plain !== undefined) {
      sink.push(plain);
      continue;
    }
    let unit = 0;
    for (let digit = 1; digit <= 4; digit++) unit = unit * 16 + Number.parseInt(charAt(json, index + digit), 16);
    index += 4;
    if (unit >= 0xd800 && unit < 0xdc00 && json[index + 1] === 0x5c && charAt(json, index + 2) === 'u') {
      highSurrogate = unit;
      continue;
    }
    if (highSurrogate !== 0 && unit >= 0xdc00 && unit < 0xe000) {
      pushUtf8(sink, 0x10000 + ((highSurrogate - 0xd800) << 10) + (unit - 0xdc00));
    } else pushUtf8(sink, unit);
    highSurrogate = 0;
  }
  return index + 1;
}

function pushUtf8(sink: ByteSink, codePoint: number): void {
  if (codePoint < 0x80) sink.push(codePoint);
  else if (codePoint < 0x800) {
    sink.push(0xc0 | (codePoint >> 6));
    sink.push(0x80 | (codePoint & 0x3f));
  } else {
    if (codePoint < 0x10000) sink.push(0xe0 | (codePoint >> 12));
    else {
      sink.push(0xf0 | (codePoint >> 18));
      sink.push(0x80 | ((codePoint >> 12) & 0x3f));
    }
    sink.push(0x80 | ((codePoint >> 6) & 0x3f));
    sink.push(0x80 | (codePoint & 0x3f));
  }
}

/** Lines without the blanks around them, which logs like to change; a value of one line counts if it had such blanks. */
function visitLines(value: Uint8Array, visit: (part: Uint8Array) => void): void {
  const body = new ByteSink(value.length + 1);
  let inPem = false;
  for (let start = 0; start <= value.length;) {
    const newline = value.indexOf(0x0a, start);
    const end = newline === -1 ? value.length : newline;
    const line = trim(value.subarray(start, end));
    if (startsWith(line, '-----BEGIN ')) {
      inPem = true;
      body.clear();
    } else if (startsWith(line, '-----END ')) {
      if (inPem && body.view().length > 0) visit(body.view());
      inPem = false;
    } else {
      // A line of punctuation alone (`---`, `====`) is a ruler, not a secret.
      if (line.length < value.length && line.some((byte) => WORD_BYTES[byte] === 1)) visit(line);
      // RFC 1421 headers inside a block ("Proc-Type: 4,ENCRYPTED") aren't part of its body.
      if (inPem && !line.includes(0x3a)) for (const byte of line) body.push(byte);
    }
    start = end + 1;
  }
  body.clear();
}

function trim(bytes: Uint8Array): Uint8Array {
  let start = 0;
  let end = bytes.length;
  while (start < end && isBlank(bytes[start] ?? 0)) start++;
  while (end > start && isBlank(bytes[end - 1] ?? 0)) end--;
  return bytes.subarray(start, end);
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  if (bytes.length < text.length) return false;
  for (let index = 0; index < text.length; index++) if (bytes[index] !== text.charCodeAt(index)) return false;
  return true;
}
