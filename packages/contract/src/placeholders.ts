import type { Reference } from './reference.ts';

/**
 * Legacy placeholders: `${secrets.key}` anywhere in a text, also several in one; `$${secrets.` writes the text itself.
 * They mean Global's managed secret of that key and nothing else. Reading is literal and linear, in one pass: what a
 * value contains is never read again.
 */
export type TextPart =
  | { readonly kind: 'literal'; readonly text: string }
  | {
      readonly kind: 'placeholder';
      readonly key: string;
      /** Where it begins in the text. */
      readonly at: number;
    }
  | { readonly kind: 'variable'; readonly name: string };

const opening = '${secrets.';
/** Those of a legacy store in Kubernetes, which are more than a secret that is made here can have; no reference names dots alone. */
const validKey = /^(?!\.{1,2}$)[-._A-Za-z0-9]{1,253}$/;
/** What is in no key that somebody meant: the bracket behind it belongs to something else. */
const endsBefore = /[\n\r$"'`{]/;
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A placeholder that no value replaces: it is not closed, or no secret can have its key. */
export interface MalformedPlaceholder {
  readonly at: number;
  readonly why: 'not-closed' | 'no-key';
}

export interface ParsedText {
  readonly parts: readonly TextPart[];
  readonly malformed: readonly MalformedPlaceholder[];
}

/**
 * @param withVariables also read `${NAME}` (file templates); `$${` then escapes every `${`
 */
export function parseText(text: string, withVariables = false): ParsedText {
  const parts: TextPart[] = [];
  let literal = '';
  const malformed: MalformedPlaceholder[] = [];
  let at = 0;
  while (at < text.length) {
    const dollar = text.indexOf('$', at);
    if (dollar === -1) break;
    literal += text.slice(at, dollar);
    const escaped = withVariables ? '${' : opening;
    if (text.startsWith(`$${escaped}`, dollar)) {
      literal += escaped;
      at = dollar + 1 + escaped.length;
      continue;
    }
    const part = readPart(text, dollar, withVariables);
    if (part === undefined) {
      literal += '$';
      at = dollar + 1;
    } else if ('why' in part) {
      malformed.push(part);
      literal += '$';
      at = dollar + 1;
    } else {
      if (literal !== '') parts.push({ kind: 'literal', text: literal });
      literal = '';
      parts.push(part.part);
      at = part.end;
    }
  }
  literal += text.slice(at);
  if (literal !== '') parts.push({ kind: 'literal', text: literal });
  return { parts, malformed };
}

function readPart(
  text: string,
  at: number,
  withVariables: boolean,
): { readonly part: TextPart; readonly end: number } | MalformedPlaceholder | undefined {
  if (!text.startsWith('${', at)) return undefined;
  const isSecret = text.startsWith(opening, at);
  if (!isSecret && !withVariables) return undefined;
  const start = at + (isSecret ? opening.length : 2);
  // A key has at most 253 characters, a variable 255: looking no further keeps the pass linear.
  const end = text.slice(start, start + 256).indexOf('}');
  if (end === -1) return isSecret ? { at, why: 'not-closed' } : undefined;
  const name = text.slice(start, start + end);
  if (isSecret) {
    if (!validKey.test(name)) return { at, why: endsBefore.test(name) ? 'not-closed' : 'no-key' };
    return { part: { kind: 'placeholder', key: name, at }, end: start + end + 1 };
  }
  if (!variableName.test(name)) return undefined;
  return { part: { kind: 'variable', name }, end: start + end + 1 };
}

/** Keys of the placeholders of a text, each once. */
export function placeholderKeys(text: string): string[] {
  const keys = parseText(text).parts.flatMap((part) => (part.kind === 'placeholder' ? [part.key] : []));
  return [...new Set(keys)];
}

/** What a placeholder means. */
export function placeholderReference(key: string): Reference {
  return { scope: 'global', source: 'managed', key };
}

export function hasPlaceholder(text: string): boolean {
  return text.includes(opening);
}
