import { actionTable, assetPermissions, type AssetType, type RouteDeclaration } from '@strongroom/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mayActAs, mayHandOutOnBundle, ownsBundle } from '../access/authority.ts';
import type { AccessSnapshot, Decision, Resource, ScopeRef } from '../access/types.ts';
import { decide, isDomainOwner, sees } from '../access/decide.ts';
import type { RequestOptions, TestUser } from '../../testing/app.ts';
import { bodyFor, connectionForm, integrationForm, storageForm } from '../../testing/bodies.ts';
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
  if (impact !== undefined) {
    const { allow, because } = await impact(caller);
    return allow ? 0 : because[0] === 'not-seen' ? 404 : 403;
  }
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

const ofAccount = async ({ principalId }: MatrixCaller): Promise<Decision> =>
  mayActAs(await snapshotOf(principalId), await finance(), await snapshotOf(world.finance.serviceAccount));

const impactDecisions: Readonly<Record<string, (caller: MatrixCaller) => Promise<Decision>>> = {
  showBundleImpact: ofBundle,
  showBundleAssetImpact: async (caller) => {
    const decision = await ofBundle(caller);
    const here = { kind: 'scope', scope: await finance() } as const;
    const lists = decide(await snapshotOf(caller.principalId), 'secret.list', here).allow;
    return decision.allow || lists ? decision : { allow: false, because: ['not-seen'] };
  },
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
  showDomainServiceAccountImpact: ofAccount,
  showWorkloadImpact: ofAccount,
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

describe('what is in a bundle on which somebody has nothing, or in Admin, or assigned to other domains', () => {
  const inFinance = '/v1/domains/finance';
  const key = { scope: 'domain', source: 'managed', key: 'db-password' };
  const fields = {
    environment: [
      { name: 'A', secret: key },
      { name: 'B', secret: 'secret://global/managed/global-key' },
      { name: 'C', value: '${secrets.of-nobody}' },
    ],
  };
  /** One of each type of asset: a new one does not compile without. */
  const kinds: Readonly<Record<Exclude<AssetType, 'secret'>, object>> = {
    integration: integrationForm,
    'spark-job': { ...fields, command: ['true'] },
    'compute-cluster': fields,
    notebook: fields,
    'storage-config': { ...storageForm('unseen'), accessKey: { secret: key } },
    connection: connectionForm,
  };
  /** Who lists secrets may see this one. */
  const quietKey = 'unlisted-secret';
  let shut: TestUser;

  beforeAll(async () => {
    const { call } = world.test;
    shut = await world.test.createUser('shut', { grants: { finance: ['CREATE_NOTEBOOK'] } });
    await call('POST', `${inFinance}/bundles`, { body: { name: 'quiet' } });
    await call('POST', `${inFinance}/bundles/quiet/assets`, { body: { type: 'secret', key: quietKey } });
    await call('POST', `${inFinance}/secrets`, { body: { key: quietKey, value: 'a value' } });
    for (const [type, form] of Object.entries(kinds))
      await call('POST', `${inFinance}/${type}s`, { body: { ...form, name: `unseen-${type}`, bundle: 'quiet' } });
    for (const scope of ['admin', 'global']) {
      const name = `unseen-${scope}`;
      const form = { key: name, value: name, folder: `${name}-folder`, tags: [`${name}-tag`] };
      await call('POST', `/v1/${scope}/secrets`, { body: form });
      await call('POST', `/v1/${scope}/integrations`, { body: { name: `${name}-vault`, ...integrationForm } });
    }
    for (const name of ['secrets/unseen-global', 'integrations/unseen-global-vault'])
      await call('PUT', `/v1/global/${name}/assignments`, { body: { domains: ['sales'] } });
    await call('POST', `${inFinance}/spark-jobs/unseen-spark-job/runs`);
  });

  const unseenIn = async (route: RouteDeclaration, token: string, others: Readonly<Record<string, string>> = {}) => {
    const path = pathTo(route, world.finance, world.platform, others);
    const page = Object.hasOwn(route.query?.properties ?? {}, 'limit') ? 'limit=200' : '';
    const { text } = await world.test.request(route.method, withQuery(path, page), { token });
    return [...text.matchAll(/(?:unseen|unlisted)-[a-z-]+|admin-key|cluster-token/g)].map(([found]) => found);
  };

  const isOfAdmin = (found: string): boolean => /admin|cluster-token/.test(found);

  it('is named by no route that reads, and by no refusal to delete what it uses', async () => {
    const routes = guarded.filter(({ method, id }) => method === 'GET' || id === 'deleteDomainSecret');
    const named = new Set<string>();
    const ask = async (route: RouteDeclaration, name: string, token: string, others = {}) => {
      for (const found of await unseenIn(route, token, others))
        if ((found !== quietKey || name === 'shut') && (isOfAdmin(found) || name !== 'domainManager'))
          named.add(`${route.id} ${name}: ${found}`);
    };
    // Owner of every domain, and a stranger to Admin.
    const names = ['nobody', 'lister', 'workload', 'maintainer', 'domainManager'];
    const callers = names.map((name) => [name, world.caller(name).token]);
    await Promise.all(
      routes.flatMap((route) =>
        [...callers, ['shut', shut.token]].flatMap(([name = '', token = '']) => [
          ask(route, name, token),
          ...(parametersOf(route).includes('bundle') ? [ask(route, name, token, { bundle: 'quiet' })] : []),
        ]),
      ),
    );
    expect([...named].toSorted()).toEqual([]);
    const assets = routes.find(({ id }) => id === 'listBundleAssets');
    if (assets === undefined) throw new Error('The route is gone');
    const inQuiet = [quietKey, ...Object.keys(kinds).map((type) => `unseen-${type}`)];
    const owner = world.caller('platformAdmin').token;
    expect((await unseenIn(assets, owner, { bundle: 'quiet' })).toSorted()).toEqual(inQuiet.toSorted());
  });

  it('is opened by each permission granted there as far as that goes, and no further', async () => {
    const ofAssets = inDomains.flatMap((route) =>
      route.access.kind === 'asset' ? [{ ...route, access: route.access }] : [],
    );
    const statuses = async (type: AssetType) =>
      Promise.all(
        ofAssets
          .filter(({ access }) => actionTable[access.action].type === type)
          .map(async (route) => {
            const path = pathTo(route, world.finance, world.platform, { [route.access.parameter]: `unseen-${type}` });
            const options = { token: shut.token, ...bodiesOf(route)[0] };
            const { status } = await world.test.request(route.method, withQuery(path, 'undeclared=1'), options);
            return { permission: actionTable[route.access.action].permission, is: `${route.id} ${status}` };
          }),
      );
    const wrong: string[] = [];
    const opened = new Set<string>();
    for (const type of Object.keys(kinds) as (keyof typeof kinds)[]) {
      wrong.push(...(await statuses(type)).flatMap(({ is }) => (is.endsWith(' 404') ? [] : [is])));
      for (const granted of assetPermissions[type]) {
        const body = { principal: shut.name, assetType: type, permissions: [granted] };
        const { id } = await world.test.call<{ id: string }>('POST', `${inFinance}/bundles/quiet/grants`, { body });
        for (const { permission, is } of await statuses(type)) {
          if (permission === granted) opened.add(`${type} ${permission}`);
          if (!is.endsWith(permission === granted ? ' 422' : ' 403')) wrong.push(`${is} with ${granted}`);
        }
        await world.test.call('DELETE', `${inFinance}/bundles/quiet/grants/${id}`);
      }
    }
    expect(wrong).toEqual([]);
    // The one is of references, not of routes; who connects to a cluster does so without the server.
    const all = Object.keys(kinds).flatMap((type) =>
      assetPermissions[type as AssetType].map((each) => `${type} ${each}`),
    );
    expect(all.filter((each) => !opened.has(each))).toEqual(['integration USE', 'compute-cluster CONSUME']);
  });

  it('is not told by its key: what is there, and what is not, answer alike', async () => {
    const calls = inDomains
      .filter(({ method, path }) => method === 'GET' && path.includes('/secrets/{key}'))
      .flatMap((route) =>
        [quietKey, absentTarget(route, 'key')].map((key) => ({
          about: `${route.id} ${key}`,
          method: route.method,
          path: pathTo(route, world.finance, world.platform, { key }),
          options: { token: shut.token },
        })),
      );
    const answers = await Promise.all(
      Map.groupBy(calls, ({ about }) => about.split(' ')[0] ?? '')
        .values()
        .map((pair) => oneAnswer(world.test, pair)),
    );
    expect(answers.length).toBeGreaterThan(4);
    for (const each of answers) expect(each).toHaveLength(1);
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
