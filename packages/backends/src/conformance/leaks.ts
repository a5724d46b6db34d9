import { inspect } from 'node:util';

/** Shorter texts are found everywhere by chance. */
const fewestCharacters = 8;

/**
 * Where an error holds one of the texts: its message, stack, own properties, what `inspect` prints and JSON, and the same of
 * its causes; raw, in base64 at each alignment, in hex, URL-encoded and JSON-escaped. `null` when it holds none.
 */
export function leakIn(error: unknown, texts: readonly string[]): string | null {
  const needles = texts.filter((text) => text.length >= fewestCharacters).flatMap(encodings);
  const places = placesOf(error);
  for (const [place, content] of places) {
    const lower = content.toLowerCase();
    const isThere = needles.some(({ text, isCaseless }) => (isCaseless ? lower : content).includes(text));
    if (isThere) return place;
  }
  return null;
}

interface Needle {
  readonly text: string;
  readonly isCaseless: boolean;
}

function encodings(text: string): Needle[] {
  const bytes = Buffer.from(text);
  const quoted = [JSON.stringify(text), inspect(text, { maxStringLength: null })].map((form) => form.slice(1, -1));
  const exact = [text, encodeURIComponent(text), ...quoted, ...base64Alignments(bytes)];
  return [
    ...exact.map((form) => ({ text: form, isCaseless: false })),
    { text: bytes.toString('hex'), isCaseless: true },
  ];
}

/** Base64 of the bytes wherever they begin within a longer text, without the characters that their neighbours change. */
function base64Alignments(bytes: Buffer): string[] {
  const cut = [
    [0, 0],
    [1, 2],
    [2, 3],
  ] as const;
  return cut.flatMap(([before, skipped]) => {
    const whole = Buffer.concat([Buffer.alloc(before), bytes]);
    const even = whole.subarray(0, whole.length - (whole.length % 3));
    const form = even.toString('base64').slice(skipped);
    return [form, form.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

function placesOf(error: unknown): [string, string][] {
  const places: [string, string][] = [];
  let current = error;
  for (let depth = 0; depth < 10 && current !== undefined && current !== null; depth += 1) {
    const where = depth === 0 ? 'the error' : `cause ${depth} of the error`;
    if (current instanceof Error) {
      places.push([`the message of ${where}`, current.message], [`the stack of ${where}`, current.stack ?? '']);
    }
    const printed = inspect(current, { depth: 12, showHidden: true, maxStringLength: null, maxArrayLength: null });
    places.push([`what inspect prints of ${where}`, printed], [`the JSON of ${where}`, jsonOf(current)]);
    current = current instanceof Error ? current.cause : undefined;
  }
  return places;
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch (error) {
    if (error instanceof TypeError) return '';
    throw error;
  }
}
