import { parseText } from './placeholders.ts';

/**
 * The ways in which texts of older installations and of Databricks name secrets. Found by their spelling alone; what they
 * mean is for whoever asks.
 *
 * Databricks: https://docs.databricks.com/aws/en/security/secrets/ — `{{secrets/SCOPE/KEY}}` in Spark properties and
 * environment variables, `dbutils.secrets.get` and `getBytes` in Python, Scala and R.
 */
export type LegacyForm =
  | { readonly kind: 'placeholder'; readonly key: string; readonly at: number; readonly isWhole: boolean }
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
const call = /\bdbutils\s{0,80}\.\s{0,80}secrets\s{0,80}\.\s{0,80}get(?:Bytes)?\s{0,80}\(([^()]{0,800})\)/g;
const argument = /^(?:(scope|key)\s*=\s*)?[rRuUbB]?(["'])([A-Za-z0-9@._-]{1,128})\2$/;

/** All of them, in the order in which they stand. */
export function legacyForms(text: string): LegacyForm[] {
  const { parts } = parseText(text);
  const placeholders = parts.flatMap((part): LegacyForm[] =>
    part.kind === 'placeholder'
      ? [{ kind: 'placeholder', key: part.key, at: part.at, isWhole: parts.length === 1 }]
      : [],
  );
  const templates = [...text.matchAll(template)].map(({ 0: whole, 1: scope = '', 2: key = '', index }): LegacyForm => ({
    kind: 'databricks-template',
    secret: { scope, key },
    at: index,
    isWhole: whole === text.trim(),
  }));
  const calls = [...text.matchAll(call)].map(({ 0: whole, 1: list = '', index }): LegacyForm => {
    const secret = readArguments(list);
    return {
      kind: 'databricks-call',
      ...(secret === undefined ? {} : { secret }),
      at: index,
      isWhole: whole === text.trim(),
    };
  });
  return [...placeholders, ...templates, ...calls].toSorted((one, other) => one.at - other.at);
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
  return scope === undefined || key === undefined ? undefined : { scope, key };
}

const secretLooking = /pass(?:word|wd|phrase)?|token|secret|credential|(?:^|[^a-z])key|key$|private/i;

/** Whether a variable, property or file is called like a credential. */
export function looksSecret(name: string): boolean {
  return secretLooking.test(name);
}

/** The line, from 1, in which a place of a text is. */
export function lineOf(text: string, at: number): number {
  let line = 1;
  for (let next = text.indexOf('\n'); next !== -1 && next < at; next = text.indexOf('\n', next + 1)) line += 1;
  return line;
}
