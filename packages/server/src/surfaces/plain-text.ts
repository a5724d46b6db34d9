import { hasPlaceholder, looksSecret, parseText } from '@strongroom/contract';
import type { FieldProblems, SaveWarning } from './definition.ts';

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
  if (parseText(text).isMalformed) {
    problems.add(pointer, 'A placeholder ${secrets.…} is not closed, or names a key that no secret can have.');
  }
  checkCharacters(text, pointer, problems);
}

/** A text that takes neither reference nor placeholder: commands, arguments, java options, paths. */
export function checkBareText(text: string, pointer: string, problems: FieldProblems): void {
  if (referenceText.test(text) || hasPlaceholder(text)) {
    problems.add(
      pointer,
      'Nothing secret goes here: every user of the machine can read a command line. Use an environment variable or a file.',
    );
  }
  checkCharacters(text, pointer, problems);
}

function checkCharacters(text: string, pointer: string, problems: FieldProblems): void {
  if (text.includes('\u0000') || !text.isWellFormed())
    problems.add(pointer, 'It holds a NUL character or a lone surrogate.');
}

/** A plain value under a name that looks like a credential's. */
export function plainSecretWarning(name: string, value: string, pointer: string): SaveWarning | undefined {
  if (value === '' || hasPlaceholder(value) || !looksSecret(name)) return undefined;
  return {
    pointer,
    code: 'plain-secret',
    message: `${name} looks like a credential and is kept as plain text; make it a secret and refer to it.`,
  };
}
