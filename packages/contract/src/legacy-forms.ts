import { type MalformedPlaceholder, parseText } from './placeholders.ts';

/**
 * The ways in which texts of older installations and of Databricks name secrets. Found by their spelling alone; what they
 * mean is for whoever asks.
 *
 * Databricks: https://docs.databricks.com/aws/en/security/secrets/ — `{{secrets/SCOPE/KEY}}` in Spark properties and
 * environment variables, `dbutils.secrets.get` and `getBytes` in Python, Scala and R.
 */
export type LegacyForm =
  | { readonly kind: 'placeholder'; readonly key: string; readonly at: number; readonly isWhole: boolean }
  | (MalformedPlaceholder & { readonly kind: 'malformed-placeholder'; readonly isWhole: false })
  | {
      readonly kind: 'databricks-template' | 'databricks-call';
      /** Absent: the program makes them up as it runs. */
      readonly secret?: DatabricksSecret;
      readonly at: number;
      /** Nothing else is in the text. */
      readonly isWhole: boolean;
    };

export interface DatabricksSecret {
  readonly scope: string;
  readonly key: string;
}

/** Names in Databricks: alphanumeric characters, hyphens, underscores, periods and `@`, at most 128. */
export const databricksNamePattern = '^[A-Za-z0-9@._-]{1,128}$';

const template = /\{\{\s{0,8}secrets\/([A-Za-z0-9@._-]{1,128})\/([A-Za-z0-9@._-]{1,128})\s{0,8}\}\}/g;
const call = /\bdbutils\s{0,80}\.\s{0,80}secrets\s{0,80}\.\s{0,80}get(?:Bytes)?\b/g;
const argument = /^(?:(scope|key)\s*=\s*)?[rRuUbB]?(["'])([A-Za-z0-9@._-]{1,128})\2$/;
/** No reference names dots alone. */
const dots = /^\.{1,2}$/;
/** What a list of arguments is looked for in, which keeps the pass linear. */
const maxListLength = 1000;
const maxDepth = 8;

/** All of them, in the order in which they stand. */
export function legacyForms(text: string): LegacyForm[] {
  const { parts, malformed } = parseText(text);
  const placeholders = parts.flatMap((part): LegacyForm[] =>
    part.kind === 'placeholder'
      ? [{ kind: 'placeholder', key: part.key, at: part.at, isWhole: parts.length === 1 }]
      : [],
  );
  const broken = malformed.map((each): LegacyForm => ({ ...each, kind: 'malformed-placeholder', isWhole: false }));
  const templates = [...text.matchAll(template)].flatMap(
    ({ 0: whole, 1: scope = '', 2: key = '', index }): LegacyForm[] =>
      dots.test(scope) || dots.test(key)
        ? []
        : [{ kind: 'databricks-template', secret: { scope, key }, at: index, isWhole: whole === text.trim() }],
  );
  const calls = [...text.matchAll(call)].map(({ 0: name, index }): LegacyForm => {
    const { list, length } = readList(text.slice(index + name.length, index + name.length + maxListLength));
    const secret = list === undefined ? undefined : readArguments(list);
    return {
      kind: 'databricks-call',
      ...(secret === undefined ? {} : { secret }),
      at: index,
      isWhole: text.slice(index, index + name.length + length) === text.trim(),
    };
  });
  return [...placeholders, ...broken, ...templates, ...calls].toSorted((one, other) => one.at - other.at);
}

/**
 * What is between the parentheses that a text begins with, without comments, and where they end. A name that is not called here,
 * and a list that doesn't end, has none.
 */
function readList(text: string): { readonly list?: string; readonly length: number } {
  const [opening] = /^\s{0,80}\(/.exec(text) ?? [];
  if (opening === undefined) return { length: 0 };
  let list = '';
  let depth = 1;
  const piece = /(["'])(?:\\.|(?!\1)[^\\\n])*\1|(?:#|\/\/)[^\n]*|[^"'#/()]+|[\s\S]/gy;
  piece.lastIndex = opening.length;
  for (let found = piece.exec(text); found !== null && depth <= maxDepth; found = piece.exec(text)) {
    const [part] = found;
    if (part === '(') depth += 1;
    if (part === ')') depth -= 1;
    if (depth === 0) return { list, length: piece.lastIndex };
    if (!/^(?:#|\/\/)/.test(part)) list += part;
  }
  return { length: opening.length };
}

/** By name in either order, or by position; `undefined` when one of them is no literal. */
function readArguments(list: string): DatabricksSecret | undefined {
  const given = list
    // A line that goes on, in Python.
    .replaceAll('\\\n', '\n')
    .split(',')
    .map((text) => text.trim());
  // Both languages take a comma at the end.
  if (given.at(-1) === '') given.pop();
  if (given.length !== 2) return undefined;
  const found: { scope?: string; key?: string } = {};
  for (const [index, text] of given.entries()) {
    const [, name, , literal] = argument.exec(text) ?? [];
    if (literal === undefined) return undefined;
    const place = name ?? ['scope', 'key'][index];
    if (place === 'scope') found.scope = literal;
    else found.key = literal;
  }
  const { scope, key } = found;
  return scope === undefined || key === undefined || dots.test(scope) || dots.test(key) ? undefined : { scope, key };
}

const secretLooking = /pass(?:word|wd|phrase)?|token|secret|credential|(?:^|[^a-z])key|key$|private/i;

/** Whether a variable, property or file is called like a credential. */
export function looksSecret(name: string): boolean {
  return secretLooking.test(name);
}

/** Says the line, from 1, in which a place of a text is; looks through the text once, however many are asked for. */
export function linesOf(text: string): (at: number) => number {
  const ends: number[] = [];
  for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', end + 1)) ends.push(end);
  return (at) => {
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ends[middle] ?? Infinity) < at) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  };
}
