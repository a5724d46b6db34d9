import { formatReference } from '@strongroom/contract';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { Tables } from '../store/tables.ts';
import { placeOf, type Replacement, withReplacements } from './rewrite.ts';
import {
  requireUpdateSomewhere,
  rewriteEach,
  type RewrittenConfiguration,
  type RewrittenPage,
  Rewriting,
} from './saving.ts';
import {
  type LegacyPage,
  type NamedConfiguration,
  type Selected,
  selectConfigurations,
  type SelectionParts,
} from './selection.ts';

export interface UndoOptions {
  readonly configurations?: readonly NamedConfiguration[];
  /** Decide everything, write nothing. */
  readonly dryRun?: boolean;
}

/** What becomes of one field that was made a reference. */
export interface UndoneField {
  readonly name: string;
  /** Where it is now; absent where it is gone. */
  readonly pointer?: string;
  readonly reference: string;
  /** What stands there again: a placeholder, never a secret. */
  readonly restores?: string;
  readonly stays?: 'edited-since' | 'secret-kept';
  readonly message?: string;
}

type Change = Tables['placeholder_changes'];

const messages = {
  'edited-since': 'It is not the reference that was put there; it stays as somebody made it.',
  'secret-kept': 'It was a secret in plain text, which is shown to nobody any more; the reference stays.',
} as const;

/** Puts back, field by field, what a migration replaced, unless somebody has edited it since. */
export async function undoPlaceholders(
  parts: SelectionParts,
  caller: Caller,
  scope: ScopeRef,
  options: UndoOptions,
  page: LegacyPage,
): Promise<RewrittenPage<UndoneField>> {
  await requireUpdateSomewhere(parts, caller, scope);
  const selection = await selectConfigurations(parts, caller, scope, 'undo', options, page);
  return rewriteEach(parts, caller, selection, (current, one) =>
    undoOne(parts, current, scope, one, options.dryRun === true),
  );
}

async function undoOne(
  parts: SelectionParts,
  current: Caller,
  scope: ScopeRef,
  selected: Selected,
  isDryRun: boolean,
): Promise<RewrittenConfiguration<UndoneField>> {
  const rewriting = await Rewriting.open(parts, current, scope, selected);
  const { row, surface, document } = rewriting;
  const changes = await parts.store.db
    .selectFrom('placeholder_changes')
    .selectAll()
    .where('configuration_id', '=', row.id)
    .orderBy('member')
    .orderBy('name')
    .execute();
  const planned = changes.map((change) => ({ change, ...plan(rewriting, change) }));
  const fields = planned.map(({ view }) => view);
  const told = {
    surface: row.surface,
    configuration: row.name,
    revision: row.revision,
    ...(row.managed_by === null ? {} : { managedBy: row.managed_by }),
  };
  const replacements = planned.flatMap(({ replacement }) => (replacement === undefined ? [] : [replacement]));
  if (replacements.length === 0) return { ...told, outcome: 'unchanged', fields };

  await rewriting.requireUpdate();
  const before = withReplacements(surface, document, replacements);
  const decided = await rewriting.decide(before);
  if (isDryRun) return { ...told, outcome: 'would-change', fields };
  const restored = planned.flatMap(({ change, replacement }) => (replacement === undefined ? [] : [change]));
  const revision = await rewriting.commit('placeholders.undo', before, decided, {
    changed: [],
    restored: restored.map(({ member, name }) => ({ member, name })),
  });
  return { ...told, revision, outcome: 'changed', fields };
}

function plan(
  { surface, document }: Rewriting,
  { member, name, reference, text, property }: Change,
): { readonly view: UndoneField; readonly replacement?: Replacement } {
  const field = surface.fields(document).find((each) => {
    const place = placeOf(each);
    return place.member === member && place.name === name;
  });
  const stay = (stays: keyof typeof messages) => ({
    view: {
      name,
      ...(field === undefined ? {} : { pointer: field.pointer }),
      reference,
      stays,
      message: messages[stays],
    },
  });
  if (field?.content.kind !== 'reference' || formatReference(field.content.reference) !== reference)
    return stay('edited-since');
  if (text === null) return stay('secret-kept');
  const { pointer } = field;
  return { view: { name, pointer, reference, restores: text }, replacement: { pointer, property, text } };
}
