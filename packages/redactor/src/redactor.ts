import { type Automaton, buildAutomaton, zeroAutomaton } from './automaton.ts';
import { emitForms } from './forms.ts';
import { BORDER_LEFT, BORDER_RIGHT, PatternCollector } from './pattern-set.ts';
import { RedactingStream } from './stream.ts';
import { buildTokenIndex, type TokenIndex, zeroTokenIndex } from './token-index.ts';
import { classifyValue, type UnmaskedReason, unmaskedReason, visitParts } from './values.ts';
import { buildWindowIndex, type WindowIndex } from './window-index.ts';

export interface NamedValue {
  /** What replaces the value: `[redacted:NAME]`. Control characters in it are shown as `?`. */
  readonly name: string;
  readonly value: Uint8Array;
}

export interface RedactorOptions {
  /**
   * Most bytes the index may take; at most and by default {@link DEFAULT_INDEX_LIMIT_BYTES}. That is 10 MiB of forms; a
   * value has about 20–50 bytes of forms for each of its own.
   */
  readonly indexLimitBytes?: number;
}

export const DEFAULT_INDEX_LIMIT_BYTES = 60 * 1024 * 1024;

/** While the index is built: the byte itself, and a state of five bytes. */
const BYTES_A_FORM_BYTE = 6;

export interface UnmaskedValue {
  readonly name: string;
  /**
   * `empty` (nothing but blanks), `too_short` (1–3 bytes) and `common_word` speak of a whole value that isn't masked.
   * `json_leaf_too_short`: the value is masked, but a string of 1–3 bytes inside it isn't.
   */
  readonly reason: UnmaskedReason;
}

/** Masks one text. Chunk borders make no difference to what the chunks join to. */
export interface RedactorStream {
  /**
   * Takes the next bytes and returns what is decided so far. Held back is only what may still become a match: at most
   * the longest form's length, nothing where no form can begin.
   */
  push(chunk: Uint8Array): Uint8Array;
  /** Ends the text and returns the rest. The start of a form (8 bytes and more) at the end is masked too. */
  end(): Uint8Array;
}

/** An immutable set of patterns, shared by any number of streams. */
export interface Redactor {
  /** What isn't masked, to be shown to whoever saves or runs the configuration. */
  readonly unmasked: readonly UnmaskedValue[];
  /** Bytes held by the index. */
  readonly indexBytes: number;
  stream(): RedactorStream;
  /** Masks a whole text. Lone surrogates become U+FFFD. */
  redactText(text: string): string;
  /** Zeroes the patterns. Using the redactor or one of its streams afterwards throws. */
  dispose(): void;
}

/** What streams share. */
export interface PatternIndex {
  readonly automaton: Automaton;
  readonly windows: WindowIndex;
  /** Absent if no value is that short. */
  readonly tokens: TokenIndex | undefined;
  /** `[redacted:NAME]` by name index. */
  readonly masks: readonly Uint8Array[];
  readonly status: { isDisposed: boolean };
}

/**
 * Builds the patterns for `values`, which are copied and may be zeroed afterwards. Names may repeat. Throws
 * `RedactorLimitError` if the index would take more than its limit.
 */
export function createRedactor(values: readonly NamedValue[], options: RedactorOptions = {}): Redactor {
  const limitBytes = Math.min(options.indexLimitBytes ?? DEFAULT_INDEX_LIMIT_BYTES, DEFAULT_INDEX_LIMIT_BYTES);
  const encoded = new PatternCollector(Math.floor(limitBytes / BYTES_A_FORM_BYTE));
  const tokens = new PatternCollector(limitBytes);
  try {
    const unmasked = values.flatMap(({ name, value }, index) => {
      collectValue(value, index, encoded, tokens);
      const reason = unmaskedReason(value);
      return reason === undefined ? [] : [{ name, reason }];
    });
    const index = buildIndex(encoded, tokens, limitBytes, values.map(maskOf));
    return new PatternRedactor(index, unmasked);
  } finally {
    encoded.clear();
    tokens.clear();
  }
}

function collectValue(value: Uint8Array, nameIndex: number, encoded: PatternCollector, tokens: PatternCollector): void {
  const collect = (part: Uint8Array): boolean => {
    const kind = classifyValue(part);
    if (kind === 'token') tokens.add(part, nameIndex, 0);
    else if (kind === 'encoded') {
      encoded.startGroup();
      emitForms(part, (form, borderLeft, borderRight) =>
        encoded.add(form, nameIndex, (borderLeft ? BORDER_LEFT : 0) | (borderRight ? BORDER_RIGHT : 0)),
      );
    } else return false;
    return true;
  };
  if (!collect(value)) return;
  visitParts(value, collect, () => {});
}

function maskOf({ name }: NamedValue): Uint8Array {
  return new TextEncoder().encode(`[redacted:${name.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/gu, '?')}]`);
}

function buildIndex(
  encoded: PatternCollector,
  tokens: PatternCollector,
  limitBytes: number,
  masks: readonly Uint8Array[],
): PatternIndex {
  const patterns = encoded.sorted();
  const tokenPatterns = tokens.sorted();
  return {
    // The collected forms are still there while the automaton is built.
    automaton: buildAutomaton(patterns, limitBytes - encoded.byteLength),
    windows: buildWindowIndex(patterns),
    tokens: tokenPatterns.count === 0 ? undefined : buildTokenIndex(tokenPatterns),
    masks,
    status: { isDisposed: false },
  };
}

class PatternRedactor implements Redactor {
  readonly unmasked: readonly UnmaskedValue[];
  readonly indexBytes: number;
  readonly #index: PatternIndex;

  constructor(index: PatternIndex, unmasked: readonly UnmaskedValue[]) {
    const { automaton, windows, tokens } = index;
    this.#index = index;
    this.unmasked = unmasked;
    this.indexBytes =
      automaton.byteLength +
      windows.offsets.byteLength +
      windows.heads.byteLength +
      (tokens === undefined ? 0 : tokens.offsets.byteLength + tokens.heads.byteLength + tokens.high.byteLength * 3);
  }

  stream(): RedactorStream {
    return new RedactingStream(this.#index);
  }

  redactText(text: string): string {
    const stream = this.stream();
    const head = stream.push(new TextEncoder().encode(text));
    return Buffer.concat([head, stream.end()]).toString('utf8');
  }

  dispose(): void {
    const { automaton, windows, tokens, status } = this.#index;
    status.isDisposed = true;
    zeroAutomaton(automaton);
    windows.heads.fill(0);
    windows.offsets.fill(0);
    if (tokens !== undefined) zeroTokenIndex(tokens);
  }
}
