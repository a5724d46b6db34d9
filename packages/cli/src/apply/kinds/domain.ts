import type { CallInput, CallResult } from '@strongroom/sdk';
import { UsageError } from '../../errors.ts';
import { creation, namedChanges, type ObjectKind, orAbsent, problemOf, refuseUnknown, tried } from '../kind.ts';

type Body = CallInput<'createDomain'>['body'];

const fields = ['displayName', 'description', 'store'];

/** A domain. None is ever taken away: with it the keys of its secrets would be destroyed. */
export const domainKind: ObjectKind = {
  kind: 'domain',
  word: 'domain',
  place: 'self',
  namedBy: ['name'],
  rank: 10,
  plan: async ({ client, manager }, manifest) => {
    const { name, body, managedBy } = manifest;
    refuseUnknown(manifest, ['name', ...fields]);
    const before = await orAbsent(client.showDomain({ params: { domain: name } }));
    const applied = (outcome: 'created' | 'changed' | 'unchanged', object: CallResult<'showDomain'>) =>
      ({ outcome, object, revision: object.revision }) as const;
    if (before === undefined) {
      const whole = { ...body, managedBy: managedBy ?? manager } as Body;
      return {
        outcome: 'create',
        changes: creation(body, ['name']),
        ...(await problemOf(client.createDomain({ body: whole, ...tried }))),
        apply: async () => applied('created', await client.createDomain({ body: whole })),
      };
    }
    if (managedBy !== undefined && managedBy !== before.managedBy)
      throw new UsageError(`${manifest.where}: managedBy of a domain is as it was made`);
    const { changes, body: changed } = namedChanges(body, before, fields);
    if (changes.length === 0) return { outcome: 'unchanged', applied: applied('unchanged', before) };
    const update = { params: { domain: name }, body: changed, ifMatch: before.revision };
    return {
      outcome: 'change',
      changes,
      ...(await problemOf(client.updateDomain({ ...update, ...tried }))),
      apply: async () => applied('changed', await client.updateDomain(update)),
    };
  },
};
