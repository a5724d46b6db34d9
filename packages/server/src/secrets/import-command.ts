import { type FieldError, StrongroomError } from '@strongroom/contract/core';
import type { CommandContext } from '../store/store.ts';
import { create, type NewSecret, setValue, type SetValue } from './commands.ts';

export interface ImportedItem {
  readonly key: string;
  readonly outcome: 'created' | 'rotated' | 'skipped' | 'refused' | 'failed';
  readonly reason?: string;
}

export interface Import {
  /** What is said of each entry, in the order of the file; the answer. */
  readonly items: readonly ImportedItem[];
  readonly created: readonly NewSecret[];
  readonly rotated: readonly SetValue[];
}

/**
 * Writes a whole file or nothing. What can't be taken is refused here and not before, so that a repeat with its idempotency
 * key gets its answer although everything exists by now.
 *
 * @throws StrongroomError `validation_failed` naming the entries; those of creating and rotating a secret
 */
async function importAll(
  context: CommandContext,
  { items, created, rotated }: Import,
): Promise<{ readonly items: readonly ImportedItem[] }> {
  const refused = items.filter(({ outcome }) => outcome === 'refused');
  if (refused.length > 0) {
    throw new StrongroomError('validation_failed', {
      detail: `Nothing was imported: ${refused.length} of ${items.length} entries can't be taken.`,
      errors: refused.map(({ key, reason }): FieldError => ({
        pointer: `/content/${key}`,
        message: reason ?? 'refused',
      })),
    });
  }
  for (const secret of created) await create(context, secret);
  for (const change of rotated) await setValue(context, change);
  return { items };
}

export const importCommands = { 'secret.import': importAll };
