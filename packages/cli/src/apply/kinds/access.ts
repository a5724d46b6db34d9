import type { CallInput, ItemOf } from '@strongroom/sdk';
import { StrongroomError } from '@strongroom/sdk';
import type { Impact } from '../../commands/impact.ts';
import { keptNames } from '../../commands/remains.ts';
import { wholeOf } from '../../lists.ts';
import {
  creation,
  hitBy,
  type ObjectKind,
  orAbsent,
  problemOf,
  refuseUnknown,
  type StepsBefore,
  tried,
} from '../kind.ts';
import type { Manifest } from '../manifest.ts';

type MemberBody = CallInput<'addMember'>['body'];
type GrantBody = CallInput<'addGrant'>['body'];

/** What somebody keeps, named in a line. */
const maxKept = 5;

/** Names are folded by the server, too. */
const folded = (name: unknown): string => String(name).toLowerCase();

/** Who stands in a domain by a preset. */
export const memberKind: ObjectKind = {
  kind: 'member',
  word: 'member',
  place: 'domain',
  namedBy: ['principal'],
  rank: 20,
  plan: async ({ client, lists, manager }, manifest) => {
    const { domain, name, body, managedBy } = manifest;
    refuseUnknown(manifest, ['principal', 'preset']);
    const before = (await lists.members(domain)).find((each) => folded(each.principal) === folded(name));
    if (before === undefined) {
      const input = { params: { domain }, body: { ...body, managedBy: managedBy ?? manager } as MemberBody };
      return {
        outcome: 'create',
        changes: creation(body, ['principal']),
        ...(await problemOf(client.addMember({ ...input, ...tried }))),
        apply: async () => ({ outcome: 'created', object: await client.addMember(input) }),
      };
    }
    const preset = body['preset'];
    if (preset === before.preset) return { outcome: 'unchanged', applied: { outcome: 'unchanged', object: before } };
    const put = { preset } as NonNullable<CallInput<'putMember'>['body']>;
    const params = { domain, principal: name };
    return {
      outcome: 'change',
      changes: [{ field: 'preset', from: before.preset, to: String(preset) }],
      ...(await problemOf(client.putMember({ params, body: put, ...tried }))),
      hits: await hitBy(() => client.showMemberImpact({ params, query: put })),
      apply: async () => {
        // A member has no revision: what was planned is looked at once more.
        const [now] = await found(
          client.items('listMembers', { params: { domain }, query: { q: plainName(name) } }),
          name,
        );
        if (now?.preset !== before.preset) throw changedMeanwhile(manifest);
        const object = await client.putMember({ params, body: put });
        return { outcome: 'changed', object };
      },
    };
  },
  managed: async ({ client, lists, manager }, { scope, domain }) => {
    if (scope !== 'domain') return [];
    return (await lists.members(domain))
      .filter((each) => each.managedBy === manager)
      .map(({ principal }) => {
        const params = { domain, principal };
        let told: Promise<Impact> | undefined;
        const impact = (): Promise<Impact> => (told ??= client.showMemberImpact({ params }));
        return {
          name: principal,
          impact,
          remainder: async (before) => keptText(principal, (await orAbsent(impact()))?.remains, before),
          remove: () => client.deleteMember({ params }),
        };
      });
  },
};

/** What somebody keeps without being a member, but for what goes in the same apply. */
function keptText(principal: string, remains: Impact['remains'], before: StepsBefore): string | undefined {
  if (remains === undefined) return undefined;
  const grants = remains.grants.filter(({ permission }) => !before.deletes('grant', `${principal} ${permission}`));
  const isLeft = (bundle: string): boolean => !before.deletes('bundle', bundle);
  const bundleGrants = remains.bundleGrants.filter(({ bundle }) => isLeft(bundle));
  const names = keptNames({ grants, bundleGrants, bundles: remains.bundles.filter(isLeft) });
  if (names.length === 0) return undefined;
  const more = names.length > maxKept ? [`and ${names.length - maxKept} more`] : [];
  return `${principal} keeps ${[...names.slice(0, maxKept), ...more].join(', ')}`;
}

/** One permission of one principal in a domain. */
export const grantKind: ObjectKind = {
  kind: 'grant',
  word: 'grant',
  place: 'domain',
  namedBy: ['principal', 'permission'],
  rank: 30,
  plan: async ({ client, lists, manager }, manifest) => {
    const { domain, body, managedBy } = manifest;
    refuseUnknown(manifest, ['principal', 'permission', 'acknowledge']);
    const before = (await lists.grants(domain)).find(
      (each) => folded(each.principal) === folded(body['principal']) && each.permission === body['permission'],
    );
    if (before !== undefined) return { outcome: 'unchanged', applied: { outcome: 'unchanged', object: before } };
    const input = { params: { domain }, body: { ...body, managedBy: managedBy ?? manager } as GrantBody };
    return {
      outcome: 'create',
      changes: [],
      ...(await problemOf(client.addGrant({ ...input, ...tried }))),
      apply: async () => ({ outcome: 'created', object: await client.addGrant(input) }),
    };
  },
  managed: async ({ client, lists, manager }, { scope, domain }) => {
    if (scope !== 'domain') return [];
    return (await lists.grants(domain))
      .filter((each) => each.managedBy === manager)
      .map(({ id, principal, permission }) => ({
        name: `${principal} ${permission}`,
        impact: () => client.showGrantImpact({ params: { domain, grant: id } }),
        remove: () => client.deleteGrant({ params: { domain, grant: id } }),
      }));
  },
};

async function found(
  members: AsyncIterable<ItemOf<'listMembers'>>,
  name: string,
): Promise<readonly ItemOf<'listMembers'>[]> {
  return (await wholeOf(members)).filter((each) => folded(each.principal) === folded(name));
}

/** The part of it that lists are searched by. */
function plainName(principal: string): string {
  return principal.slice(Math.max(principal.indexOf(':'), principal.lastIndexOf('/')) + 1);
}

function changedMeanwhile({ kind, name }: Manifest): StrongroomError {
  return new StrongroomError('version_conflict', {
    detail: `The ${kind} ${name} was changed since the plan was made.`,
  });
}
