import { randomBytes } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Unique values for tests, and the search for them afterwards.
 *
 * Every value that a test gives to Strongroom is a canary. Whatever the test produced — responses, logs, audit records,
 * metrics, database and WAL files, working folders — is then searched for each canary: raw, in hex, URL-encoded,
 * JSON-escaped, and in base64 at each of its three alignments.
 */
export class Canaries {
  readonly #values = new Map<string, Uint8Array>();
  readonly #texts: { readonly where: string; readonly bytes: Buffer }[] = [];
  readonly #directories = new Set<string>();
  readonly #allowed = new Map<string, Set<string>>();

  /**
   * A fresh value of 30 characters with what encoders like to change: quotes, a backslash, `+ / & %`, a non-ASCII letter.
   * `name` is what a failure says.
   */
  text(name: string): string {
    const value = `${markText}-${randomBytes(9).toString('base64url')}"\\+/&%é${randomBytes(3).toString('hex')}`;
    this.add(name, value);
    return value;
  }

  /** A fresh value that is safe in every syntax: for places where only the flow matters. */
  plain(name: string): string {
    const value = `${markText}${randomBytes(14).toString('hex')}`;
    this.add(name, value);
    return value;
  }

  /** Takes a value made elsewhere (a token, a password) under watch. */
  add(name: string, value: string | Uint8Array): void {
    this.#values.set(name, typeof value === 'string' ? Buffer.from(value) : value);
  }

  /** Something the test produced. */
  saw(where: string, content: string | Uint8Array): void {
    this.#texts.push({ where, bytes: Buffer.from(content) });
  }

  /** A folder whose files, at any depth, are searched when {@link leaks} is called. */
  watchDirectory(path: string): void {
    this.#directories.add(path);
  }

  /** This one place may hold this one value: a delivery that the test asked for. */
  allow(name: string, where: string): void {
    const places = this.#allowed.get(name) ?? new Set();
    places.add(where);
    this.#allowed.set(name, places);
  }

  /** Every place where a canary was found, in words; empty when nothing leaked. */
  leaks(): string[] {
    const found: string[] = [];
    const places = [...this.#texts, ...[...this.#directories].flatMap(filesBelow)];
    // Most values begin alike: where no form of that beginning is, none of them is.
    const marked = new Set(places.filter(({ bytes }) => markForms.some((form) => bytes.includes(form))));
    for (const [name, value] of this.#values) {
      const forms = encodedForms(value);
      const isMarked = Buffer.from(value).subarray(0, mark.length).equals(mark);
      for (const place of isMarked ? marked : places) {
        if (this.#allowed.get(name)?.has(place.where) === true) continue;
        for (const [form, pattern] of forms) {
          if (place.bytes.includes(pattern)) found.push(`${name} (${form}) in ${place.where}`);
        }
      }
    }
    return found;
  }

  /** @throws Error naming canary, encoding and place; never the value. */
  assertNoLeak(): void {
    const found = this.leaks();
    if (found.length > 0) throw new Error(`A value leaked:\n${found.join('\n')}`);
    if (this.#values.size === 0) throw new Error('No canary was set: this test can not fail');
  }
}

/** What the values made here begin with. */
const markText = 'cnry';
const mark = Buffer.from(markText);
/** As it looks in each of {@link encodedForms}; in base64 without the characters that depend on the neighbours. */
const markForms: readonly Buffer[] = [
  mark,
  Buffer.from(mark.toString('hex')),
  Buffer.from(mark.toString('hex').toUpperCase()),
  Buffer.from(mark).reverse(),
  ...[0, 1, 2].map((alignment) => {
    const padded = Buffer.concat([Buffer.alloc(alignment), mark]);
    const whole = Math.floor((padded.length * 8) / 6);
    return Buffer.from(padded.toString('base64').slice(alignment === 0 ? 0 : alignment + 1, whole));
  }),
];

/** Without those that a server's threads remove meanwhile. */
function filesBelow(path: string): { readonly where: string; readonly bytes: Buffer }[] {
  try {
    const stats = lstatSync(path);
    if (stats.isDirectory()) return readdirSync(path).flatMap((name) => filesBelow(join(path, name)));
    return stats.isFile() ? [{ where: path, bytes: readFileSync(path) }] : [];
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** The ways in which a value may have been written down. */
export function encodedForms(value: Uint8Array): readonly (readonly [form: string, bytes: Buffer])[] {
  const raw = Buffer.from(value);
  const text = raw.toString('utf8');
  const json = JSON.stringify(text).slice(1, -1);
  const forms: (readonly [string, string | Buffer])[] = [
    ['raw', raw],
    ['hex', raw.toString('hex')],
    ['HEX', raw.toString('hex').toUpperCase()],
    ['url', encodeURIComponent(text)],
    ['form', encodeURIComponent(text).replaceAll('%20', '+')],
    ['json', json],
    [
      'json ascii',
      json.replace(/[^\u0020-\u007e]/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`),
    ],
    ['reversed', Buffer.from(raw).reverse()],
  ];
  for (const alignment of [0, 1, 2]) {
    // Characters that depend on the neighbours are cut off at both ends.
    const padded = Buffer.concat([Buffer.alloc(alignment), raw]);
    const start = alignment === 0 ? 0 : alignment + 1;
    const whole = Math.floor((padded.length * 8) / 6);
    forms.push([`base64 at ${alignment}`, padded.toString('base64').slice(start, whole)]);
    forms.push([`base64url at ${alignment}`, padded.toString('base64url').slice(start, whole)]);
  }
  const seen = new Set<string>();
  return forms
    .map(([form, bytes]) => [form, Buffer.from(bytes as string)] as const)
    .filter(
      ([, bytes]) => bytes.length >= 8 && !seen.has(bytes.toString('latin1')) && seen.add(bytes.toString('latin1')),
    );
}
