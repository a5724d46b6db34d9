import { StrongroomError } from '@strongroom/sdk';
import { platformCalls, type PlatformCalls } from '../../commands/platform-calls.ts';
import { UsageError } from '../../errors.ts';
import { changesBetween } from '../diff.ts';
import { creation, type ObjectKind, orAbsent, type Planned, problemOf } from '../kind.ts';
import { typedIn } from './configuration.ts';
import type { ApplyContext } from '../kind.ts';
import type { Manifest } from '../manifest.ts';

/** What is shown of it beside what its manifest is about. */
const kept: ReadonlySet<string> = new Set([
  'id',
  'revision',
  'createdAt',
  'createdBy',
  'updatedAt',
  'updatedBy',
  'actions',
  'warnings',
  'sync',
]);

/** The mail server and the directory: one of each, which no apply takes away. */
export const platformKinds: readonly ObjectKind[] = Object.entries(platformCalls).map(([kind, calls]): ObjectKind => ({
  kind,
  word: kind,
  place: 'platform',
  namedBy: [],
  rank: 80,
  plan: (context, manifest) => planPlatform(context, calls, manifest),
}));

async function planPlatform({ client }: ApplyContext, calls: PlatformCalls, manifest: Manifest): Promise<Planned> {
  const { body, managedBy, where } = manifest;
  if (managedBy !== undefined) throw new UsageError(`${where}: managedBy is no field of it`);
  const before = await orAbsent(calls.show(client));
  const apply = async () => {
    const after = await calls.put(client, body, before?.revision);
    const { revision, warnings } = after;
    const outcome = before === undefined ? 'created' : revision === before.revision ? 'unchanged' : 'changed';
    return { outcome, object: after, revision, warnings } as const;
  };
  if (before === undefined) {
    const problem = await problemOf(calls.preview(client, body, undefined));
    return { outcome: 'create', changes: creation(body, []), ...problem, apply };
  }
  try {
    const after = await calls.preview(client, body, before.revision);
    const { revision, warnings } = after;
    if (revision === before.revision)
      return { outcome: 'unchanged', applied: { outcome: 'unchanged', object: after, revision, warnings } };
    return {
      outcome: 'change',
      changes: [...changesBetween(fieldsOf(before), fieldsOf(after)), ...typedIn(body)],
      apply,
    };
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    return { outcome: 'change', changes: [], problem: error, apply };
  }
}

function fieldsOf(shown: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(shown).filter(([field]) => !kept.has(field)));
}
