/**
 * Transitions that aren't `state + 1`: a hash table with open addressing from (state, byte) to state. Plain functions
 * over plain arrays: V8 keeps discarding optimised code of the hot loop when it calls a method with private parts.
 */
export interface BranchTable {
  readonly keys: Uint32Array;
  readonly targets: Uint32Array;
  readonly shift: number;
}

/** Holds up to `capacity` entries. */
export function createBranchTable(capacity: number): BranchTable {
  const bits = Math.max(4, Math.ceil(Math.log2(capacity * 2 + 1)));
  return { keys: new Uint32Array(2 ** bits), targets: new Uint32Array(2 ** bits), shift: 32 - bits };
}

export function setBranch({ keys, targets, shift }: BranchTable, state: number, byte: number, target: number): void {
  const slot = slotOf(keys, shift, state, byte);
  keys[slot] = ((state << 8) | byte) >>> 0;
  targets[slot] = target;
}

/** The state after `byte`, or 0. */
export function getBranch({ keys, targets, shift }: BranchTable, state: number, byte: number): number {
  return targets[slotOf(keys, shift, state, byte)] ?? 0;
}

// The root has a table of its own, so no key is 0.
function slotOf(keys: Uint32Array, shift: number, state: number, byte: number): number {
  const key = ((state << 8) | byte) >>> 0;
  const mask = keys.length - 1;
  let slot = Math.imul(key, 0x9e37_79b1) >>> shift;
  for (let found = keys[slot]; found !== 0 && found !== key; found = keys[slot]) slot = (slot + 1) & mask;
  return slot;
}
