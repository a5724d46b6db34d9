import type { SortedPatterns } from './pattern-set.ts';

/**
 * Where a pattern can begin at all, after Wu and Manber, "A fast algorithm for multi-pattern searching" (1994): the last
 * four bytes of a window of text say how far the window may move before any pattern's head can fit it.
 */
export interface WindowIndex {
  /** Bytes of every pattern's head that are looked at; no pattern is shorter. */
  readonly windowBytes: number;
  readonly shifts: Uint8Array;
  readonly shiftBits: number;
  /** One bit for each whole head, by {@link headHash}. */
  readonly heads: Uint8Array;
  readonly headBits: number;
}

const BLOCK_BYTES = 4;
const MAX_WINDOW_BYTES = 14;
const HASH_A = 0x9e37_79b1;
const HASH_B = 0x85eb_ca6b;

export const blockHash = (block: number, bits: number): number => Math.imul(block, HASH_A) >>> (32 - bits);

/** Of the first and the last four bytes of a window. */
export const headHash = (first: number, last: number, bits: number): number =>
  Math.imul(Math.imul(first, HASH_B) ^ last, HASH_A) >>> (32 - bits);

/** All patterns have at least eight bytes. */
export function buildWindowIndex(patterns: SortedPatterns): WindowIndex {
  const shortest = patterns.lengths.subarray(0, patterns.count).reduce((a, b) => Math.min(a, b), MAX_WINDOW_BYTES);
  const windowBytes = shortest;
  const blocks = windowBytes - BLOCK_BYTES + 1;
  const shiftBits = Math.min(20, Math.max(12, Math.ceil(Math.log2(patterns.count * blocks * 8 + 1))));
  const headBits = Math.min(20, Math.max(12, Math.ceil(Math.log2(patterns.count * 32 + 1))));
  const shifts = new Uint8Array(2 ** shiftBits).fill(blocks);
  const heads = new Uint8Array(2 ** (headBits - 3));
  const view = new DataView(patterns.bytes.buffer, patterns.bytes.byteOffset);
  for (let index = 0; index < patterns.count; index++) {
    const start = patterns.starts[index] ?? 0;
    for (let offset = 0; offset < blocks; offset++) {
      const slot = blockHash(view.getInt32(start + offset, true), shiftBits);
      shifts[slot] = Math.min(shifts[slot] ?? 0, blocks - 1 - offset);
    }
    const last = view.getInt32(start + blocks - 1, true);
    const head = headHash(view.getInt32(start, true), last, headBits);
    heads[head >> 3] = (heads[head >> 3] ?? 0) | (1 << (head & 7));
  }
  return { windowBytes, shifts, shiftBits, heads, headBits };
}
