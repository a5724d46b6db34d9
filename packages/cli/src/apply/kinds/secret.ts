import type { CallInput, CallResult } from '@strongroom/sdk';
import { routeIn } from '../../scope.ts';
import { changesBetween } from '../diff.ts';
import {
  creation,
  namedChanges,
  type ObjectKind,
  orAbsent,
  type Planned,
  problemOf,
  refuseUnknown,
  tried,
} from '../kind.ts';
import type { ApplyContext } from '../kind.ts';
import type { Manifest } from '../manifest.ts';
import { assignmentHits, assignmentsIn } from './assignments.ts';
import { scopeIn } from './integration.ts';

type Secret = CallResult<'showDomainSecret'>;
type Changes = NonNullable<CallInput<'updateDomainSecret'>['body']>;

const fields = ['description', 'folder', 'tags', 'owner', 'expiresAt', 'rotateEveryDays', 'destinations'];

/** What is known of a secret. Its value is in no manifest, so none is made here, and none is ever taken away. */
export const secretKind: ObjectKind = {
  kind: 'secret',
  word: 'secret',
  place: 'scope',
  namedBy: ['key'],
  rank: 55,
  plan: planSecret,
};

async function planSecret({ client }: ApplyContext, manifest: Manifest): Promise<Planned> {
  const { domain, name: key, body: wanted, where } = manifest;
  const place = scopeIn(manifest.scope, domain);
  refuseUnknown(manifest, ['key', 'assignments', ...fields]);
  const params = { ...place.params, key };
  const assignments = assignmentsIn(wanted['assignments'], place, where);
  const before = await orAbsent(client[routeIn(place, 'show', 'Secret')]({ params }));
  if (before === undefined) {
    const reason = `it has no value, which no manifest holds; give it one with: strongroom secret create ${key} ${place.flags}`;
    return { outcome: 'wait', changes: creation(wanted, ['key']), reason };
  }
  const { changes, body: changed } = namedChanges(normalised(wanted, before), comparable(before), [...fields]);
  const held = assignments === undefined ? undefined : await client.showAssignments({ params: { key } });
  const assigned = assignments?.changesFrom(held) ?? [];
  // `null` takes a date away; what is compared has no null.
  const cleared = fields.filter((field) => wanted[field] === null && before[field as keyof Secret] !== null);
  const taken = changesBetween(Object.fromEntries(cleared.map((field) => [field, before[field as keyof Secret]])), {});
  if (changes.length + taken.length + assigned.length === 0)
    return { outcome: 'unchanged', applied: { outcome: 'unchanged', object: before, revision: before.revision } };
  const body = { ...changed, ...Object.fromEntries(cleared.map((field) => [field, null])) } as Changes;
  const update = { params, body, ifMatch: before.revision };
  const save = client[routeIn(place, 'update', 'Secret')];
  const isChanged = Object.keys(body).length > 0;
  const ofFields = isChanged ? await problemOf(save({ ...update, ...tried })) : {};
  const assign = { params: { key }, body: assignments?.body ?? {} };
  const ofAssignments = assigned.length > 0 ? await problemOf(client.putAssignments({ ...assign, ...tried })) : {};
  return {
    outcome: 'change',
    changes: [...changes, ...taken, ...assigned],
    ...(ofFields.problem === undefined ? ofAssignments : ofFields),
    hits:
      assigned.length === 0
        ? []
        : await assignmentHits(assignments, (query) => client.showAssignmentsImpact({ params: { key }, query })),
    apply: async () => {
      const object = isChanged ? await save(update) : before;
      if (assigned.length > 0) await client.putAssignments(assign);
      return { outcome: 'changed', object, revision: object.revision };
    },
  };
}

/** The same moment may be written in several ways, and tags in any order. */
function normalised(body: Readonly<Record<string, unknown>>, before: Secret): Record<string, unknown> {
  const { expiresAt, tags } = body;
  const isSameTime =
    typeof expiresAt === 'string' &&
    before.expiresAt !== null &&
    Date.parse(expiresAt) === Date.parse(before.expiresAt);
  return {
    ...Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null)),
    ...(isSameTime ? { expiresAt: before.expiresAt } : {}),
    ...(Array.isArray(tags) ? { tags: tags.toSorted() } : {}),
  };
}

function comparable(before: Secret): Record<string, unknown> {
  return { ...before, tags: before.tags.toSorted() };
}
