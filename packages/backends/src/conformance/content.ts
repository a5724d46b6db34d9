import type { Content, Entry } from '../backend.ts';
import { assert } from './failure.ts';

/** Shows that an entry is what was written, without saying what it is. */
export function assertEntry(entry: Entry | null, expected: Content, what: string): asserts entry is Entry {
  assert(entry !== null, `${what}: nothing is there`);
  const [got, wanted] = [Buffer.from(entry.value.reveal()), Buffer.from(expected.value.reveal())];
  if (expected.shape === 'fields') {
    assertFields(got, wanted, what);
    return;
  }
  assert(got.equals(wanted), `${what}: ${describeDifference(got, wanted)}`);
  const isJson = entry.shape === 'fields' && fieldPairs(wanted) !== null;
  assert(entry.shape === expected.shape || isJson, `${what}: the shape is ${entry.shape}, not ${expected.shape}`);
}

function assertFields(got: Buffer, wanted: Buffer, what: string): void {
  const [pairs, expected] = [fieldPairs(got), fieldPairs(wanted)];
  assert(pairs !== null && expected !== null, `${what}: the value is not a JSON object of strings`);
  assert(new Set(pairs.map(([name]) => name)).size === pairs.length, `${what}: a field is there twice`);
  const sorted = (list: readonly (readonly [string, string])[]) => JSON.stringify([...list].sort(byName));
  const names = (list: readonly (readonly [string, string])[]) =>
    list
      .map(([name]) => name)
      .sort()
      .join('\0');
  assert(names(pairs) === names(expected), `${what}: other fields are there than were written`);
  assert(sorted(pairs) === sorted(expected), `${what}: the content of a field is not what was written`);
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function describeDifference(got: Buffer, wanted: Buffer): string {
  if (got.length !== wanted.length) return `${got.length} bytes came back of ${wanted.length}`;
  const at = got.findIndex((byte, index) => byte !== wanted[index]);
  return `byte ${at} of ${wanted.length} is not what was written`;
}

/** Whether the entry holds just this, in whichever shape it came. */
export function holds(entry: Entry, content: Content): boolean {
  return Buffer.from(entry.value.reveal()).equals(Buffer.from(content.value.reveal()));
}

const stringToken = /"(?:[^"\\]|\\.)*"/uy;

/**
 * Names and contents in the order in which the text has them, which `JSON.parse` loses for names like `10`; `null` when it
 * isn't a JSON object of strings.
 */
export function fieldPairs(bytes: Uint8Array): [string, string][] | null {
  const text = Buffer.from(bytes).toString('utf8');
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return null;
    if (!Object.values(parsed).every((value) => typeof value === 'string')) return null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  const strings: string[] = [];
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] !== '"') continue;
    stringToken.lastIndex = at;
    const token = stringToken.exec(text)?.[0] ?? '""';
    strings.push(JSON.parse(token) as string);
    at += token.length - 1;
  }
  return Array.from({ length: strings.length / 2 }, (_, index) => [
    strings[index * 2] ?? '',
    strings[index * 2 + 1] ?? '',
  ]);
}
