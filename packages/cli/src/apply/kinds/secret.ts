import type { CallInput, CallResult } from '@strongroom/sdk';
import { routeIn } from '../../scope.ts';
import { changesBetween } from '../diff.ts';
import { creation, namedChanges, type ObjectKind, orAbsent, type Planned, refuseUnknown } from '../kind.ts';
import type { ApplyContext } from '../kind.ts';
import type { Manifest } from '../manifest.ts';
import { assignmentsIn } from './assignments.ts';
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
  const { domain, name: key, body, where } = manifest;
  const place = scopeIn(manifest.scope, domain);
  refuseUnknown(manifest, ['key', 'assignments', ...fields]);
  const params = { ...place.params, key };
  const assignments = assignmentsIn(body['assignments'], place, where);
  const before = await orAbsent(client[routeIn(place, 'show', 'Secret')]({ params }));
  if (before === undefined) {
    const reason = `it has no value, which no manifest holds; give it one with: strongroom secret create ${key} ${place.flags}`;
    return { outcome: 'wait', changes: creation(body, ['key']), reason };
  }
  const { changes, body: changed } = namedChanges(normalised(body, before), comparable(before), [...fields]);
  const held = assignments === undefined ? undefined : await client.showAssignments({ params: { key } });
  const assigned = assignments?.changesFrom(held) ?? [];
  // `null` takes a date away; what is compared has no null.
  const cleared = fields.filter((field) => body[field] === null && before[field as keyof Secret] !== null);
  const taken = changesBetween(Object.fromEntries(cleared.map((field) => [field, before[field as keyof Secret]])), {});
  if (changes.length + taken.length + assigned.length === 0)
    return { outcome: 'unchanged', applied: { outcome: 'unchanged', object: before, revision: before.revision } };
  return {
    outcome: 'change',
    changes: [...changes, ...taken, ...assigned],
    apply: async () => {
      const update = { ...changed, ...Object.fromEntries(cleared.map((field) => [field, null])) } as Changes;
      const object =
        Object.keys(update).length === 0
          ? before
          : await client[routeIn(place, 'update', 'Secret')]({ params, body: update, ifMatch: before.revision });
      if (assignments !== undefined && assigned.length > 0)
        await client.putAssignments({ params: { key }, body: assignments.body });
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
