import type { CommandContext } from '../store/store.ts';
import { type ConfigurationChange, updateConfiguration } from '../surfaces/commands.ts';
import type { FieldPlace } from './rewrite.ts';

/** A field that was made a reference. */
export interface ChangedField extends FieldPlace {
  /** The member that held the text. */
  readonly property: string;
  readonly kind: 'placeholder' | 'plain-secret' | 'databricks-template';
  /** What was there, to be put back; `null` for what was a secret itself. */
  readonly text: string | null;
  /** Canonical; what is there now. */
  readonly reference: string;
}

export interface RewriteConfiguration {
  readonly save: ConfigurationChange;
  readonly changed: readonly ChangedField[];
  readonly restored: readonly FieldPlace[];
}

/**
 * A save of a configuration, and what it did to placeholders: both or neither.
 * @throws StrongroomError those of a save
 */
async function rewrite(context: CommandContext, { save, changed, restored }: RewriteConfiguration): Promise<void> {
  await updateConfiguration(context, save);
  for (const { member, name } of [...changed, ...restored])
    await context.db
      .deleteFrom('placeholder_changes')
      .where('configuration_id', '=', save.id)
      .where('member', '=', member)
      .where('name', '=', name)
      .execute();
  if (changed.length === 0) return;
  const made = { configuration_id: save.id, changed_at: context.now, changed_by: save.by };
  for (let start = 0; start < changed.length; start += 100)
    await context.db
      .insertInto('placeholder_changes')
      .values(changed.slice(start, start + 100).map((field) => ({ ...field, ...made })))
      .execute();
}

export const placeholderCommands = { 'placeholders.rewrite': rewrite };
