import { actionTable, type RouteDeclaration } from '@strongroom/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mayActAs, mayHandOutOnBundle, ownsBundle } from '../access/authority.ts';
import type { AccessSnapshot, Decision, Resource, ScopeRef } from '../access/types.ts';
import { decide, isDomainOwner, sees } from '../access/decide.ts';
import type { RequestOptions } from '../../testing/app.ts';
import { bodyFor, integrationForm } from '../../testing/bodies.ts';
import { allRoutes } from '../../testing/conformance.ts';
import { type MatrixCaller, type MatrixWorld, openMatrixWorld } from '../../testing/matrix-world.ts';
import { absentTarget, parametersOf, pathTo, withQuery } from '../../testing/route-paths.ts';
import { oneAnswer, rowCounts, shape } from '../../testing/shapes.ts';
import { scopeOfPath } from './guard.ts';

let world: MatrixWorld;

beforeAll(async () => {
  world = await openMatrixWorld();
});
afterAll(() => world.test.close());

const guarded = allRoutes.filter(({ access }) => access.kind !== 'public');
/** Routes that decide about somebody else's things: all but those about the caller itself. */
const decided = guarded.filter(({ access }) => access.kind !== 'authenticated');
const inDomains = allRoutes.filter(({ path }) => path.startsWith('/v1/domains/{domain}'));
const malformed = { rawBody: '{"name":' };

/** The bodies a route is asked with: none at all for GET. */
function bodiesOf(route: RouteDeclaration): RequestOptions[] {
  if (route.method === 'GET') return [{}];
  const body = bodyFor(route);
  return [body === undefined ? {} : { body }, malformed];
}

/** Which segment of a route's path names its asset. */
function placeOf({ path, access }: RouteDeclaration): number {
  return path.split('/').indexOf(access.kind === 'asset' ? `{${access.parameter}}` : '');
}

/** What the declared access of a route is about, in domain `finance`. */
async function resourceOf(route: RouteDeclaration): Promise<Resource> {
  const { access } = world.test.server.services;
  if (route.access.kind === 'platform') return { kind: 'platform' };
  const admin = await access.snapshot(world.caller('platformAdmin').principalId);
  if (admin === null) throw new Error('The administrator is gone');
  const place = scopeOfPath(route) ?? { kind: 'domain' as const, name: 'finance' };
  const scope = await access.findScope(admin, place.kind, place.name);
  if (scope === null) throw new Error(`${route.id}: no scope`);
  if (route.access.kind !== 'asset') return { kind: 'scope', scope };
  const { type } = actionTable[route.access.action];
  const name = decodeURIComponent(pathTo(route, world.finance, world.platform).split('/')[placeOf(route)] ?? '');
  const asset = await access.configurationAsset(scope, type, name);
  if (asset === null) throw new Error(`${route.id}: no asset`);
  return { kind: 'asset', asset };
}

/** What the guard should say to this caller: 0 when it should let it through. */
async function expectedRefusal(route: RouteDeclaration, { principalId }: MatrixCaller): Promise<0 | 403 | 404> {
  const { access } = route;
  if (access.kind === 'public' || access.kind === 'authenticated') return 0;
  const snapshot = await world.test.server.services.access.snapshot(principalId);
  if (snapshot === null) throw new Error('The caller is gone');
  const resource = await resourceOf(route);
  if (decide(snapshot, access.action, resource).allow) return 0;
  return sees(snapshot, resource) ? 403 : 404;
}

/**
 * A run is its job's: who may not see the job finds no run. What a change would hit is told to who may make it: that takes
 * more than the guard can tell, and is decided by the functions that decide about the change.
 */
async function refusalBeyond(route: RouteDeclaration, caller: MatrixCaller): Promise<0 | 403 | 404> {
  const impact = impactDecisions[route.id];
  if (impact !== undefined) return (await impact(caller)).allow ? 0 : 403;
  const { principalId } = caller;
  if (!route.path.includes('/runs/{id}')) return 0;
  const { access } = world.test.server.services;
  const snapshot = await access.snapshot(principalId);
  const jobRoute = allRoutes.find(({ id }) => id === 'showSparkJob');
  if (snapshot === null || jobRoute === undefined) throw new Error('The caller or the route is gone');
  return decide(snapshot, 'spark-job.view', await resourceOf(jobRoute)).allow ? 0 : 404;
}

const finance = async (): Promise<ScopeRef> => {
  const { access } = world.test.server.services;
  const admin = await snapshotOf(world.caller('platformAdmin').principalId);
  const scope = await access.findScope(admin, 'domain', 'finance');
  if (scope === null) throw new Error('There is no finance');
  return scope;
};

async function snapshotOf(principalId: string): Promise<AccessSnapshot> {
  const snapshot = await world.test.server.services.access.snapshot(principalId);
  if (snapshot === null) throw new Error('Somebody is gone');
  return snapshot;
}

async function bundleIdOf(name: string): Promise<string> {
  const { store } = world.test.server;
  const row = await store.db
    .selectFrom('bundles')
    .innerJoin('scopes', 'scopes.id', 'bundles.scope_id')
    .select('bundles.id')
    .where('bundles.name', '=', name)
    .where('scopes.name', '=', 'finance')
    .executeTakeFirstOrThrow();
  return row.id;
}

const ofBundle = async ({ principalId }: MatrixCaller): Promise<Decision> =>
  ownsBundle(await snapshotOf(principalId), await finance(), await bundleIdOf(world.finance.bundle));

const impactDecisions: Readonly<Record<string, (caller: MatrixCaller) => Promise<Decision>>> = {
  showBundleImpact: ofBundle,
  showBundleAssetImpact: ofBundle,
  // What it asks about is in no bundle: only owners of the domain place that.
  showBundleAdditionImpact: async ({ principalId }) => ({
    allow: isDomainOwner(await snapshotOf(principalId), (await finance()).id),
    because: [],
  }),
  showBundleGrantImpact: async ({ principalId }) =>
    mayHandOutOnBundle(
      await snapshotOf(principalId),
      await finance(),
      await bundleIdOf(world.finance.bundle),
      'secret',
      ['USE'],
    ),
  showDomainImpact: async ({ principalId }) => ({
    allow: isDomainOwner(await snapshotOf(principalId), (await finance()).id),
    because: [],
  }),
  showDomainServiceAccountImpact: async ({ principalId }) =>
    mayActAs(await snapshotOf(principalId), await finance(), await snapshotOf(world.finance.serviceAccount)),
};

describe('who is not signed in', () => {
  it('gets the same 401 from every route that is not public, whatever the credential was and whatever the body is', async () => {
    const calls = guarded.flatMap((route) => {
      const path = pathTo(route, world.finance, world.platform);
      const tokens = Object.entries({ none: null, ...world.badTokens });
      const [options = {}] = bodiesOf(route);
      return [
        ...tokens.map(([name, token]) => ({
          about: `${route.id} ${name}`,
          method: route.method,
          path,
          options: { ...options, token },
        })),
        {
          about: `${route.id} malformed`,
          method: route.method,
          path,
          options: { ...(route.method === 'GET' ? {} : malformed), token: null },
        },
        {
          about: `${route.id} absent`,
          method: route.method,
          path: pathTo(route, world.sales, world.platform, { domain: 'absent' }),
          options: { ...options, token: null },
        },
      ];
    });
    expect(calls.length).toBeGreaterThanOrEqual(guarded.length * 9);
    expect(await oneAnswer(world.test, calls)).toEqual([401]);
  });
});

describe('what the declared access says', () => {
  it('is what every route does for every caller, before it looks at anything else', async () => {
    const wrong: string[] = [];
    await Promise.all(
      guarded.flatMap((route) =>
        world.callers.map(async (caller) => {
          const expected = await expectedRefusal(route, caller);
          // No route has this parameter: who gets past the guard is told so, and nothing is done.
          const path = withQuery(pathTo(route, world.finance, world.platform), 'undeclared=1');
          const { status, body } = await world.test.request(route.method, path, {
            token: caller.token,
            ...bodiesOf(route)[0],
          });
          const got = status === 403 || status === 404 ? status : 0;
          if (got !== expected || (got === 0 && status !== 422))
            wrong.push(`${route.id} ${caller.name}: ${status} ${JSON.stringify(body)}, not ${expected || 422}`);
        }),
      ),
    );
    expect(wrong).toEqual([]);
  });

  it('lets those read whom it allows', async () => {
    const wrong: string[] = [];
    let reads = 0;
    await Promise.all(
      guarded
        .filter(({ method }) => method === 'GET')
        .flatMap((route) =>
          world.callers.map(async (caller) => {
            if ((await expectedRefusal(route, caller)) !== 0) return;
            reads += 1;
            const expected = (await refusalBeyond(route, caller)) || 200;
            const path = pathTo(route, world.finance, world.platform);
            const { status } = await world.test.request('GET', path, { token: caller.token });
            if (status !== expected) wrong.push(`${route.id} ${caller.name}: ${status}, not ${expected}`);
          }),
        ),
    );
    expect(wrong).toEqual([]);
    expect(reads).toBeGreaterThan(250);
  });

  it('lets nobody change anything who may only look, or stands elsewhere', async () => {
    const before = await rowCounts(world.test);
    const lookers = ['nobody', 'outsider', 'viewer', 'lister', 'readOnlyAdmin', 'auditor'];
    const wrong: string[] = [];
    // Ask with a body, and change nothing.
    const asking = new Set(['scanPlaceholders', 'scanPlatformPlaceholders']);
    const changing = decided.filter(({ method, id }) => method !== 'GET' && !asking.has(id));
    await Promise.all(
      changing.flatMap((route) =>
        lookers.map(async (name) => {
          const path = pathTo(route, world.finance, world.platform);
          const { status } = await world.test.request(route.method, path, {
            token: world.caller(name).token,
            ...bodiesOf(route)[0],
          });
          if (status !== 403 && status !== 404) wrong.push(`${route.id} ${name}: ${status}`);
        }),
      ),
    );
    expect(changing.length).toBeGreaterThan(70);
    expect(wrong).toEqual([]);
    expect(await rowCounts(world.test)).toEqual(before);
  });
});

describe('what a caller may not see', () => {
  it('is the same 404 whether it is another’s, deleted or absent, with every body', async () => {
    const domains = ['sales', 'gone', 'absent', 'FINANCE', 'finance ', 'ſales', '__proto__'];
    const calls = inDomains.flatMap((route) =>
      domains.flatMap((domain) =>
        bodiesOf(route).flatMap((options) =>
          (domain === 'sales' || domain === 'gone' ? ['owner', 'nobody', 'workload', 'secretsAdmin'] : ['owner']).map(
            (name) => ({
              about: `${route.id} ${domain} ${name}`,
              method: route.method,
              path: pathTo(route, world.sales, world.platform, { domain }),
              options: { ...options, token: world.caller(name).token },
            }),
          ),
        ),
      ),
    );
    expect(calls.length).toBeGreaterThanOrEqual(inDomains.length * 12);
    expect(await oneAnswer(world.test, calls)).toEqual([404]);
  });

  it('is the same 404 to those who see all domains, once it is deleted', async () => {
    const calls = inDomains.flatMap((route) =>
      ['gone', 'absent'].flatMap((domain) =>
        ['platformAdmin', 'readOnlyAdmin', 'auditor'].map((name) => ({
          about: `${route.id} ${domain} ${name}`,
          method: route.method,
          path: pathTo(route, world.sales, world.platform, { domain }),
          options: { ...bodiesOf(route)[0], token: world.caller(name).token },
        })),
      ),
    );
    expect(calls.length).toBeGreaterThanOrEqual(inDomains.length * 6);
    expect(await oneAnswer(world.test, calls)).toEqual([404]);
  });

  it('is the same in a domain of one’s own, for whatever belongs to another domain', async () => {
    const wrong: string[] = [];
    const compare = async (
      route: RouteDeclaration,
      parameter: string,
      options: RequestOptions,
      about: string,
    ): Promise<void> => {
      const path = (target: string): string => pathTo(route, world.finance, world.platform, { [parameter]: target });
      const foreign =
        pathTo(route, world.sales, world.platform).split('/')[route.path.split('/').indexOf(`{${parameter}}`)] ?? '';
      const [theirs, absent] = await Promise.all([
        world.test.request(route.method, path(decodeURIComponent(foreign)), options),
        world.test.request(route.method, path(absentTarget(route, parameter)), options),
      ]);
      const where = `${route.id} {${parameter}} ${about}`;
      if (shape(theirs) !== shape(absent)) wrong.push(`${where}: ${shape(theirs)} ≠ ${shape(absent)}`);
      if (options.rawBody === undefined && theirs.status !== 404)
        wrong.push(`${where}: ${theirs.status} ${theirs.text}`);
    };
    // Names are the same in both domains: what the other one has is found by its id.
    const idOnly = new Set(['grant', 'asset', 'serviceAccount', 'token', 'workload', 'id']);
    await Promise.all(
      inDomains.flatMap((route) =>
        parametersOf(route)
          .filter((parameter) => idOnly.has(parameter))
          .flatMap((parameter) =>
            bodiesOf(route).map((options) =>
              compare(route, parameter, { ...options, token: world.caller('owner').token }, JSON.stringify(options)),
            ),
          ),
      ),
    );
    // A launch belongs to the workload that asked for it, a session to who signed in.
    const own = guarded.filter(({ access, path }) => access.kind === 'authenticated' && path.includes('{'));
    expect(own.length).toBeGreaterThan(3);
    await Promise.all(
      own.flatMap((route) =>
        parametersOf(route).flatMap((parameter) =>
          ['owner', 'workload', 'platformAdmin'].flatMap((name) =>
            bodiesOf(route).map((options) =>
              compare(route, parameter, { ...options, token: world.caller(name).token }, name),
            ),
          ),
        ),
      ),
    );
    expect(wrong).toEqual([]);
  });

  it('is the same for a name that is not there, whoever has one of that name elsewhere', async () => {
    await world.test.call('POST', '/v1/domains/sales/secrets', { body: { key: 'sales-key', value: 'x' } });
    await world.test.call('POST', '/v1/domains/sales/bundles', { body: { name: 'sales-bundle' } });
    await world.test.call('POST', '/v1/domains/sales/spark-jobs', { body: { name: 'sales-job', command: ['true'] } });
    await world.test.call('POST', '/v1/domains/sales/integrations', {
      body: { name: 'sales-job', ...integrationForm },
    });
    const theirs: Readonly<Record<string, string>> = { key: 'sales-key', bundle: 'sales-bundle', name: 'sales-job' };
    const calls = inDomains.flatMap((route) =>
      parametersOf(route)
        .filter((parameter) => Object.hasOwn(theirs, parameter))
        .flatMap((parameter) =>
          [theirs[parameter] ?? '', absentTarget(route, parameter)].map((target) => ({
            about: `${route.id} ${target}`,
            method: route.method,
            path: pathTo(route, world.finance, world.platform, { [parameter]: target }),
            options: { ...bodiesOf(route)[0], token: world.caller('owner').token },
          })),
        ),
    );
    expect(calls.length).toBeGreaterThanOrEqual(50);
    expect(await oneAnswer(world.test, calls)).toEqual([404]);
  });

  it('is the same for the admin scope, whatever is in it', async () => {
    const calls = allRoutes
      .filter(({ path }) => path.startsWith('/v1/admin'))
      .flatMap((route) =>
        ['nobody', 'owner', 'workload', 'auditor'].flatMap((name) =>
          (route.path.includes('{key}') ? ['admin-key', 'absent-key'] : ['']).flatMap((key) =>
            bodiesOf(route).map((options) => ({
              about: `${route.id} ${key} ${name}`,
              method: route.method,
              path: pathTo(route, world.finance, world.platform, { key }),
              options: { ...options, token: world.caller(name).token },
            })),
          ),
        ),
      );
    expect(calls.length).toBeGreaterThanOrEqual(100);
    expect(await oneAnswer(world.test, calls)).toEqual([404]);
  });
});

describe('the Global scope', () => {
  const onKey = allRoutes.filter(({ path }) => path.startsWith('/v1/global/secrets/{key}'));

  it('does not tell a domain of secrets that are assigned to others', async () => {
    const readers = ['owner', 'nobody', 'workload', 'member'];
    const read = onKey.filter(
      ({ method, access }) => method === 'GET' && access.kind === 'scope' && access.action === 'secret.list',
    );
    const calls = read.flatMap((route) =>
      ['sales-only', 'absent-key'].flatMap((key) =>
        readers.map((name) => ({
          about: `${route.id} ${key} ${name}`,
          method: route.method,
          path: pathTo(route, world.finance, world.platform, { key }),
          options: { token: world.caller(name).token },
        })),
      ),
    );
    expect(calls.length).toBeGreaterThanOrEqual(30);
    expect(await oneAnswer(world.test, calls)).toEqual([404]);
    const keysFor = async (name: string): Promise<string[]> => {
      const { items } = await world.test.call<{ items: { key: string }[] }>('GET', '/v1/global/secrets?limit=200', {
        token: world.caller(name).token,
      });
      return items.map(({ key }) => key);
    };
    expect(await keysFor('owner')).toEqual(['global-key', 'global-key-2']);
    expect(await keysFor('outsider')).toContain('sales-only');
    expect(await keysFor('secretsAdmin')).toContain('sales-only');
  });

  it('is read by everybody and written by administrators: others get the same refusal for what is there and what is not', async () => {
    for (const route of onKey.filter(({ method }) => method !== 'GET')) {
      const answers = await oneAnswer(
        world.test,
        ['global-key', 'sales-only', 'absent-key'].flatMap((key) =>
          bodiesOf(route).map((options) => ({
            about: `${route.id} ${key}`,
            method: route.method,
            path: pathTo(route, world.finance, world.platform, { key }),
            options: { ...options, token: world.caller('owner').token },
          })),
        ),
      );
      expect(answers).toEqual([403]);
    }
  });
});

describe('while secretsV2 is off', () => {
  const turn = (enabled: boolean) =>
    world.test.call('PATCH', '/v1/settings?force=true', { body: { features: { secretsV2: { enabled } } } });
  beforeAll(() => turn(false));
  afterAll(() => turn(true));

  /** What there was before it: Global's store, configurations with placeholders, people and the operation of the server. */
  const isOfFeature = (path: string): boolean =>
    /^\/v1\/(?:admin|profiles|clusters)(?:\/|$)|\/(?:integrations|choices)(?:\/|$)|\/placeholders\/migrate$/.test(
      path,
    ) ||
    /^\/v1\/domains\/\{domain\}\/(?:secrets|folders|inventory|profiles|targets|launches|notices)(?:\/|$)/.test(path) ||
    path === '/v1/launches/{id}/resolve';

  it('its routes say so to who may call them, and all others go on', async () => {
    const token = world.admins[0] ?? '';
    const wrong: string[] = [];
    for (const route of guarded) {
      const path = withQuery(pathTo(route, world.finance, world.platform), 'undeclared=1');
      const { status, body } = await world.test.request(route.method, path, { token, ...bodiesOf(route)[0] });
      const { code } = body as { code?: string };
      // No route has this parameter: who gets past the guard is told so, and nothing is done.
      const expected = isOfFeature(route.path) ? 'feature_disabled' : 'validation_failed';
      if (code !== expected) wrong.push(`${route.id}: ${status} ${code}, not ${expected}`);
    }
    expect(wrong).toEqual([]);
    expect(guarded.filter(({ path }) => isOfFeature(path)).length).toBeGreaterThan(60);
  });

  it('who may not call a route learns nothing of it', async () => {
    const calls = inDomains
      .filter(({ path, access }) => isOfFeature(path) && access.kind === 'scope')
      .map((route) => ({
        about: route.id,
        method: route.method,
        path: pathTo(route, world.finance, world.platform),
        options: { ...bodiesOf(route)[0], token: world.caller('outsider').token },
      }));
    expect(calls.length).toBeGreaterThan(20);
    expect(await oneAnswer(world.test, calls)).toEqual([404]);
  });
});

describe('every answer so far', () => {
  it('was inside its declaration, and none was the server’s fault', () => {
    expect(world.conformance.answers).toBeGreaterThan(4_000);
    expect(world.conformance.problems).toEqual([]);
    expect(world.test.logged.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
  });
});
