import { parse as parseJson, stringify as stringifyJson } from 'lossless-json';
import { SecretValue } from '@strongroom/crypto';
import type { FoundEntry } from './sources/source.ts';

/** Values of one launch by {@link wantedId}. Whoever has them calls `destroy`, on every path. */
export class LaunchValues {
  readonly #values = new Map<string, SecretValue>();
  readonly #owned = new Set<SecretValue>();
  #isDestroyed = false;

  /** Takes a value into custody. */
  own(value: SecretValue): void {
    // A source may answer after its launch was given up.
    if (this.#isDestroyed) value.destroy();
    else this.#owned.add(value);
  }

  set(id: string, value: SecretValue): void {
    this.own(value);
    if (!this.#isDestroyed) this.#values.set(id, value);
  }

  get(id: string): SecretValue {
    const value = this.#values.get(id);
    if (value === undefined) throw new TypeError('A value was asked for that the launch did not resolve');
    return value;
  }

  destroy(): void {
    this.#isDestroyed = true;
    for (const value of this.#owned) value.destroy();
    this.#owned.clear();
    this.#values.clear();
  }
}

/** One field of a multi-field value: a text as it is, anything else as its JSON, numbers digit by digit. */
export function pickField(value: SecretValue, field: string): SecretValue | null {
  const member = memberOf(value, field);
  return member.kind === 'found' ? textOf(member.content) : null;
}

/** A part of what a source found, or why there is none. */
export type PickedPart =
  | { readonly kind: 'value'; readonly value: SecretValue }
  | { readonly kind: 'none'; readonly detail: string };

/**
 * What a reference means of an entry that only its source knows.
 *
 * - Of an entry with fields: the named one; without a name the field `value`, if it has one. An entry of this field alone
 *   comes as one text.
 * - Of a text in a backend without fields of its own: all of it, or a member of its JSON object. A text member is taken as it
 *   is, a number digit by digit as it is written, `true` and `false` as these words, an object or a list as JSON; `null` is
 *   no value.
 */
export function pickPart(value: SecretValue, { shape, fields }: FoundEntry, field: string | undefined): PickedPart {
  if (shape !== 'fields' && field === undefined) return { kind: 'value', value };
  if (shape !== 'fields' && fields === 'native')
    return field === valueField
      ? { kind: 'value', value }
      : { kind: 'none', detail: 'It is one value without other fields.' };
  const member = memberOf(value, field ?? valueField);
  switch (member.kind) {
    case 'no-object':
      return { kind: 'none', detail: 'It is no JSON object, so it has no fields.' };
    case 'absent':
      return { kind: 'none', detail: field === undefined ? chooseField : '' };
    case 'found':
      if (member.content === null) return { kind: 'none', detail: 'The field is null.' };
      return { kind: 'value', value: textOf(member.content) };
  }
}

/** By convention the field of an entry that has one value only. */
const valueField = 'value';
const chooseField = 'The entry has fields and none is named value: name one of them in the reference, as #field.';

type Member =
  | { readonly kind: 'found'; readonly content: unknown }
  | { readonly kind: 'no-object' }
  | { readonly kind: 'absent' };

function memberOf(value: SecretValue, name: string): Member {
  let members: unknown;
  try {
    members = parseJson(value.revealText());
  } catch {
    // Not JSON: the parser's message would quote the value.
    return { kind: 'no-object' };
  }
  if (typeof members !== 'object' || members === null || Array.isArray(members)) return { kind: 'no-object' };
  if (!Object.hasOwn(members, name)) return { kind: 'absent' };
  return { kind: 'found', content: (members as Record<string, unknown>)[name] };
}

function textOf(content: unknown): SecretValue {
  return SecretValue.fromText(typeof content === 'string' ? content : (stringifyJson(content) ?? 'null'));
}
