import { isRecord, UsageError } from '../../errors.ts';
import type { Impact } from '../../commands/impact.ts';
import type { Scope } from '../../scope.ts';
import { changesBetween, type FieldChange } from '../diff.ts';
import { type Hit, hitBy } from '../kind.ts';

/** Domains that may use something of the global scope. */
export interface Assignments {
  readonly body: { all: true } | { domains: string[] };
  readonly changesFrom: (
    held: { readonly all: boolean; readonly domains: readonly string[] } | undefined,
  ) => FieldChange[];
}

/** What domains would lose that may use it now; nothing where all may. */
export async function assignmentHits(
  assignments: Assignments | undefined,
  read: (query: { readonly domains: string }) => Promise<Impact>,
): Promise<readonly Hit[]> {
  const { body } = assignments ?? {};
  if (body === undefined || !('domains' in body)) return [];
  return hitBy(() => read({ domains: body.domains.join(',') }), 'assignments');
}

/** `assignments: all`, or a list of domains. @throws UsageError also in another scope than the global one */
export function assignmentsIn(value: unknown, scope: Scope, where: string): Assignments | undefined {
  if (value === undefined) return undefined;
  if (scope.kind !== 'global') throw new UsageError(`${where}: assignments are of what is in the global scope`);
  const isList = Array.isArray(value) && value.every((each) => typeof each === 'string');
  if (value !== 'all' && !isList) throw new UsageError(`${where}: assignments is all, or a list of domains`);
  const text = value === 'all' ? 'all' : value.toSorted();
  return {
    body: value === 'all' ? { all: true } : { domains: [...value] },
    changesFrom: (held) => {
      const before = held === undefined ? undefined : held.all ? 'all' : held.domains.toSorted();
      return changesBetween(isRecord(before) ? undefined : { assignments: before }, { assignments: text });
    },
  };
}
