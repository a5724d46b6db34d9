/** Transitions that aren't `state + 1`: a hash table with open addressing from (state, byte) to state. */
export class BranchTable {
  readonly keys: Uint32Array;
  readonly targets: Uint32Array;
  readonly shift: number;

  /** Holds up to `capacity` entries. */
  constructor(capacity: number) {
    const bits = Math.max(4, Math.ceil(Math.log2(capacity * 2 + 1)));
    this.keys = new Uint32Array(2 ** bits);
    this.targets = new Uint32Array(2 ** bits);
    this.shift = 32 - bits;
  }

  get byteLength(): number {
    return this.keys.byteLength * 2;
  }

  set(state: number, byte: number, target: number): void {
    const slot = this.#slot(state, byte);
    this.keys[slot] = ((state << 8) | byte) >>> 0;
    this.targets[slot] = target;
  }

  /** The state after `byte`, or 0. */
  get(state: number, byte: number): number {
    return this.targets[this.#slot(state, byte)] ?? 0;
  }

  clear(): void {
    this.keys.fill(0);
    this.targets.fill(0);
  }

  // The root has a table of its own, so no key is 0.
  #slot(state: number, byte: number): number {
    const key = ((state << 8) | byte) >>> 0;
    const mask = this.keys.length - 1;
    let slot = Math.imul(key, 0x9e37_79b1) >>> this.shift;
    while (this.keys[slot] !== 0 && this.keys[slot] !== key) slot = (slot + 1) & mask;
    return slot;
  }
}
