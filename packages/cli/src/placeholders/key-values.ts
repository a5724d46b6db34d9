import { legacyForms, linesOf, looksSecret } from '@strongroom/contract/core';
import {
  type DatabricksScopes,
  type Edit,
  type FileFinding,
  type FileReading,
  findingOf,
  mayBePlainSecret,
  referenceOf,
} from './finding.ts';

/** How a line gives a value to a name; `export` and blanks around the name and the value stay as they are. */
interface Notation {
  /** What is before the value, the name in it, the value and what is behind it; `undefined` for no such line. */
  readonly split: (line: string) => readonly [head: string, name: string, rest: string] | undefined;
  readonly comment: RegExp;
  /** Whether what reads it knows references. */
  readonly takesReferences: boolean;
}

const aName = '[A-Za-z_][A-Za-z0-9_.-]*';
const splitBy = (between: string): Notation['split'] => {
  const pattern = new RegExp(`^([^\\S\\n]*(?:export[^\\S\\n]+)?(${aName})${between})(.*)$`);
  return (line) => {
    const [, head, name, rest] = pattern.exec(line) ?? [];
    return head === undefined || name === undefined || rest === undefined ? undefined : [head, name, rest];
  };
};
const splitAssignment: Notation['split'] = (line) => {
  const equals = line.indexOf('=');
  if (equals === -1) return undefined;
  const [blanks = ''] = /^[ \t]*/.exec(line.slice(equals + 1)) ?? [];
  const end = equals + 1 + blanks.length;
  return [
    line.slice(0, end),
    line
      .slice(0, equals)
      .trim()
      .replace(/^export\s+/, ''),
    line.slice(end),
  ];
};
const isName = new RegExp(`^${aName}$`);
const sign = '[^\\S\\n]*[=:][^\\S\\n]*';
const comment = /^\s*[#;!]/;

export const notations = {
  /** .env files of `strongroom run`; what is no name there may have a value all the same. */
  environment: { split: splitAssignment, comment: /^\s*#/, takesReferences: true },
  /** Blanks alone are enough, as `java.util.Properties` has it. */
  properties: { split: splitBy(`(?:${sign}|[^\\S\\n]+)`), comment, takesReferences: false },
  /** Blanks alone are enough for properties of Spark: spark-defaults.conf. */
  others: { split: splitBy(`(?:${sign}|(?<=^\\s*spark\\.\\S*)[^\\S\\n]+)`), comment, takesReferences: false },
} as const satisfies Record<string, Notation>;

/** Reads a file of names and values, one a line; a value in quotes may go over several. */
export function readKeyValues(text: string, scopes: DatabricksScopes, notation: Notation): FileReading {
  const { takesReferences } = notation;
  const findings: FileFinding[] = [];
  const edits: Edit[] = [];
  let start = 0;
  let quotedUntil = 0;
  for (const [index, whole] of text.split('\n').entries()) {
    const place = { line: index + 1 };
    const at = start;
    start += whole.length + 1;
    if (at < quotedUntil || notation.comment.test(whole)) continue;
    const parts = notation.split(whole.replace(/\r$/, ''));
    if (parts === undefined) {
      findings.push(...legacyForms(whole).map((form) => findingOf(form, place, scopes, 'other-place')));
      continue;
    }
    const [head, name, rest] = parts;
    const valueAt = at + head.length;
    const end = takesReferences ? endOfQuoted(text, valueAt) : undefined;
    const { value, offset } =
      end === undefined ? valueOf(rest, takesReferences) : { value: text.slice(valueAt + 1, end), offset: 1 };
    quotedUntil = end ?? 0;
    const forms = legacyForms(value);
    if (forms.length === 0 && looksSecret(name) && mayBePlainSecret(name, value))
      findings.push({ ...place, name, kind: 'plain-secret', stays: 'needs-server' });
    const lineAt = linesOf(value);
    for (const form of forms) {
      const line = index + lineAt(form.at);
      const takes = takesReferences && isName.test(name);
      const stays = takes ? (form.isWhole ? undefined : 'part-of-value') : 'other-place';
      const finding = findingOf(form, isName.test(name) ? { line, name } : { line }, scopes, stays);
      findings.push(finding);
      const after = referenceOf(form, scopes);
      if (finding.stays === undefined && after !== undefined)
        edits.push({ at: valueAt + offset, before: value, after });
    }
  }
  return { findings, edits };
}

/** Where a value ends that begins with a quote which is closed in a line below. */
function endOfQuoted(text: string, at: number): number | undefined {
  const quote = text.charAt(at);
  if (quote === '' || !'"\'`'.includes(quote)) return undefined;
  const end = text.indexOf(quote, at + 1);
  const lineEnd = text.indexOf('\n', at);
  return end !== -1 && lineEnd !== -1 && end > lineEnd ? end : undefined;
}

const quotes = /^(["'])(.*)\1\s*(?:#.*)?$/;
const environmentQuotes = /^(["'`])(.*)\1\s*(?:#.*)?$/;

/** Without the quotes around it, or the comment behind it. */
function valueOf(rest: string, isEnvironment: boolean): { readonly value: string; readonly offset: number } {
  const [, quote, quoted] = (isEnvironment ? environmentQuotes : quotes).exec(rest) ?? [];
  if (quote !== undefined && quoted !== undefined && !quoted.includes(quote)) return { value: quoted, offset: 1 };
  return { value: rest.replace(/(?<!\s)\s+#.*$/, '').trimEnd(), offset: 0 };
}
