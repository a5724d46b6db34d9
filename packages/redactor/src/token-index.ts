import { WORD_BYTES } from './bytes.ts';
import type { SortedPatterns } from './pattern-set.ts';

/** Longest value that is only searched for as a whole token. */
export const MAX_TOKEN_BYTES = 7;
const MIN_TOKEN_BYTES = 4;

/** Values of 4–7 bytes, as two 32-bit keys in ascending order, and which pairs of bytes they hold. */
export interface TokenIndex {
  /** First four bytes, big-endian. */
  readonly high: Uint32Array;
  /** The other bytes, zero-padded, then the length. */
  readonly low: Uint32Array;
  readonly names: Uint32Array;
  /** By two bytes of text: how far a window of four may move; 0 where a token's first four bytes may end. */
  readonly shifts: Uint8Array;
}

export type TokenMatch = (start: number, end: number, name: number) => void;

export function buildTokenIndex(patterns: SortedPatterns): TokenIndex {
  const { count, bytes } = patterns;
  const high = new Uint32Array(count);
  const low = new Uint32Array(count);
  const shifts = new Uint8Array(65_536).fill(3);
  for (let index = 0; index < count; index++) {
    const start = patterns.starts[index] ?? 0;
    const length = patterns.lengths[index] ?? 0;
    high[index] = keyHigh(bytes, start, length);
    low[index] = keyLow(bytes, start, length);
    for (let offset = 0; offset < 3; offset++) {
      const slot = ((bytes[start + offset] ?? 0) << 8) | (bytes[start + offset + 1] ?? 0);
      shifts[slot] = Math.min(shifts[slot] ?? 0, 2 - offset);
    }
  }
  return { high, low, names: patterns.names.slice(0, count), shifts };
}

export function zeroTokenIndex(index: TokenIndex): void {
  index.high.fill(0);
  index.low.fill(0);
  index.shifts.fill(0);
}

/**
 * Reports tokens that start in `text[from..end)` and whose right neighbour is known, or need none because the text is
 * `complete`. Index 0 is the start of the text: no left neighbour. Returns the first position that more text may decide;
 * everything before it is decided.
 */
export function findTokens(
  index: TokenIndex,
  text: Uint8Array,
  from: number,
  end: number,
  complete: boolean,
  match: TokenMatch,
): number {
  const { shifts } = index;
  let at = from;
  while (at + MAX_TOKEN_BYTES < end) {
    const shift = shifts[((text[at + 2] ?? 0) << 8) | (text[at + 3] ?? 0)] ?? 0;
    if (shift === 0 && startsToken(text, at)) matchLongest(index, text, at, end, false, match);
    at += shift === 0 ? 1 : shift;
  }
  for (; at < end; at++) {
    if (!startsToken(text, at)) continue;
    if (!complete && isPrefix(index, text, at, end)) return at;
    matchLongest(index, text, at, end, complete, match);
  }
  return end;
}

const startsToken = (text: Uint8Array, at: number): boolean => at === 0 || WORD_BYTES[text[at - 1] ?? 0] === 0;

function matchLongest(
  index: TokenIndex,
  text: Uint8Array,
  at: number,
  end: number,
  complete: boolean,
  match: TokenMatch,
): void {
  for (let length = MAX_TOKEN_BYTES; length >= MIN_TOKEN_BYTES; length--) {
    const tokenEnd = at + length;
    const isWhole = tokenEnd < end ? WORD_BYTES[text[tokenEnd] ?? 0] === 0 : complete && tokenEnd === end;
    if (!isWhole) continue;
    const high = keyHigh(text, at, length);
    const low = keyLow(text, at, length);
    const found = lowerBound(index, high, low);
    if (index.high[found] === high && index.low[found] === low) {
      match(at, tokenEnd, index.names[found] ?? 0);
      return;
    }
  }
}

/** Whether some token is, or begins with, the 1–7 bytes `text[at..end)`. */
function isPrefix(index: TokenIndex, text: Uint8Array, at: number, end: number): boolean {
  const length = end - at;
  const high = keyHigh(text, at, length);
  const low = (keyLow(text, at, length) & 0xffff_ff00) >>> 0;
  const found = lowerBound(index, high, low);
  if (found === index.high.length) return false;
  // The first token not below the zero-padded bytes has them as its prefix, or no token has.
  const highMask = length >= 4 ? 0xffff_ffff : (0xffff_ffff << (8 * (4 - length))) >>> 0;
  const lowMask = length <= 4 ? 0 : (0xffff_ffff << (8 * (8 - length))) >>> 0;
  return ((index.high[found] ?? 0) & highMask) >>> 0 === high && ((index.low[found] ?? 0) & lowMask) >>> 0 === low;
}

function lowerBound(index: TokenIndex, high: number, low: number): number {
  let first = 0;
  let last = index.high.length;
  while (first < last) {
    const middle = (first + last) >>> 1;
    const middleHigh = index.high[middle] ?? 0;
    if (middleHigh < high || (middleHigh === high && (index.low[middle] ?? 0) < low)) first = middle + 1;
    else last = middle;
  }
  return first;
}

function keyHigh(bytes: Uint8Array, start: number, length: number): number {
  let key = 0;
  for (let offset = 0; offset < 4; offset++) key = (key << 8) | (offset < length ? (bytes[start + offset] ?? 0) : 0);
  return key >>> 0;
}

function keyLow(bytes: Uint8Array, start: number, length: number): number {
  let key = 0;
  for (let offset = 4; offset < 7; offset++) key = (key << 8) | (offset < length ? (bytes[start + offset] ?? 0) : 0);
  return ((key << 8) | length) >>> 0;
}
