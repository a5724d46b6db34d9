import { actionTable, type RouteDeclaration } from '@strongroom/contract';
import type { AnyHandler } from './route-request.ts';
import { scopeOfPath } from './guard.ts';

const accessKinds = new Set<string>(['public', 'authenticated', 'platform', 'scope', 'asset']);

/**
 * Everything that is wrong with a set of routes and handlers. The types say most of it; this holds for whatever slipped
 * past them, because a route without access is a hole and not a bug.
 */
export function declarationProblems(
  routes: readonly RouteDeclaration[],
  handlers: Readonly<Record<string, AnyHandler>>,
): string[] {
  const problems: string[] = [];
  const ids = new Set<string>();
  const places = new Set<string>();
  for (const route of routes) {
    const say = (problem: string): number => problems.push(`${route.id}: ${problem}`);
    if (ids.has(route.id)) say('declared twice');
    ids.add(route.id);
    const place = `${route.method} ${route.path.replaceAll(/\{[^}]*\}/g, '{}')}`;
    if (places.has(place)) say(`another route has ${place}`);
    places.add(place);
    if (!Object.hasOwn(handlers, route.id)) say('no handler');
    for (const problem of accessProblems(route)) say(problem);
    for (const problem of shapeProblems(route)) say(problem);
  }
  for (const id of Object.keys(handlers)) if (!ids.has(id)) problems.push(`${id}: a handler without a route`);
  return problems;
}

function accessProblems(route: RouteDeclaration): string[] {
  const access: RouteDeclaration['access'] | undefined = route.access;
  if (typeof access !== 'object' || access === null || !accessKinds.has(access.kind)) return ['no access declared'];
  if (access.kind === 'public' || access.kind === 'authenticated')
    return access.reason === '' ? ['no reason for its access'] : [];
  const row = Object.hasOwn(actionTable, access.action) ? actionTable[access.action] : undefined;
  if (row === undefined) return ['its action is not in the table of actions'];
  if (row.on !== access.kind) return [`its action ${access.action} is decided on ${row.on}, not on ${access.kind}`];
  if (access.kind === 'platform') return [];
  try {
    const fixed = scopeOfPath(route);
    if (access.kind === 'asset' && fixed !== undefined && row.on === 'asset' && row.platform.length === 0)
      return ['these assets belong to a domain'];
  } catch {
    return ['its path names no scope'];
  }
  if (access.kind === 'asset') {
    if (!route.path.includes(`{${access.parameter}}`)) return [`its path has no {${access.parameter}}`];
    if (row.on === 'asset' && row.type === 'secret') return ['the use of a secret is not a route’s own action'];
  }
  return [];
}

function shapeProblems(route: RouteDeclaration): string[] {
  const problems: string[] = [];
  const inPath = [...route.path.matchAll(/\{([^}]*)\}/g)].map(([, name]) => name ?? '').sort();
  const declared = Object.keys(route.params?.properties ?? {}).sort();
  if (inPath.join() !== declared.join())
    problems.push(`the path has {${inPath.join()}}, params declare {${declared.join()}}`);
  if (route.isLaunch === true && route.access.kind !== 'scope' && route.access.kind !== 'asset')
    problems.push('a launch is counted for a domain, and the path has none');
  if (route.body !== undefined && route.method === 'GET') problems.push('GET has no body');
  if (route.response !== undefined && route.raw !== undefined) problems.push('both response and raw');
  if ((route.status === 204) !== (route.response === undefined && route.raw === undefined))
    problems.push('204 is exactly for routes that answer nothing');
  for (const [part, schema] of Object.entries({ params: route.params, query: route.query }))
    if (schema !== undefined && !isClosed(schema)) problems.push(`${part} is not a closed object`);
  return problems;
}

/** A schema as data: TypeBox's type doesn't name the keyword. */
function isClosed(schema: object): boolean {
  return 'additionalProperties' in schema && schema.additionalProperties === false;
}
