import type { backendDeclarations as Declarations } from '@strongroom/contract';
import type { CallInput, CallResult, StrongroomError } from '@strongroom/sdk';
import { isRecord, UsageError } from '../../errors.ts';
import { wholeOf } from '../../lists.ts';
import { routeIn, type Scope, scopeOf } from '../../scope.ts';
import { changesBetween } from '../diff.ts';
import {
  type ApplyContext,
  creation,
  hitBy,
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
import { assignmentHits, assignmentsIn } from './assignments.ts';

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
        impact: () =>
          client[routeIn(place, 'show', 'IntegrationImpact')]({
            params: { ...place.params, name },
            query: { change: 'delete' },
          }),
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
  const assignment = { params: { name }, body: assignments?.body ?? {} };
  const assign = async () => {
    if (assignments !== undefined) await client.putIntegrationAssignments(assignment);
  };
  if (before === undefined) {
    const changes = [...creation(body, ['name', 'assignments']), ...(assignments?.changesFrom(undefined) ?? [])];
    const create = client[routeIn(place, 'create', 'Integration')];
    const whole = { ...integration, managedBy: manifest.managedBy ?? manager } as unknown as Body;
    const { problem } = await problemOf(create({ params: place.params, body: whole, ...tried }));
    if (needsCredentials(integration, await declarations())) {
      const flags = `${name} --file ${manifest.file} ${place.flags}`;
      const reason = `it needs its credentials, which no manifest holds; make it once with: strongroom integration add ${flags}`;
      return { outcome: 'wait', changes, reason, ...(problem === undefined || isWaiting(problem) ? {} : { problem }) };
    }
    return {
      outcome: 'create',
      changes,
      ...(problem === undefined ? {} : { problem }),
      ...(assignments === undefined ? {} : { untried: 'which domains may use it is checked when it is there' }),
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
  const update = { params, body: changed as Changes, ifMatch: before.revision };
  const change = client[routeIn(place, 'update', 'Integration')];
  const ofFields = changes.length === 0 ? {} : await problemOf(change({ ...update, ...tried }));
  const ofAssignments =
    assigned.length === 0 ? {} : await problemOf(client.putIntegrationAssignments({ ...assignment, ...tried }));
  // Where it leads is what its keys stand on; what it is called and whose it is, is not.
  const leadsElsewhere = 'settings' in changed || 'profile' in changed;
  const readImpact = () => client[routeIn(place, 'show', 'IntegrationImpact')]({ params, query: { change: 'edit' } });
  return {
    outcome: 'change',
    changes: [...changes, ...assigned],
    ...(ofFields.problem === undefined ? ofAssignments : ofFields),
    hits: [
      ...(leadsElsewhere ? await hitBy(readImpact) : []),
      ...(assigned.length === 0
        ? []
        : await assignmentHits(assignments, (query) =>
            client.showIntegrationAssignmentsImpact({ params: { name }, query }),
          )),
    ],
    apply: async () => {
      const object = changes.length === 0 ? before : await change(update);
      if (assigned.length > 0) await assign();
      return { outcome: 'changed', object, revision: object.revision };
    },
  };
}

/** Whether nothing but its credentials is missing, which the server looks at last. */
function isWaiting({ errors = [] }: StrongroomError): boolean {
  return errors.length > 0 && errors.every(({ pointer }) => pointer.startsWith('/credentials'));
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
