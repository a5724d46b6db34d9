import {
  hasPlaceholder,
  parseText,
  placeholderReference,
  formatReference,
  StrongroomError,
} from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import type { Field, SurfaceDefinition } from './definition.ts';
import { FieldProblems } from './definition.ts';

/** A text of a document, and its place. */
export interface PlacedString {
  /** RFC 6901, into the document. */
  readonly pointer: string;
  readonly text: string;
}

/** Every text of a document. */
export function textsOf(part: unknown, pointer = ''): PlacedString[] {
  if (typeof part === 'string') return [{ pointer, text: part }];
  if (typeof part !== 'object' || part === null) return [];
  return Object.entries(part).flatMap(([name, member]) =>
    textsOf(member, `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`),
  );
}

/**
 * The texts in which no placeholder is resolved: all but the surface's text fields, and the description, which is for people.
 * What a surface tells of a text elsewhere than where it is does not make it one that is resolved.
 */
export function unresolvedTexts(fields: readonly Field[], document: unknown): PlacedString[] {
  const resolved = new Set(fields.flatMap(({ pointer, content }) => (content.kind === 'text' ? [pointer] : [])));
  return textsOf(document).filter(({ pointer }) => !resolved.has(pointer) && pointer !== '/description');
}

/**
 * A placeholder where nothing is resolved would be used as it is written, as a host or a name.
 * @throws StrongroomError `validation_failed`
 */
export function refuseUnresolved<Document>(surface: SurfaceDefinition<never, Document>, document: Document): void {
  const problems = new FieldProblems();
  for (const { pointer, text } of unresolvedTexts(surface.fields(document), document))
    if (hasPlaceholder(text) && parseText(text).parts.some(({ kind }) => kind === 'placeholder'))
      problems.add(pointer, 'No placeholder is resolved here; write $${secrets. for the text itself.');
  problems.refuse(surface.title);
}

/**
 * The document with its placeholders replaced, for the moment that it is used.
 * @param value of a place, by its pointer and canonical reference
 * @throws StrongroomError `reference_unresolved` for a value that is no text
 */
export function withResolvedTexts<Document>(
  fields: readonly Field[],
  document: Document,
  value: (pointer: string, reference: string) => SecretValue | undefined,
): Document {
  const copy = structuredClone(document) as Record<string, unknown>;
  for (const { pointer, name, content } of fields) {
    if (content.kind !== 'text' || !hasPlaceholder(content.text)) continue;
    copy[pointer.slice(1)] = parseText(content.text)
      .parts.map((part) => {
        if (part.kind === 'literal') return part.text;
        const key = part.kind === 'placeholder' ? part.key : part.name;
        return textOf(value(pointer, formatReference(placeholderReference(key))), pointer, name);
      })
      .join('');
  }
  return copy as Document;
}

function textOf(value: SecretValue | undefined, pointer: string, name: string): string {
  const bytes = value?.reveal();
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // The decoder's error says no more than that it is not UTF-8.
    throw new StrongroomError('reference_unresolved', {
      errors: [{ pointer, message: `${name}: It is not UTF-8 text.` }],
    });
  } finally {
    bytes?.fill(0);
  }
}
