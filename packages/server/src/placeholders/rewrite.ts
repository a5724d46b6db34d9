import type { Reference } from '@strongroom/contract';
import { toReferenceObject } from '../surfaces/named-fields.ts';
import type { AnySurface } from '../surfaces/registry.ts';
import { documentPointer } from '../surfaces/texts.ts';

/** A field in which a reference stands in place of a text, or a text in place of a reference. */
export type Replacement =
  | { readonly pointer: string; readonly reference: Reference }
  | {
      readonly pointer: string;
      /** The member beside `secret` that held the text. */
      readonly property: string;
      readonly text: string;
    };

/** The document with its fields replaced; the given one stays as it is. */
export function withReplacements(
  surface: AnySurface,
  document: unknown,
  replacements: readonly Replacement[],
): unknown {
  const copy = structuredClone(document);
  for (const replacement of replacements) {
    const names = namesOf(documentPointer(surface, document, replacement.pointer));
    const last = names.pop() ?? '';
    const parent = names.reduce<unknown>((part, name) => Object(part)[name] as unknown, copy);
    if (typeof parent !== 'object' || parent === null || !Object.hasOwn(parent, last))
      throw new TypeError(`There is no ${replacement.pointer}`);
    const members = parent as Record<string, unknown>;
    delete members[last];
    if ('reference' in replacement) members['secret'] = toReferenceObject(replacement.reference);
    else members[replacement.property] = replacement.text;
  }
  return copy;
}

/** RFC 6901 §4. */
function namesOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** What tells a field from others of its document, wherever in its list it stands. */
export interface FieldPlace {
  readonly member: string;
  readonly name: string;
}

export function placeOf({ pointer, name }: { readonly pointer: string; readonly name: string }): FieldPlace {
  return { member: namesOf(pointer)[0] ?? '', name };
}

/** The last name of a pointer. */
export function propertyOf(pointer: string): string {
  return namesOf(pointer).at(-1) ?? '';
}
