import { WORD_BYTES } from './bytes.ts';
import type { SortedPatterns } from './pattern-set.ts';

/** Longest value that is only searched for as a whole token. */
const MAX_TOKEN_BYTES = 7;
const MIN_TOKEN_BYTES = 4;

/** Values of 4–7 bytes, as two 32-bit keys in ascending order, and which pairs of bytes they hold. */
export interface TokenIndex {
  /** First four bytes, big-endian. */
  readonly high: Uint32Array;
  /** The other bytes, zero-padded, then the length. */
  readonly low: Uint32Array;
  readonly names: Uint32Array;
  /** By two bytes of text, little-endian: bit `n` says that a token has them at offset `n`. */
  readonly offsets: Uint8Array;
  /** By {@link headHash} of a token's first four bytes. */
  readonly heads: Uint8Array;
}

/** Every token has two bytes at each of the offsets 0, 1 and 2, so every third position of a text is enough. */
const STRIDE = 3;
const HEAD_BITS = 13;

/** Of four bytes, little-endian. */
const headHash = (head: number): number => Math.imul(head, 0x9e37_79b1) >>> (32 - HEAD_BITS);

type TokenMatch = (start: number, end: number, name: number) => void;

export function buildTokenIndex(patterns: SortedPatterns): TokenIndex {
  const { count, bytes } = patterns;
  const high = new Uint32Array(count);
  const low = new Uint32Array(count);
  const offsets = new Uint8Array(65_536);
  const heads = new Uint8Array(2 ** HEAD_BITS);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let index = 0; index < count; index++) {
    const start = patterns.starts[index] ?? 0;
    const length = patterns.lengths[index] ?? 0;
    high[index] = keyHigh(bytes, start, length);
    low[index] = keyLow(bytes, start, length);
    heads[headHash(view.getInt32(start, true))] = 1;
    for (let offset = 0; offset < STRIDE; offset++) {
      const slot = view.getUint16(start + offset, true);
      offsets[slot] = (offsets[slot] ?? 0) | (1 << offset);
    }
  }
  return { high, low, names: patterns.names.slice(0, count), offsets, heads };
}

export function zeroTokenIndex(index: TokenIndex): void {
  index.high.fill(0);
  index.low.fill(0);
  index.offsets.fill(0);
  index.heads.fill(0);
}

/**
 * Reports tokens that start in `text[from..end)` and whose right neighbour is known, or need none because the text is
 * `complete`. `view` covers `text`. Index 0 is the start of the text: no left neighbour. Returns the first position that more text may decide;
 * everything before it is decided.
 */
export function findTokens(
  index: TokenIndex,
  text: Uint8Array,
  view: DataView,
  from: number,
  end: number,
  complete: boolean,
  match: TokenMatch,
): number {
  const { offsets } = index;
  const last = end - MAX_TOKEN_BYTES - 1;
  let sample = from + STRIDE - 1;
  while (sample <= last) {
    // Four look-ups a turn, which the processor overlaps.
    for (const lastTurn = last - 3 * STRIDE; sample <= lastTurn; sample += 4 * STRIDE) {
      const found =
        (offsets[view.getUint16(sample, true)] ?? 0) |
        (offsets[view.getUint16(sample + STRIDE, true)] ?? 0) |
        (offsets[view.getUint16(sample + 2 * STRIDE, true)] ?? 0) |
        (offsets[view.getUint16(sample + 3 * STRIDE, true)] ?? 0);
      if (found !== 0) break;
    }
    for (const turnEnd = Math.min(last, sample + 3 * STRIDE); sample <= turnEnd; sample += STRIDE) {
      const found = offsets[view.getUint16(sample, true)] ?? 0;
      if (found !== 0) matchAround(index, text, view, sample, found, end, match);
    }
  }
  for (let at = Math.max(from, sample - STRIDE + 1); at < end; at++) {
    if (!startsToken(text, at)) continue;
    if (!complete && isPrefix(index, text, at, end)) return at;
    matchLongest(index, text, at, end, complete, match);
  }
  return end;
}

/** Tries the tokens that may have the two bytes at `sample`. */
function matchAround(
  index: TokenIndex,
  text: Uint8Array,
  view: DataView,
  sample: number,
  found: number,
  end: number,
  match: TokenMatch,
): void {
  for (let bits = found; bits !== 0;) {
    const offset = 31 - Math.clz32(bits);
    const at = sample - offset;
    bits ^= 1 << offset;
    if (startsToken(text, at) && index.heads[headHash(view.getInt32(at, true))] === 1) {
      matchLongest(index, text, at, end, false, match);
    }
  }
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
