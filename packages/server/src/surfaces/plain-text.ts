import { hasPlaceholder, looksSecret, parseText, unresolvedReasons } from '@strongroom/contract';
import type { Field, FieldProblems, SaveWarning } from './definition.ts';

/** Checks of texts that people typed where a reference could have been. */

const referenceText = /secret:\/\/(?:domain|global|admin)\//i;

/**
 * A text that takes placeholders: a variable, a property, a file. A reference inside it is somebody's mistake; were it
 * let through, its text would be used as a credential.
 */
export function checkPlainText(text: string, pointer: string, problems: FieldProblems): void {
  if (referenceText.test(text)) {
    problems.add(pointer, 'This is the text of a reference. Put it into "secret" instead of "value" or "content".', {
      code: 'reference_malformed',
    });
  }
  checkPlaceholders(text, pointer, problems);
  checkCharacters(text, pointer, problems);
}

/**
 * The content of a file that is no template. A program or its documentation may speak of references, which stay as they are
 * written; a file that is nothing but one is somebody's mistake.
 */
export function checkFileText(text: string, pointer: string, problems: FieldProblems, warnings: SaveWarning[]): void {
  if (!referenceText.test(text) || !/\s/.test(text.trim())) return checkPlainText(text, pointer, problems);
  const message =
    'It has the text of a reference in it, which no value replaces: only a file that is a "secret" gets one.';
  warnings.push({ pointer, code: 'reference-text', message });
  checkPlaceholders(text, pointer, problems);
  checkCharacters(text, pointer, problems);
}

function checkPlaceholders(text: string, pointer: string, problems: FieldProblems): void {
  if (parseText(text).malformed.length > 0)
    problems.add(pointer, 'A placeholder ${secrets.…} is not closed, or names a key that no secret can have.');
}

/** A text that takes neither reference nor placeholder: commands, arguments, java options, paths. */
export function checkBareText(text: string, pointer: string, problems: FieldProblems): void {
  if (referenceText.test(text) || hasPlaceholder(text))
    problems.add(pointer, `Nothing secret goes here. ${unresolvedReasons['command-line']}`);
  checkCharacters(text, pointer, problems);
}

function checkCharacters(text: string, pointer: string, problems: FieldProblems): void {
  if (text.includes('\u0000') || !text.isWellFormed())
    problems.add(pointer, 'It holds a NUL character or a lone surrogate.');
}

/** What of a field's plain text may be a secret: the whole, by its name, or what stands around a placeholder. */
export function plainSecretWarning({ name, pointer, content }: Field): SaveWarning | undefined {
  if (content.kind !== 'text') return undefined;
  const { text } = content;
  if (content.isCredential === true) {
    const isBare = !parseText(text).parts.some((part) => part.kind === 'literal' && /[\p{L}\p{N}]/u.test(part.text));
    if (isBare) return undefined;
    const message = `What stands around the placeholder in ${name} is kept and shown as it is written; have the whole in one secret.`;
    return { pointer, code: 'plain-secret', message };
  }
  if (text === '' || content.isNoSecret === true || hasPlaceholder(text) || !looksSecret(name)) return undefined;
  return {
    pointer,
    code: 'plain-secret',
    message: `${name} looks like a credential and is kept as plain text; make it a secret and refer to it.`,
  };
}
