import { readFileSync } from 'node:fs';
import { actionTable } from '@strongroom/contract';
import {
  preparsePolicySet,
  statefulIsAuthorized,
  type CedarValueJson,
  type EntityJson,
  type TypeAndId,
} from '@cedar-policy/cedar-wasm/nodejs';
import { bundlesOf, domainOfBundle, principalId, type Question, type World } from './world.ts';

/**
 * A second opinion: Cedar's engine on hand-written policies. Entities are made from the world's rows here, sharing nothing
 * with the product's snapshots and selectors. They are few and flat, because a call costs some 15 µs for each.
 */

const sections = readFileSync(new URL('policies.cedar', import.meta.url), 'utf8').split(/^\/\/\/\/ /m);
const [, everywhere = ''] = sections;
for (const [index, kind] of (['platform', 'scope', 'asset'] as const).entries()) {
  const parsed = preparsePolicySet(kind, {
    staticPolicies: [everywhere, sections[index + 2]].map(withoutTitle).join('\n'),
  });
  if (parsed.type === 'failure') throw new TypeError(parsed.errors.map((error) => error.message).join('; '));
}

function withoutTitle(section = ''): string {
  return section.slice(section.indexOf('\n'));
}

interface NamedEntity extends EntityJson {
  readonly uid: TypeAndId;
}

const uid = (type: string, id: string): TypeAndId => ({ type, id });
const entity = (
  type: string,
  id: string,
  parents: TypeAndId[] = [],
  attrs: Record<string, CedarValueJson> = {},
): NamedEntity => ({
  uid: uid(type, id),
  parents,
  attrs,
});

export function oracleAllows(world: World, question: Question): boolean {
  const resource = resourceEntity(world, question);
  const call = {
    preparsedPolicySetId: actionTable[question.action].on,
    principal: uid('Principal', principalId),
    action: uid('Action', question.action),
    resource: resource.uid,
    context: {},
    entities: [...reachable(actors(world, question)), ...actionEntity(question), resource],
  };
  const text = JSON.stringify(call);
  const known = answered.get(text) ?? askCedar(call);
  answered.set(text, known);
  return known;
}

/** More than half of what random worlds come down to was asked before, word by word. */
const answered = new Map<string, boolean>();

function askCedar(call: Parameters<typeof statefulIsAuthorized>[0]): boolean {
  const answer = statefulIsAuthorized(call);
  if (answer.type === 'failure') throw new TypeError(answer.errors.map((error) => error.message).join('; '));
  const [failed] = answer.response.diagnostics.errors;
  if (failed !== undefined) throw new TypeError(failed.error.message);
  return answer.response.decision === 'allow';
}

const fixed: readonly NamedEntity[] = [
  entity('Role', 'PLATFORM_ADMIN', [uid('Role', 'SECRETS_ADMIN'), uid('Role', 'DOMAIN_MANAGER')]),
  entity('Role', 'DOMAIN_MANAGER', [uid('Here', 'OWNER')]),
  entity('Role', 'READ_ONLY_ADMIN', [uid('Here', 'VIEWER')]),
  entity('Here', 'OWNER', [uid('Here', 'MAINTAINER')]),
  entity('Here', 'MAINTAINER', [uid('Here', 'MEMBER')]),
  entity('Here', 'MEMBER', [uid('Here', 'VIEWER')]),
  entity('Here', 'VIEWER', [uid('Here', 'standing')]),
];

/** The actors and what they are in, directly or not. */
function reachable(actors: readonly NamedEntity[]): readonly NamedEntity[] {
  const names = new Set(actors.flatMap((actor) => actor.parents.map(nameOf)));
  // `fixed` is ordered from the top: a role or preset comes before what it includes.
  const included = fixed.filter((candidate) => {
    if (!names.has(nameOf(candidate.uid))) return false;
    for (const parent of candidate.parents) names.add(nameOf(parent));
    return true;
  });
  return [...actors, ...included];
}

function nameOf(uid: NamedEntity['parents'][number]): string {
  return '__entity' in uid ? `${uid.__entity.type}::${uid.__entity.id}` : `${uid.type}::${uid.id}`;
}

function actors(world: World, question: Question): NamedEntity[] {
  const groups = world.groups.filter((group) => group.isMember && !group.isDisabled);
  const parents = (actor: string, roles: readonly string[]) => [
    ...roles.map((role) => uid('Role', role)),
    ...standings(world, question, actor),
    ...rights(world, question, actor),
  ];
  return [
    entity(
      'Principal',
      principalId,
      [...parents(principalId, world.principal.roles), ...groups.map((group) => uid('Group', group.id))],
      { isDisabled: world.principal.isDisabled },
    ),
    ...groups.map((group) => entity('Group', group.id, parents(group.id, group.roles))),
  ];
}

/** What an actor holds in the domain asked about; anything at all is standing there. */
function standings(world: World, { about }: Question, actor: string): TypeAndId[] {
  if (about.kind === 'platform') return [];
  const isHeld = (item: { readonly actor: string; readonly domain?: string; readonly bundle?: string }) =>
    item.actor === actor && (item.domain ?? domainOfBundle.get(item.bundle ?? '')) === about.scope;
  const held = [
    ...world.members.filter(isHeld).map((member) => member.preset),
    ...world.grants.filter(isHeld).map((grant) => grant.permission),
  ];
  const isStanding = held.length > 0 || world.owners.some(isHeld) || world.bundleGrants.some(isHeld);
  return [...held.map((name) => uid('Here', name)), ...(isStanding ? [uid('Here', 'standing')] : [])];
}

function rights(world: World, question: Question, actor: string): TypeAndId[] {
  const holding = holdingBundles(world, question);
  const { about } = question;
  const type =
    about.kind === 'configuration' ? about.type : about.kind === 'global-integration' ? 'integration' : 'secret';
  const grants = world.bundleGrants.filter(
    (grant) => grant.actor === actor && grant.type === type && holding.includes(grant.bundle),
  );
  const isOwner = world.owners.some((owner) => owner.actor === actor && holding.includes(owner.bundle));
  return [
    ...grants.flatMap((grant) => grant.permissions.map((permission) => uid('Right', permission))),
    ...(isOwner ? [uid('Right', 'owner')] : []),
  ];
}

/** Every bundle of the domain with a selector that fits, else its default one; a configuration is in one bundle, a Global integration in the default one. */
function holdingBundles(world: World, { about }: Question): readonly string[] {
  if (about.kind === 'configuration') return [about.bundle];
  if (about.kind === 'global-integration') return (bundlesOf[about.scope] ?? []).slice(0, 1);
  if (about.kind !== 'secret') return [];
  const key = about.key.toLowerCase();
  const bundles = bundlesOf[about.scope] ?? [];
  const explicit = bundles.filter((bundle) =>
    world.selectors.some((selector) => {
      const text = selector.text.toLowerCase();
      const fits = selector.isPrefix ? key.startsWith(text) : key === text;
      return fits && selector.bundle === bundle && selector.scope === about.lives;
    }),
  );
  return explicit.length > 0 ? explicit : bundles.slice(0, 1);
}

function actionEntity({ action }: Question): NamedEntity[] {
  const row = actionTable[action];
  return row.on === 'asset'
    ? [entity('Action', action, [uid('Action', 'on an asset'), uid('Action', row.permission)])]
    : [];
}

function resourceEntity(world: World, question: Question): NamedEntity {
  const { about } = question;
  if (about.kind === 'platform') return entity('Platform', 'it');
  const isPlatformScope = about.scope === 'dom_admin' || about.scope === 'dom_global';
  if (about.kind === 'scope') {
    return entity(
      about.scope === 'dom_admin' ? 'AdminScope' : about.scope === 'dom_global' ? 'GlobalScope' : 'Domain',
      'it',
    );
  }
  if (isPlatformScope) return entity('PlatformAsset', 'it');
  const isElsewhere = world.assignments.length > 0 && !world.assignments.includes(about.scope);
  return entity('Asset', 'it', [], {
    inDefault: holdingBundles(world, question).includes(bundlesOf[about.scope]?.[0] ?? ''),
    isUnassigned:
      about.kind === 'global-integration'
        ? !world.integrationAssignments.includes(about.scope)
        : about.kind === 'secret' && about.lives === 'global' && isElsewhere,
  });
}
