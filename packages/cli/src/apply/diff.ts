import { formatReference, hasPlaceholder } from '@strongroom/contract/core';
import { isRecord } from '../errors.ts';

/** One field that an apply sets, changes or takes away; references and settings are shown, values are not. */
export interface FieldChange {
  /** `environment.PGPASSWORD`, `sizes.driverCores`. */
  readonly field: string;
  /** Absent: it was not there. */
  readonly from?: string;
  /** Absent: it goes. */
  readonly to?: string;
}

interface Leaf {
  /** Compared. */
  readonly text: string;
  /** What is said of it. */
  readonly shown: string;
}

const maxShownLength = 160;
/** Names of fields whose text may be a value that belongs into a secret. */
const secretLooking = /pass|secret|token|credential|private|api_?key|access_?key/i;
const plainValue = 'a plain value';

/** What differs between two objects, field by field, by name. */
export function changesBetween(before: unknown, after: unknown): FieldChange[] {
  const [old, now] = [leavesOf(before), leavesOf(after)];
  const fields = [...new Set([...old.keys(), ...now.keys()])].toSorted();
  return fields.flatMap((field): FieldChange[] => {
    const [from, to] = [old.get(field), now.get(field)];
    if (from?.text === to?.text) return [];
    const isOtherValue = from !== undefined && to?.shown === from.shown;
    return [
      {
        field,
        ...(from === undefined ? {} : { from: from.shown }),
        ...(to === undefined ? {} : { to: isOtherValue ? `another: ${to.shown}` : to.shown }),
      },
    ];
  });
}

function leavesOf(value: unknown): ReadonlyMap<string, Leaf> {
  const leaves = new Map<string, Leaf>();
  collect(value, '', leaves);
  return leaves;
}

function collect(value: unknown, field: string, leaves: Map<string, Leaf>): void {
  const put = (text: string, shown: string): unknown => leaves.set(field, { text, shown: cut(shown) });
  if (value === undefined || value === null) return;
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    const names = items.map((item) => (isRecord(item) ? item['name'] : undefined));
    if (items.length > 0 && names.every((each) => typeof each === 'string') && new Set(names).size === names.length)
      for (const [index, item] of items.entries()) collectNamed(item, at(field, String(names[index])), leaves);
    else if (items.some((item) => isRecord(item) || Array.isArray(item)))
      for (const [index, item] of items.entries()) collect(item, at(field, `${index}`), leaves);
    else if (items.length > 0)
      put(
        JSON.stringify(items),
        items.map((item) => shownAt(field, typeof item === 'string' ? item : String(item))).join(' '),
      );
    return;
  }
  if (!isRecord(value)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    put(text, typeof value === 'string' ? shownAt(field, text) : text);
    return;
  }
  // A field that holds nothing is as one that is not there.
  if (value['isSet'] === false) return;
  const reference = referenceIn(value);
  const typed = typedIn(value);
  if (reference !== undefined) put(reference.text, reference.shown);
  else if (typed !== undefined) put(hasPlaceholder(typed) ? typed : JSON.stringify(value), shownText(typed));
  else for (const [member, content] of Object.entries(value)) collect(content, at(field, member), leaves);
}

/** `{name, value}` or `{name, secret}`, or a file with more. */
function collectNamed(item: unknown, field: string, leaves: Map<string, Leaf>): void {
  if (!isRecord(item)) return;
  const { name: _name, value, secret, content, ...rest } = item;
  if (secret !== undefined) collect({ secret }, field, leaves);
  for (const text of [value, content])
    if (typeof text === 'string') leaves.set(field, { text: JSON.stringify(text), shown: shownText(text) });
  for (const [member, each] of Object.entries(rest)) collect(each, at(field, member), leaves);
}

/** A text in a field, or in a list that it holds: shown unless the name of the field says that it is no one's business. */
function shownAt(field: string, text: string): string {
  const name = field.split('.').findLast((part) => !/^\d+$/.test(part)) ?? '';
  return secretLooking.test(name) ? shownText(text) : text;
}

/** A text that people wrote: a reference is shown, a placeholder is, and nothing else. */
function shownText(text: string): string {
  return text.startsWith('secret://') || /^\$\{secrets\.[^}]*\}$/.test(text) ? text : plainValue;
}

/** What is typed into a credential field. */
function typedIn(value: Readonly<Record<string, unknown>>): string | undefined {
  const [name, second] = Object.keys(value);
  if ((name !== 'set' && name !== 'value') || second !== undefined) return undefined;
  const text = value[name];
  return typeof text === 'string' ? text : undefined;
}

/** A reference in one of its forms, or the state of a field that holds one. */
function referenceIn(value: Readonly<Record<string, unknown>>): Leaf | undefined {
  const { isSet, isOwned, secret, scope, key, placeholder } = value;
  if (typeof isSet === 'boolean' && typeof placeholder === 'string')
    return { text: placeholder, shown: shownText(placeholder) };
  if (typeof isSet === 'boolean') {
    const inner = isRecord(secret) ? referenceIn(secret) : undefined;
    if (inner === undefined) return { text: 'set', shown: 'a value' };
    const own = isOwned === true ? ' (its own)' : '';
    return { text: inner.text, shown: `${inner.shown}${own}` };
  }
  if (typeof secret === 'string' && Object.keys(value).length === 1) return { text: secret, shown: secret };
  if (isRecord(secret) && Object.keys(value).length === 1) return referenceIn(secret);
  if (typeof scope !== 'string' || typeof key !== 'string') return undefined;
  const { source = 'managed', field } = value;
  if (typeof source !== 'string' || (field !== undefined && typeof field !== 'string')) return undefined;
  if (scope !== 'domain' && scope !== 'global' && scope !== 'admin') return undefined;
  const text = formatReference({ scope, source, key, ...(field === undefined ? {} : { field }) });
  return { text, shown: text };
}

function at(field: string, member: string): string {
  return field === '' ? member : `${field}.${member}`;
}

const pem = /^-----BEGIN ([A-Z0-9 ]{1,40})-----\r?\n/;

function cut(text: string): string {
  const [, what] = pem.exec(text) ?? [];
  // Nobody reads what is in it.
  if (what !== undefined) return `${what.toLowerCase()}, ${text.trimEnd().split('\n').length} lines of PEM`;
  return text.length > maxShownLength ? `${text.slice(0, maxShownLength)}…` : text;
}
