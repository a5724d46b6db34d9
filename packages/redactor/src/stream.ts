import { depthOf, outputOf, runAutomaton, segmentOf, shallowDepthOf } from './automaton.ts';
import { BASE64_BYTES, ByteSink } from './bytes.ts';
import { BORDER_LEFT, BORDER_RIGHT } from './pattern-set.ts';
import type { PatternIndex, RedactorStream } from './redactor.ts';
import { mergeSpans, SpanList } from './spans.ts';
import { findTokens } from './token-index.ts';
import { MIN_ENCODED_BYTES } from './values.ts';
import { findHead } from './window-index.ts';

/** Text is worked on in blocks of this size, so that it stays in the processor's cache. */
const BLOCK_BYTES = 64 * 1024;
const FIRST_CAPACITY = 4096;

/**
 * The text from one byte before the first undecided one is kept in one buffer; all positions are indices into it.
 *
 * `#cursor` is the automaton's state after the text before it: the state's depth is the length of the longest suffix that some
 * pattern begins with, which is exactly what has to be held back.
 */
export class RedactingStream implements RedactorStream {
  readonly #index: PatternIndex;
  #text = new Uint8Array(FIRST_CAPACITY);
  #view = new DataView(this.#text.buffer);
  #length = 0;
  readonly #cursor = { at: 0, state: 0 };
  /** Everything before this was given out or is inside a span. */
  #released = 0;
  /** Where the search for whole tokens goes on. */
  #tokensFrom = 0;
  #spans = new SpanList();
  /** A match ended with the text, and one more base64 character would belong to it. */
  #isBorderOpen = false;
  #isEnded = false;
  #output = new ByteSink(0);

  constructor(index: PatternIndex) {
    this.#index = index;
  }

  push(chunk: Uint8Array): Uint8Array {
    this.#assertUsable();
    this.#output = new ByteSink(this.#length - this.#released + chunk.length);
    for (let start = 0; start < chunk.length; start += BLOCK_BYTES) {
      this.#append(chunk.subarray(start, start + BLOCK_BYTES));
      this.#advance(false);
    }
    return this.#output.take();
  }

  end(): Uint8Array {
    this.#assertUsable();
    this.#isEnded = true;
    this.#advance(true);
    this.#text.fill(0);
    return this.#output.take();
  }

  #assertUsable(): void {
    if (this.#index.status.isDisposed) throw new Error('The redactor was disposed');
    if (this.#isEnded) throw new Error('The stream has ended');
  }

  #append(block: Uint8Array): void {
    if (this.#length + block.length > this.#text.length) this.#makeRoom(block.length);
    this.#text.set(block, this.#length);
    this.#length += block.length;
  }

  /** Drops what was released, but for one byte of left context; grows if that frees less than half: O(1) a byte. */
  #makeRoom(byteLength: number): void {
    const dropped = Math.max(0, this.#released - 1);
    const kept = this.#length - dropped;
    const capacity = this.#text.length;
    if (kept + byteLength > capacity || dropped < capacity / 2) {
      let grown = capacity;
      while (grown < kept + byteLength || grown < kept * 2) grown *= 2;
      const text = new Uint8Array(grown);
      text.set(this.#text.subarray(dropped, this.#length));
      this.#text.fill(0);
      this.#text = text;
      this.#view = new DataView(text.buffer);
    } else this.#text.copyWithin(0, dropped, this.#length);
    this.#length = kept;
    this.#cursor.at -= dropped;
    this.#released -= dropped;
    this.#tokensFrom -= dropped;
    this.#spans.shift(dropped);
  }

  #advance(isComplete: boolean): void {
    const { automaton, tokens } = this.#index;
    const text = this.#text;
    if (this.#isBorderOpen && this.#cursor.at < this.#length) {
      if (BASE64_BYTES[text[this.#cursor.at] ?? 0] === 1) this.#spans.extendLast();
      this.#isBorderOpen = false;
    }
    this.#scan();
    const depth = depthOf(automaton, this.#cursor.state);
    if (isComplete && depth >= MIN_ENCODED_BYTES)
      this.#addMatch(this.#length, depth, segmentOf(automaton, this.#cursor.state));
    let hold = this.#length;
    if (!isComplete) {
      hold -= depth;
      // The byte before may be the base64 character that a match shares with its left neighbour.
      if (automaton.hasLeftBorder && hold > 0 && BASE64_BYTES[text[hold - 1] ?? 0] === 1) hold--;
    }
    if (tokens !== undefined) {
      const found = new SpanList();
      this.#tokensFrom = findTokens(
        tokens,
        text,
        this.#view,
        this.#tokensFrom,
        this.#length,
        isComplete,
        (start, end, name) => found.add(start, end, end - start, name),
      );
      if (found.spans.length > 0) this.#spans = mergeSpans(this.#spans, found);
      hold = Math.min(hold, this.#tokensFrom);
    }
    this.#release(hold, isComplete);
  }

  /** Runs the automaton to the end of the text, but over the stretches where no pattern can begin. */
  #scan(): void {
    const { automaton, windows } = this.#index;
    const cursor = this.#cursor;
    const end = this.#length;
    // Runs of one character come to the same state again and again.
    let outputState = 0;
    let pattern = 0;
    while (cursor.at < end) {
      const depth = shallowDepthOf(automaton, cursor.state);
      if (depth < windows.windowBytes) {
        cursor.at = findHead(windows, this.#view, cursor.at - depth, end);
        cursor.state = 0;
      }
      const stopDepth = cursor.at <= end - windows.windowBytes - windows.stride ? windows.windowBytes : 0;
      while (runAutomaton(automaton, cursor, this.#text, end, stopDepth)) {
        if (cursor.state !== outputState) {
          outputState = cursor.state;
          pattern = outputOf(automaton, outputState);
        }
        this.#addMatch(cursor.at, automaton.lengths[pattern] ?? 0, pattern);
      }
    }
  }

  #addMatch(end: number, length: number, pattern: number): void {
    const { automaton } = this.#index;
    const text = this.#text;
    const borders = automaton.borders[pattern] ?? 0;
    const start = end - length;
    const hasLeft = (borders & BORDER_LEFT) !== 0 && start > 0 && BASE64_BYTES[text[start - 1] ?? 0] === 1;
    const hasRight = (borders & BORDER_RIGHT) !== 0 && end < this.#length && BASE64_BYTES[text[end] ?? 0] === 1;
    this.#isBorderOpen = (borders & BORDER_RIGHT) !== 0 && end === this.#length;
    const name = automaton.names[pattern] ?? 0;
    this.#spans.add(hasLeft ? start - 1 : start, hasRight ? end + 1 : end, length, name);
  }

  /** Gives out the text before `hold`, and every span that nothing can join any more. */
  #release(hold: number, isComplete: boolean): void {
    const { spans } = this.#spans;
    let closed = 0;
    for (const span of spans) {
      if (span.end > hold || (this.#isBorderOpen && !isComplete && span.end === this.#length)) break;
      this.#emitText(span.start);
      this.#output.pushAll(this.#index.masks[span.name] ?? new Uint8Array());
      this.#released = Math.max(this.#released, span.end);
      closed++;
    }
    if (closed > 0) spans.splice(0, closed);
    const open = spans[0];
    if (open === undefined) this.#emitText(hold);
    else {
      this.#emitText(Math.min(open.start, hold));
      this.#released = Math.max(this.#released, Math.min(open.end, hold));
    }
  }

  #emitText(end: number): void {
    if (end <= this.#released) return;
    this.#output.pushAll(this.#text.subarray(this.#released, end));
    this.#released = end;
  }
}
