import { type BranchTable, createBranchTable, getBranch, setBranch } from './branch-table.ts';
import { RedactorLimitError } from './limit-error.ts';
import { BORDER_LEFT, BORDER_RIGHT, sharedPrefix, type SortedPatterns } from './pattern-set.ts';

/*
 * Aho and Corasick, "Efficient string matching" (CACM 18, 1975), laid out for memory: a pattern's bytes beyond what it
 * shares with the pattern before it take consecutive states, so the usual transition is `state + 1` and a state costs
 * five bytes. Only branches go through a hash table.
 */

/** Bits of `Automaton.meta`: the failure state, then flags, then the depth up to {@link DEEP}. */
const FAIL_MASK = 0x00ff_ffff;
const HAS_NEXT = 1 << 24;
const HAS_BRANCH = 1 << 25;
const HAS_OUTPUT = 1 << 26;
const DEPTH_SHIFT = 27;
/** Depths from here on aren't told apart in `meta`. */
const DEEP = 15;
const MAX_STATES = FAIL_MASK;
const UNKNOWN = 0xffff_ffff;

interface Trie {
  /** State 0 is the root. `labels[state]` is the byte that leads into it. */
  readonly labels: Uint8Array;
  readonly meta: Int32Array;
  /** State after one byte from the root. */
  readonly rootNext: Int32Array;
  readonly branches: BranchTable;
  /** Per pattern: its first own state, that state's depth and parent. States ascend. */
  readonly segmentStates: Uint32Array;
  readonly segmentDepths: Uint32Array;
  readonly segmentParents: Uint32Array;
  /** Per pattern. */
  readonly lengths: Uint32Array;
}

export interface Automaton extends Trie {
  readonly names: Uint32Array;
  /** Right borders include those of patterns that are suffixes of this one. */
  readonly borders: Uint8Array;
  readonly hasLeftBorder: boolean;
  /** Ascending states with {@link HAS_OUTPUT}, and the longest pattern that ends there. */
  readonly outputStates: Uint32Array;
  readonly outputPatterns: Uint32Array;
  readonly byteLength: number;
}

/** Builds the automaton; throws {@link RedactorLimitError} if it would take more than `limitBytes`. */
export function buildAutomaton(patterns: SortedPatterns, limitBytes: number): Automaton {
  const { count } = patterns;
  const segmentStates = new Uint32Array(count);
  const segmentDepths = new Uint32Array(count);
  let stateCount = 1;
  for (let index = 0; index < count; index++) {
    const shared = sharedPrefix(patterns, index);
    segmentStates[index] = stateCount;
    segmentDepths[index] = shared + 1;
    stateCount += (patterns.lengths[index] ?? 0) - shared;
  }
  const branches = createBranchTable(count);
  const fixedBytes = stateCount * 5 + count * 21 + branches.keys.byteLength * 2 + 1024;
  if (stateCount > MAX_STATES || fixedBytes > limitBytes) throw new RedactorLimitError(limitBytes, fixedBytes);

  const trie: Trie = {
    labels: new Uint8Array(stateCount),
    meta: new Int32Array(stateCount),
    rootNext: new Int32Array(256),
    branches,
    segmentStates,
    segmentDepths,
    segmentParents: new Uint32Array(count),
    lengths: patterns.lengths.slice(0, count),
  };
  layOutTrie(patterns, trie);
  const outputCount = linkFailures(trie);
  const byteLength = fixedBytes + outputCount * 8;
  if (byteLength > limitBytes) throw new RedactorLimitError(limitBytes, byteLength);
  const outputs = listOutputs(trie, outputCount);
  const borders = patterns.borders.slice(0, count);
  inheritRightBorders(trie, outputs, borders);
  return {
    ...trie,
    ...outputs,
    names: patterns.names.slice(0, count),
    borders,
    hasLeftBorder: borders.some((border) => (border & BORDER_LEFT) !== 0),
    byteLength,
  };
}

/** The depth of any state, in O(log patterns). */
export function depthOf(automaton: Trie, state: number): number {
  if (state === 0) return 0;
  const segment = segmentOf(automaton, state);
  return state - (automaton.segmentStates[segment] ?? 0) + (automaton.segmentDepths[segment] ?? 0);
}

/** The first pattern, in lexicographic order, that goes through `state`. */
export function segmentOf(automaton: Trie, state: number): number {
  const at = lowerBound(automaton.segmentStates, state);
  return automaton.segmentStates[at] === state ? at : at - 1;
}

/** The longest pattern that ends at `state`, which has {@link HAS_OUTPUT}. */
export function outputOf(outputs: Pick<Automaton, 'outputStates' | 'outputPatterns'>, state: number): number {
  return outputs.outputPatterns[lowerBound(outputs.outputStates, state)] ?? 0;
}

/** The depth of a state up to {@link DEEP}. */
export const shallowDepthOf = (automaton: Trie, state: number): number => (automaton.meta[state] ?? 0) >> DEPTH_SHIFT;

/**
 * Moves `cursor` over the text byte by byte until it enters a state with output (true), a failure leaves less depth than
 * `stopDepth`, or the text ends (false). Called again, it goes on.
 */
export function runAutomaton(
  automaton: Trie,
  cursor: { at: number; state: number },
  text: Uint8Array,
  end: number,
  stopDepth: number,
): boolean {
  const { labels, meta, rootNext, branches } = automaton;
  let { at, state } = cursor;
  let bits = meta[state] ?? 0;
  let hasOutput = false;
  while (at < end && !hasOutput) {
    const byte = text[at] ?? 0;
    at++;
    if ((bits & HAS_NEXT) !== 0 && labels[state + 1] === byte) {
      state++;
      bits = meta[state] ?? 0;
    } else {
      const target = state === 0 ? rootNext[byte] : (bits & HAS_BRANCH) === 0 ? 0 : getBranch(branches, state, byte);
      if (target === 0 || target === undefined) {
        state = step(automaton, bits & FAIL_MASK, byte);
        bits = meta[state] ?? 0;
        if (bits >> DEPTH_SHIFT < stopDepth) break;
      } else {
        state = target;
        bits = meta[state] ?? 0;
      }
    }
    hasOutput = (bits & HAS_OUTPUT) !== 0;
  }
  cursor.at = at;
  cursor.state = state;
  return hasOutput;
}

export function zeroAutomaton(automaton: Automaton): void {
  automaton.labels.fill(0);
  automaton.meta.fill(0);
  automaton.rootNext.fill(0);
  automaton.branches.keys.fill(0);
  automaton.branches.targets.fill(0);
}

/** Index of the first element not below `wanted`. */
function lowerBound(ascending: Uint32Array, wanted: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

const terminalOf = (trie: Trie, pattern: number): number =>
  (trie.segmentStates[pattern] ?? 0) + (trie.lengths[pattern] ?? 0) - (trie.segmentDepths[pattern] ?? 0);

function layOutTrie(patterns: SortedPatterns, trie: Trie): void {
  const { labels, meta, rootNext, branches, segmentParents } = trie;
  // The states of the pattern laid out last, by depth.
  let path = new Uint32Array(64);
  for (let index = 0; index < patterns.count; index++) {
    const start = (patterns.starts[index] ?? 0) - 1;
    const length = patterns.lengths[index] ?? 0;
    if (length >= path.length) {
      const grown = new Uint32Array(length * 2);
      grown.set(path);
      path = grown;
    }
    let depth = trie.segmentDepths[index] ?? 1;
    let state = trie.segmentStates[index] ?? 1;
    const parent = path[depth - 1] ?? 0;
    const first = patterns.bytes[start + depth] ?? 0;
    segmentParents[index] = parent;
    if (parent === 0) rootNext[first] = state;
    else if (parent === state - 1) meta[parent] = (meta[parent] ?? 0) | HAS_NEXT;
    else {
      meta[parent] = (meta[parent] ?? 0) | HAS_BRANCH;
      setBranch(branches, parent, first, state);
    }
    for (; depth <= length; depth++, state++) {
      path[depth] = state;
      labels[state] = patterns.bytes[start + depth] ?? 0;
      meta[state] = (Math.min(depth, DEEP) << DEPTH_SHIFT) | (depth < length ? HAS_NEXT : HAS_OUTPUT);
    }
  }
}

/** Sets failure states and HAS_OUTPUT, level by level; returns the number of states with output. */
function linkFailures(trie: Trie): number {
  const { lengths } = trie;
  const longestFirst = Uint32Array.from(lengths.keys()).sort((a, b) => (lengths[b] ?? 0) - (lengths[a] ?? 0));
  let outputCount = lengths.length;
  let reaching = lengths.length;
  for (let depth = 1; reaching > 0; depth++) {
    outputCount += linkLevel(trie, depth, longestFirst.subarray(0, reaching));
    while (reaching > 0 && (lengths[longestFirst[reaching - 1] ?? 0] ?? 0) <= depth) reaching--;
  }
  return outputCount;
}

/** Links the states at `depth` of patterns that reach it; returns how many got output from their failure state. */
function linkLevel(trie: Trie, depth: number, patterns: Uint32Array): number {
  const { labels, meta, segmentStates, segmentDepths, segmentParents } = trie;
  let outputCount = 0;
  for (let index = 0; index < patterns.length; index++) {
    const pattern = patterns[index] ?? 0;
    const own = depth - (segmentDepths[pattern] ?? 0);
    if (own < 0) continue;
    const state = (segmentStates[pattern] ?? 0) + own;
    const parent = own === 0 ? (segmentParents[pattern] ?? 0) : state - 1;
    const failure = parent === 0 ? 0 : step(trie, (meta[parent] ?? 0) & FAIL_MASK, labels[state] ?? 0);
    let bits = (meta[state] ?? 0) | failure;
    if ((bits & HAS_OUTPUT) === 0 && ((meta[failure] ?? 0) & HAS_OUTPUT) !== 0) {
      bits |= HAS_OUTPUT;
      outputCount++;
    }
    meta[state] = bits;
  }
  return outputCount;
}

/** The state after `byte`, following failures. */
function step(trie: Trie, from: number, byte: number): number {
  let state = from;
  while (state !== 0) {
    const bits = trie.meta[state] ?? 0;
    if ((bits & HAS_NEXT) !== 0 && trie.labels[state + 1] === byte) return state + 1;
    if ((bits & HAS_BRANCH) !== 0) {
      const target = getBranch(trie.branches, state, byte);
      if (target !== 0) return target;
    }
    state = bits & FAIL_MASK;
  }
  return trie.rootNext[byte] ?? 0;
}

function listOutputs(trie: Trie, count: number): { outputStates: Uint32Array; outputPatterns: Uint32Array } {
  const { meta, lengths } = trie;
  const outputStates = new Uint32Array(count);
  const outputPatterns = new Uint32Array(count).fill(UNKNOWN);
  let listed = 0;
  for (let state = 1; state < meta.length; state++) {
    if (((meta[state] ?? 0) & HAS_OUTPUT) !== 0) outputStates[listed++] = state;
  }
  for (let pattern = 0; pattern < lengths.length; pattern++) {
    outputPatterns[lowerBound(outputStates, terminalOf(trie, pattern))] = pattern;
  }
  // Along a chain of failures every state has the same answer; each is resolved once.
  const chain: number[] = [];
  for (let start = 0; start < count; start++) {
    let at = start;
    while (outputPatterns[at] === UNKNOWN) {
      chain.push(at);
      at = lowerBound(outputStates, (meta[outputStates[at] ?? 0] ?? 0) & FAIL_MASK);
    }
    const pattern = outputPatterns[at] ?? 0;
    for (const entry of chain) outputPatterns[entry] = pattern;
    chain.length = 0;
  }
  return { outputStates, outputPatterns };
}

/** Only the longest pattern that ends somewhere is reported, so it has to stand for its suffixes' right borders too. */
function inheritRightBorders(
  trie: Trie,
  outputs: Pick<Automaton, 'outputStates' | 'outputPatterns'>,
  borders: Uint8Array,
): void {
  const byLength = Uint32Array.from(trie.lengths.keys()).sort(
    (a, b) => (trie.lengths[a] ?? 0) - (trie.lengths[b] ?? 0),
  );
  for (const pattern of byLength) {
    const failure = (trie.meta[terminalOf(trie, pattern)] ?? 0) & FAIL_MASK;
    if (((trie.meta[failure] ?? 0) & HAS_OUTPUT) === 0) continue;
    const suffix = borders[outputOf(outputs, failure)] ?? 0;
    borders[pattern] = (borders[pattern] ?? 0) | (suffix & BORDER_RIGHT);
  }
}
