import {
  formatReference,
  hasPlaceholder,
  isPlaceholderIn,
  parseText,
  placeholderReference,
  type PlacedString,
  textsOf,
  unresolvedMessage,
  unresolvedReason,
} from '@strongroom/contract';
import { SecretValue } from '@strongroom/crypto';
import type { Field, SurfaceDefinition, TextContent } from './definition.ts';
import { FieldProblems } from './definition.ts';

type AnyDefinition = Pick<SurfaceDefinition<never, never>, 'type' | 'title' | 'credentials'> & {
  readonly fields: (document: never) => readonly Field[];
};

/**
 * Where a field stands in its document: credentials that a surface keeps beside the rest are known to everybody by the place
 * that they are sent in.
 */
export function documentPointer(
  { credentials }: Pick<AnyDefinition, 'credentials'>,
  document: unknown,
  pointer: string,
) {
  const member = credentials?.member;
  if (member === undefined) return pointer;
  const end = pointer.lastIndexOf('/');
  const name = pointer.slice(1, end);
  const held: unknown = Object(document)[member];
  if (!Object.hasOwn(Object(held), name)) return pointer;
  return `/${member}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}${pointer.slice(end)}`;
}

/**
 * The texts in which no placeholder is resolved: all but the surface's text fields, and what is for people.
 * What a surface tells of a text elsewhere than where it is does not make it one that is resolved.
 */
export function unresolvedTexts(surface: AnyDefinition, document: unknown): PlacedString[] {
  const resolved = new Set(
    surface
      .fields(document as never)
      .flatMap(({ pointer, content }) =>
        content.kind === 'text' ? [documentPointer(surface, document, pointer)] : [],
      ),
  );
  return textsOf(document).filter(
    ({ pointer }) => !resolved.has(pointer) && unresolvedReason(surface.type, pointer) !== 'people',
  );
}

/**
 * A placeholder where nothing is resolved would be used as it is written, as a host or a name.
 * @throws StrongroomError `validation_failed`
 */
export function refuseUnresolved<Document>(surface: SurfaceDefinition<never, Document>, document: Document): void {
  const problems = new FieldProblems();
  for (const { pointer, message } of misplacedPlaceholders(surface, document)) problems.add(pointer, message);
  problems.refuse(surface.title);
}

/** A place of a document, and what is wrong there. */
interface TextProblem {
  readonly pointer: string;
  readonly message: string;
}

function misplacedPlaceholders(surface: AnyDefinition, document: unknown): TextProblem[] {
  return unresolvedTexts(surface, document).flatMap(({ pointer, text }) => {
    if (!isPlaceholderIn(text)) return [];
    const reason = unresolvedReason(surface.type, pointer);
    return { pointer, message: reason === undefined ? 'No placeholder is resolved here.' : unresolvedMessage(reason) };
  });
}

/**
 * Why a saved document can't be used, whatever its values are: a placeholder that nothing would replace is in it, since it is older
 * than what is checked at a save.
 */
export function unusableTexts(surface: AnyDefinition, document: unknown): readonly TextProblem[] {
  const malformed = surface.fields(document as never).flatMap(({ pointer, content }): TextProblem[] => {
    if (content.kind !== 'text' || !hasPlaceholder(content.text) || parseText(content.text).malformed.length === 0)
      return [];
    const message = 'A placeholder ${secrets.…} is not closed, or names a key that no secret can have.';
    return [{ pointer, message }];
  });
  return [...misplacedPlaceholders(surface, document), ...malformed];
}

/** The same in words, for who launches it. */
export function textProblems(surface: AnyDefinition, document: unknown): string[] {
  return unusableTexts(surface, document).map(({ pointer, message }) => `${pointer}: ${message}`);
}

/** The value of a place, by its pointer and canonical reference. */
type ValueAt = (pointer: string, reference: string) => SecretValue | undefined;

/** A text that its values do not fit into; no word of them. */
export interface UnfitText {
  readonly pointer: string;
  readonly name: string;
  readonly message: string;
}

/** The document with its placeholders replaced, for the moment that it is used; credentials are read by {@link CredentialValues}. */
export function withResolvedTexts<Document>(
  surface: SurfaceDefinition<never, Document>,
  document: Document,
  value: ValueAt,
): { readonly document: Document; readonly unfit: readonly UnfitText[] } {
  const copy = structuredClone(document);
  const unfit: UnfitText[] = [];
  for (const { pointer, name, content } of surface.fields(document)) {
    if (content.kind !== 'text' || content.isCredential === true || !hasPlaceholder(content.text)) continue;
    const resolved = resolveText(content, (reference) => value(pointer, reference));
    if ('text' in resolved) setText(copy, pointer, resolved.text);
    else unfit.push({ pointer, name, message: resolved.problem });
  }
  return { document: copy, unfit };
}

function resolveText(content: TextContent, value: (reference: string) => SecretValue | undefined) {
  const { parts } = parseText(content.text);
  const { escape } = content;
  let text = '';
  for (const part of parts) {
    if (part.kind !== 'placeholder') {
      text += part.kind === 'literal' ? part.text : '';
      continue;
    }
    const found = textOf(value(formatReference(placeholderReference(part.key))));
    if (found === undefined) return { problem: 'It is not UTF-8 text.' };
    text += escape === undefined || parts.length === 1 ? found : escape(found);
  }
  if (text.includes('\u0000')) return { problem: 'It holds a NUL character.' };
  return content.settle === undefined ? { text } : content.settle(text);
}

function setText(document: unknown, pointer: string, text: string): void {
  const names = pointer
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = names.pop() ?? '';
  const parent = names.reduce<unknown>((part, name) => Object(part)[name] as unknown, document);
  (parent as Record<string, unknown>)[last] = text;
}

function textOf(value: SecretValue | undefined): string | undefined {
  if (value === undefined) throw new TypeError('Every placeholder of a use has its value');
  const bytes = value.reveal();
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // The decoder's error says no more than that it is not UTF-8.
    return undefined;
  } finally {
    bytes.fill(0);
  }
}

/** Values of a configuration's credential fields while it is used: of a reference, or of a text with its placeholders replaced. */
export class CredentialValues {
  readonly #fields: ReadonlyMap<string, Field>;
  readonly #value: ValueAt;
  readonly #made = new Map<string, SecretValue>();

  constructor(fields: readonly Field[], value: ValueAt) {
    this.#fields = new Map(fields.map((field) => [field.name, field]));
    this.#value = value;
  }

  /** `undefined` where the field is not set. Valid until {@link destroy}, and as long as the values that it is made of. */
  get(name: string): SecretValue | undefined {
    const field = this.#fields.get(name);
    if (field === undefined) return undefined;
    const { content, pointer } = field;
    if (content.kind === 'reference') return this.#value(pointer, formatReference(content.reference));
    if (content.isCredential !== true) return undefined;
    const made = this.#made.get(name) ?? this.#fill(content.text, pointer);
    this.#made.set(name, made);
    return made;
  }

  /** Of bytes, which a value may be. */
  #fill(text: string, pointer: string): SecretValue {
    const parts = parseText(text).parts.map((part) => {
      if (part.kind !== 'placeholder') return Buffer.from(part.kind === 'literal' ? part.text : '');
      const value = this.#value(pointer, formatReference(placeholderReference(part.key)));
      if (value === undefined) throw new TypeError('Every placeholder of a use has its value');
      return value.reveal();
    });
    const whole = Buffer.concat(parts);
    const value = SecretValue.fromBytes(whole);
    for (const bytes of [...parts, whole]) bytes.fill(0);
    return value;
  }

  /** Zeroes what was made here. */
  destroy(): void {
    for (const value of this.#made.values()) value.destroy();
    this.#made.clear();
  }
}
