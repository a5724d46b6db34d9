import type { backendDeclarations as Declarations } from '@strongroom/contract';
import type { CallInput, CallResult } from '@strongroom/sdk';
import { isRecord, UsageError } from '../../errors.ts';
import { wholeOf } from '../../lists.ts';
import { routeIn, type Scope, scopeOf } from '../../scope.ts';
import { changesBetween } from '../diff.ts';
import {
  type ApplyContext,
  creation,
  managerOf,
  namedChanges,
  type ObjectKind,
  orAbsent,
  type Planned,
  problemOf,
  refuseUnknown,
  tried,
} from '../kind.ts';
import type { Manifest, ManifestScope } from '../manifest.ts';
import { assignmentsIn } from './assignments.ts';

type Body = CallInput<'createDomainIntegration'>['body'];
type Changes = NonNullable<CallInput<'updateDomainIntegration'>['body']>;
type Integration = CallResult<'showDomainIntegration'>;

const fields = ['description', 'settings', 'profile', 'bundle'];

/** The scope of a manifest, as routes are named by it. */
export function scopeIn(scope: ManifestScope, domain: string): Scope {
  return scopeOf(scope === 'domain' ? { domain } : scope === 'global' ? { global: true } : { admin: true });
}

/** A connection to somebody's backend. Its credentials are in no manifest: one that needs any is made by `integration add`. */
export const integrationKind: ObjectKind = {
  kind: 'integration',
  word: 'integration',
  place: 'scope',
  namedBy: ['name'],
  rank: 50,
  plan: planIntegration,
  managed: async ({ client, manager }, { scope, domain }) => {
    const place = scopeIn(scope, domain);
    const input = { params: place.params, query: { limit: 200 } };
    const items = wholeOf(client.items(routeIn(place, 'list', 'Integrations'), input));
    return ((await orAbsent(items)) ?? [])
      .filter((each) => each.managedBy === manager)
      .map(({ name, revision }) => ({
        name,
        remove: () =>
          client[routeIn(place, 'delete', 'Integration')]({ params: { ...place.params, name }, ifMatch: revision }),
      }));
  },
};

async function planIntegration(context: ApplyContext, manifest: Manifest): Promise<Planned> {
  const { client, manager } = context;
  const { domain, name, body, where } = manifest;
  const place = scopeIn(manifest.scope, domain);
  refuseUnknown(manifest, ['name', 'type', 'assignments', ...fields]);
  const params = { ...place.params, name };
  const { assignments: wanted, ...integration } = body;
  const assignments = assignmentsIn(wanted, place, where);
  const before = await orAbsent(client[routeIn(place, 'show', 'Integration')]({ params }));
  const assign = async () => {
    if (assignments !== undefined) await client.putIntegrationAssignments({ params: { name }, body: assignments.body });
  };
  if (before === undefined) {
    const changes = [...creation(body, ['name', 'assignments']), ...(assignments?.changesFrom(undefined) ?? [])];
    if (needsCredentials(integration, await declarations())) {
      const flags = `--file ${where.split(',')[0] ?? where} ${place.flags}`;
      const reason = `it needs its credentials, which no manifest holds; make it once with: strongroom integration add ${flags}`;
      return { outcome: 'wait', changes, reason };
    }
    const create = client[routeIn(place, 'create', 'Integration')];
    const whole = { ...integration, managedBy: manifest.managedBy ?? manager } as unknown as Body;
    return {
      outcome: 'create',
      changes,
      ...(await problemOf(create({ params: place.params, body: whole, ...tried }))),
      apply: async () => {
        const made = await create({ params: place.params, body: whole });
        await assign();
        return { outcome: 'created', object: made, revision: made.revision };
      },
    };
  }
  managerOf(manifest, before.managedBy, context);
  if (body['type'] !== before.type)
    throw new UsageError(`${where}: ${name} is of type ${before.type}, which stays`, 'Another one has another name.');
  const shown: Record<string, unknown> = { ...before };
  if (isRecord(body['settings'])) shown['settings'] = settingsBeside(before, body['settings'], await declarations());
  const { changes, body: changed } = namedChanges(integration, shown, fields);
  const held = assignments === undefined ? undefined : await client.showIntegrationAssignments({ params: { name } });
  const assigned = assignments?.changesFrom(held) ?? [];
  if (changes.length + assigned.length === 0)
    return { outcome: 'unchanged', applied: { outcome: 'unchanged', object: before, revision: before.revision } };
  return {
    outcome: 'change',
    changes: [...changes, ...assigned],
    apply: async () => {
      const update = { params, body: changed as Changes, ifMatch: before.revision };
      const object = changes.length === 0 ? before : await client[routeIn(place, 'update', 'Integration')](update);
      if (assigned.length > 0) await assign();
      return { outcome: 'changed', object, revision: object.revision };
    },
  };
}

/** With the schemas of the API, which no other kind needs here. */
async function declarations(): Promise<typeof Declarations> {
  return (await import('@strongroom/contract')).backendDeclarations;
}

/** An identity that is lent needs none; every other way to sign in does. */
function needsCredentials(
  { type, settings, profile }: Readonly<Record<string, unknown>>,
  backendDeclarations: typeof Declarations,
): boolean {
  if (profile !== undefined || !isRecord(settings)) return false;
  const method = isRecord(settings['authentication']) ? settings['authentication']['method'] : undefined;
  const declaration = Object.values(backendDeclarations).find((each) => each.type === type);
  return Object.values(declaration?.credentials ?? {}).some(({ methods }) =>
    methods.some((each: unknown) => each === method),
  );
}

/** The settings that are there, but for those that a manifest left out and that are as they are without being said. */
function settingsBeside(
  before: Integration,
  wanted: Readonly<Record<string, unknown>>,
  backendDeclarations: typeof Declarations,
): Record<string, unknown> {
  const declared: unknown = backendDeclarations[before.type].settings.properties;
  const defaults = isRecord(declared) ? declared : {};
  return Object.fromEntries(
    Object.entries(before.settings).filter(([field, value]) => {
      const schema = defaults[field];
      const isDefault = isRecord(schema) && changesBetween(schema['default'], value).length === 0;
      return field in wanted || !isDefault;
    }),
  );
}
