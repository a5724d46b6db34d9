import type { SortedPatterns } from './pattern-set.ts';

/**
 * Where a pattern can begin at all. Every pattern has at least `stride + 3` bytes, so wherever it begins, exactly one of
 * the blocks of four bytes that start at every `stride`-th position of the text is one of its first `stride` blocks. Only
 * those blocks are looked at (a fixed step, where Wu and Manber's "A fast algorithm for multi-pattern searching", 1994,
 * computes the next step from the last look-up, which a processor can't overlap).
 */
export interface WindowIndex {
  /** Bytes of every pattern's head that are looked at. */
  readonly windowBytes: number;
  readonly stride: number;
  /** By {@link blockHash}: bit `n` says that a head has such a block at offset `n`. */
  readonly offsets: Uint8Array;
  readonly blockShift: number;
  /** One bit for each whole head, by {@link headHash}. */
  readonly heads: Uint8Array;
  readonly headShift: number;
}

const BLOCK_BYTES = 4;
/** Gives a stride of 8, the bits of an entry of `WindowIndex.offsets`. */
const MAX_WINDOW_BYTES = 11;
const HASH_A = 0x9e37_79b1;
const HASH_B = 0x85eb_ca6b;

const blockHash = (block: number, shift: number): number => Math.imul(block, HASH_A) >>> shift;

/** Of the first and the last four bytes of a window. */
const headHash = (first: number, last: number, shift: number): number =>
  Math.imul(Math.imul(first, HASH_B) ^ last, HASH_A) >>> shift;

/** All patterns have at least eight bytes. */
export function buildWindowIndex(patterns: SortedPatterns): WindowIndex {
  const { count, bytes, starts } = patterns;
  const windowBytes = patterns.lengths
    .subarray(0, count)
    .reduce((least, length) => Math.min(least, length), MAX_WINDOW_BYTES);
  const stride = windowBytes - BLOCK_BYTES + 1;
  const blockShift = 32 - bitsFor(count * stride * 8);
  const headShift = 32 - bitsFor(count * 32);
  const offsets = new Uint8Array(2 ** (32 - blockShift));
  const heads = new Uint8Array(2 ** (29 - headShift));
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let index = 0; index < count; index++) {
    const start = starts[index] ?? 0;
    for (let offset = 0; offset < stride; offset++) {
      const slot = blockHash(view.getInt32(start + offset, true), blockShift);
      offsets[slot] = (offsets[slot] ?? 0) | (1 << offset);
    }
    const last = view.getInt32(start + windowBytes - BLOCK_BYTES, true);
    const head = headHash(view.getInt32(start, true), last, headShift);
    heads[head >> 3] = (heads[head >> 3] ?? 0) | (1 << (head & 7));
  }
  return { windowBytes, stride, offsets, blockShift, heads, headShift };
}

const bitsFor = (entries: number): number => Math.min(20, Math.max(12, Math.ceil(Math.log2(entries + 1))));

/**
 * The first position from `from` on where some pattern's head may be. If there is none, the position from which on less
 * than `windowBytes + stride` of the text is left: nothing begins before it. `view` covers the text.
 */
export function findHead(index: WindowIndex, view: DataView, from: number, end: number): number {
  const { windowBytes, stride, offsets, blockShift } = index;
  const last = end - windowBytes;
  let at = from + stride - 1;
  while (at <= last) {
    // Four look-ups a turn, which the processor overlaps: three times as fast as one.
    for (const lastTurn = last - 3 * stride; at <= lastTurn; at += 4 * stride) {
      const second = at + stride;
      const third = second + stride;
      const fourth = third + stride;
      const found =
        (offsets[Math.imul(view.getInt32(at, true), HASH_A) >>> blockShift] ?? 0) |
        (offsets[Math.imul(view.getInt32(second, true), HASH_A) >>> blockShift] ?? 0) |
        (offsets[Math.imul(view.getInt32(third, true), HASH_A) >>> blockShift] ?? 0) |
        (offsets[Math.imul(view.getInt32(fourth, true), HASH_A) >>> blockShift] ?? 0);
      if (found !== 0) break;
    }
    for (const turnEnd = Math.min(last, at + 3 * stride); at <= turnEnd; at += stride) {
      const found = offsets[blockHash(view.getInt32(at, true), blockShift)] ?? 0;
      const head = found === 0 ? -1 : headAmong(index, view, at, found);
      if (head !== -1) return head;
    }
  }
  return Math.max(from, at - stride + 1);
}

/** Of the heads that may have a block at `at`, the one that begins first and is known; -1 if there is none. */
function headAmong(index: WindowIndex, view: DataView, at: number, found: number): number {
  const { windowBytes, heads, headShift } = index;
  for (let bits = found; bits !== 0;) {
    const offset = 31 - Math.clz32(bits);
    const start = at - offset;
    const last = view.getInt32(start + windowBytes - BLOCK_BYTES, true);
    const head = headHash(view.getInt32(start, true), last, headShift);
    if ((((heads[head >> 3] ?? 0) >> (head & 7)) & 1) !== 0) return start;
    bits ^= 1 << offset;
  }
  return -1;
}
