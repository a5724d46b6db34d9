import { type FieldError, StrongroomError } from '@strongroom/contract';
import { isSafeNumber } from 'lossless-json';

/** Containers inside containers; no body of the API comes near. */
export const maxJsonDepth = 64;
/** Members of all objects and items of all arrays together. */
export const maxJsonMembers = 100_000;
/** A number's text; longer ones can't be exact anyway. */
const maxNumberLength = 64;
const maxFieldErrors = 50;
/** Keys of one object that are looked through one by one. */
const maxFewKeys = 16;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads a JSON document exactly or not at all: what `JSON.parse` would silently change (invalid UTF-8, duplicate keys,
 * numbers beyond IEEE 754 doubles) is refused, and so is what it would choke on (depth, number of members).
 *
 * @throws StrongroomError `request_malformed`; `validation_failed` for text that can't be stored as it is: lone
 * surrogates (RFC 8259 §8.2) and `__proto__` as a key anywhere, NUL anywhere but in the text of a value.
 */
export function parseJsonBody(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw malformed('The body is not UTF-8.');
  }
  const scan = scanJson(text);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    // The error quotes the text around the place.
    throw malformed('The body is not a JSON document.');
  }
  if (scan.hasUnusualKey || text.includes('\\u')) checkText(document);
  return document;
}

/** The keys of one object. A list is faster than a set while it is short, which bodies of the API keep it. */
class SeenKeys {
  readonly #few: string[] = [];
  #many: Set<string> | undefined;

  /** @returns whether it was not there yet */
  add(key: string): boolean {
    if (this.#many === undefined) {
      if (this.#few.includes(key)) return false;
      if (this.#few.push(key) > maxFewKeys) this.#many = new Set(this.#few);
      return true;
    }
    const { size } = this.#many;
    return this.#many.add(key).size > size;
  }
}

interface Scan {
  readonly hasUnusualKey: boolean;
}

/**
 * One pass over the text. It knows just enough of the grammar to find keys and numbers in a valid document; whether the
 * document is valid is for `JSON.parse` to say afterwards.
 */
function scanJson(text: string): Scan {
  // One entry per open container: the keys seen, or null for an array.
  const open: (SeenKeys | null)[] = [];
  let keys: SeenKeys | null = null;
  let expectsKey = false;
  let members = 0;
  let hasUnusualKey = false;
  let at = 0;
  while (at < text.length) {
    switch (text.charCodeAt(at)) {
      case 0x7b: // {
      case 0x5b: // [
        if (open.length === maxJsonDepth) throw malformed(`The body is nested deeper than ${maxJsonDepth}.`);
        expectsKey = text.charCodeAt(at) === 0x7b;
        keys = expectsKey ? new SeenKeys() : null;
        open.push(keys);
        at += 1;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        open.pop();
        keys = open.at(-1) ?? null;
        expectsKey = false;
        at += 1;
        break;
      case 0x2c: // ,
        members += 1;
        if (members > maxJsonMembers) throw malformed(`The body has more than ${maxJsonMembers} members.`);
        expectsKey = keys !== null;
        at += 1;
        break;
      case 0x22: {
        const end = endOfString(text, at);
        if (expectsKey && keys !== null) {
          const key = keyText(text.slice(at, end));
          if (!keys.add(key)) throw malformed(`The body has the same key twice, at character ${at}.`);
          if (key === '__proto__') hasUnusualKey = true;
          expectsKey = false;
        }
        at = end;
        break;
      }
      case 0x2d:
      case 0x30:
      case 0x31:
      case 0x32:
      case 0x33:
      case 0x34:
      case 0x35:
      case 0x36:
      case 0x37:
      case 0x38:
      case 0x39:
        at = endOfNumber(text, at);
        break;
      default:
        at += 1;
    }
  }
  return { hasUnusualKey };
}

/** Where the string that begins at `start` ends, its closing quote included. */
function endOfString(text: string, start: number): number {
  let quote = start;
  for (;;) {
    quote = text.indexOf('"', quote + 1);
    if (quote === -1) throw malformed('The body is not a JSON document.');
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === 0x5c) backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
  }
}

function keyText(quoted: string): string {
  if (!quoted.includes('\\')) return quoted.slice(1, -1);
  try {
    return String(JSON.parse(quoted));
  } catch {
    throw malformed('The body is not a JSON document.');
  }
}

function endOfNumber(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length && isNumberCharacter(text.charCodeAt(end))) end += 1;
  const number = text.slice(start, end);
  // Fifteen digits are always exact, and by far the most common.
  if (end - start <= 15 && !/[.eE]/.test(number)) return end;
  if (end - start > maxNumberLength || !isSafeNumber(number))
    throw malformed(`The number at character ${start} cannot be kept exactly.`);
  return end;
}

/** `0-9 + - . e E` */
function isNumberCharacter(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) || code === 0x2b || code === 0x2d || code === 0x2e || code === 0x65 || code === 0x45
  );
}

/** Refuses text that some part of the way would alter. The depth is bounded, so recursion is safe. */
function checkText(document: unknown): void {
  const errors: FieldError[] = [];
  const visit = (node: unknown, pointer: string, mayHoldNul: boolean): void => {
    if (errors.length >= maxFieldErrors) return;
    if (typeof node === 'string') {
      if (!node.isWellFormed()) errors.push({ pointer, message: 'must not hold a lone surrogate' });
      else if (!mayHoldNul && node.includes('\0')) errors.push({ pointer, message: 'must not hold NUL' });
    } else if (Array.isArray(node)) {
      for (const [index, item] of node.entries()) visit(item, `${pointer}/${index}`, false);
    } else if (typeof node === 'object' && node !== null) {
      for (const [key, member] of Object.entries(node)) {
        if (!key.isWellFormed() || key.includes('\0') || key === '__proto__')
          errors.push({ pointer, message: 'must not have a key with NUL, a lone surrogate, or the key __proto__' });
        else visit(member, `${pointer}/${escapePointer(key)}`, key === 'value' || /(?:^|\/)fields$/.test(pointer));
      }
    }
  };
  visit(document, '', false);
  if (errors.length > 0) throw new StrongroomError('validation_failed', { errors });
}

/** A reference token of a JSON pointer (RFC 6901 §3). */
export function escapePointer(token: string): string {
  return token.replaceAll('~', '~0').replaceAll('/', '~1');
}

function malformed(detail: string): StrongroomError {
  return new StrongroomError('request_malformed', { detail });
}
