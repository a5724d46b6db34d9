import { RedactorLimitError } from './limit-error.ts';

/** Distinct byte patterns in lexicographic order, each with the name it is replaced by. */
export interface SortedPatterns {
  readonly count: number;
  /** Pattern `index` is `bytes[starts[index] .. starts[index] + lengths[index])`. */
  readonly bytes: Uint8Array;
  readonly starts: Uint32Array;
  readonly lengths: Uint32Array;
  /** Index of the name. Of equal patterns the one added first gives the name. */
  readonly names: Uint32Array;
  /** {@link BORDER_LEFT} and {@link BORDER_RIGHT}; of equal patterns all borders count. */
  readonly borders: Uint8Array;
}

export const BORDER_LEFT = 1;
export const BORDER_RIGHT = 2;

/** Collects patterns in one block of memory that is zeroed on `clear`. */
export class PatternCollector {
  readonly #limitBytes: number;
  #bytes = new Uint8Array(4096);
  #length = 0;
  readonly #starts: number[] = [];
  readonly #names: number[] = [];
  readonly #borders: number[] = [];
  #groupStart = 0;

  /** More than `limitBytes` of patterns throw {@link RedactorLimitError}. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get byteLength(): number {
    return this.#length;
  }

  /** Equal patterns added since the last call are kept once: most values look the same in many forms. */
  startGroup(): void {
    this.#groupStart = this.#starts.length;
  }

  add(pattern: Uint8Array, name: number, borders: number): void {
    for (let index = this.#groupStart; index < this.#starts.length; index++) {
      if (!this.#equals(index, pattern)) continue;
      this.#borders[index] = (this.#borders[index] ?? 0) | borders;
      return;
    }
    const needed = this.#length + pattern.length;
    if (needed > this.#limitBytes) throw new RedactorLimitError(this.#limitBytes, needed);
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(Math.max(needed, this.#bytes.length * 2), this.#limitBytes));
      grown.set(this.#bytes);
      this.#bytes.fill(0);
      this.#bytes = grown;
    }
    this.#bytes.set(pattern, this.#length);
    this.#starts.push(this.#length);
    this.#names.push(name);
    this.#borders.push(borders);
    this.#length = needed;
  }

  #lengthOf(index: number): number {
    return (this.#starts[index + 1] ?? this.#length) - (this.#starts[index] ?? 0);
  }

  #equals(index: number, pattern: Uint8Array): boolean {
    if (this.#lengthOf(index) !== pattern.length) return false;
    const start = this.#starts[index] ?? 0;
    for (let offset = 0; offset < pattern.length; offset++) {
      if (this.#bytes[start + offset] !== pattern[offset]) return false;
    }
    return true;
  }

  /** The result shares this collector's memory: `clear` ends both. */
  sorted(): SortedPatterns {
    const bytes = this.#bytes;
    const starts = this.#starts;
    const count = starts.length;
    const lengthOf = (index: number): number => this.#lengthOf(index);
    const order = Uint32Array.from({ length: count }, (_, index) => index);
    order.sort((a, b) => {
      const difference = compareRanges(bytes, starts[a] ?? 0, lengthOf(a), starts[b] ?? 0, lengthOf(b));
      return difference === 0 ? a - b : difference;
    });
    const result = {
      bytes,
      starts: new Uint32Array(count),
      lengths: new Uint32Array(count),
      names: new Uint32Array(count),
      borders: new Uint8Array(count),
    };
    let kept = 0;
    for (const index of order) {
      const start = starts[index] ?? 0;
      const length = lengthOf(index);
      const last = kept - 1;
      if (kept > 0 && compareRanges(bytes, result.starts[last] ?? 0, result.lengths[last] ?? 0, start, length) === 0) {
        result.borders[last] = (result.borders[last] ?? 0) | (this.#borders[index] ?? 0);
        continue;
      }
      result.starts[kept] = start;
      result.lengths[kept] = length;
      result.names[kept] = this.#names[index] ?? 0;
      result.borders[kept] = this.#borders[index] ?? 0;
      kept++;
    }
    return { ...result, count: kept };
  }

  clear(): void {
    this.#bytes.fill(0);
    this.#length = 0;
  }
}

function compareRanges(bytes: Uint8Array, a: number, aLength: number, b: number, bLength: number): number {
  const common = Math.min(aLength, bLength);
  for (let index = 0; index < common; index++) {
    const difference = (bytes[a + index] ?? 0) - (bytes[b + index] ?? 0);
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

/** How many leading bytes pattern `index` shares with the one before it. */
export function sharedPrefix(patterns: SortedPatterns, index: number): number {
  if (index === 0) return 0;
  const { bytes, starts, lengths } = patterns;
  const a = starts[index - 1] ?? 0;
  const b = starts[index] ?? 0;
  const common = Math.min(lengths[index - 1] ?? 0, lengths[index] ?? 0);
  let shared = 0;
  while (shared < common && bytes[a + shared] === bytes[b + shared]) shared++;
  return shared;
}
