/** Search filters as texts (RFC 4515). */

const maxDepth = 32;
const attribute = /^(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)(?:;[A-Za-z0-9-]+)*/;
const extensible = /^(?::dn)?(?::(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*))?:=/i;
// oxlint-disable-next-line no-control-regex -- NUL has to be written as \00
const literal = /^(?:[^\u0000()*\\]|\\[0-9A-Fa-f]{2})*/;

/** Whether a text is one filter of the grammar of RFC 4515 §3, no deeper than 32 levels. */
export function isFilter(text: string): boolean {
  return text.isWellFormed() && filterEnd(text, 0, 0) === text.length;
}

/** Where the filter that begins at `start` ends; -1: there is none. */
function filterEnd(text: string, start: number, depth: number): number {
  if (text[start] !== '(' || depth > maxDepth) return -1;
  const operator = text[start + 1];
  if (operator === '&' || operator === '|' || operator === '!') {
    let at = start + 2;
    let count = 0;
    while (text[at] === '(') {
      at = filterEnd(text, at, depth + 1);
      if (at < 0) return -1;
      count += 1;
    }
    // RFC 4526 allows empty lists; they mean everybody or nobody, which nobody should write by accident.
    return count > 0 && (operator !== '!' || count === 1) && text[at] === ')' ? at + 1 : -1;
  }
  return itemEnd(text, start + 1);
}

function itemEnd(text: string, start: number): number {
  const rest = text.slice(start);
  const name = attribute.exec(rest)?.[0] ?? '';
  const rule = extensible.exec(rest.slice(name.length))?.[0];
  if (rule !== undefined) {
    if (name === '' && !/:[^:]+:=$/.test(rule)) return -1;
    return valueEnd(text, start + name.length + rule.length, false);
  }
  const operator = /^(?:[~><]=|=)/.exec(rest.slice(name.length))?.[0];
  if (name === '' || operator === undefined) return -1;
  return valueEnd(text, start + name.length + operator.length, operator === '=');
}

function valueEnd(text: string, start: number, canHaveStars: boolean): number {
  let at = start;
  for (;;) {
    at += literal.exec(text.slice(at))?.[0].length ?? 0;
    if (text[at] === ')') return at + 1;
    if (text[at] !== '*' || !canHaveStars) return -1;
    at += 1;
  }
}

/** A value as part of a filter, whatever is in it (RFC 4515 §3: `valueencoding`). */
export function escapeFilterValue(value: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what is escaped
  return value.replaceAll(/[\u0000-\u001f()*\\\u007f]/g, (character) => {
    return `\\${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}

/** The entries of `filter` whose attribute has one of these values. */
export function withValues(filter: string, name: string, values: readonly string[]): string {
  const items = values.map((value) => `(${name}=${escapeFilterValue(value)})`);
  return `(&${filter}${items.length === 1 ? (items[0] ?? '') : `(|${items.join('')})`})`;
}
