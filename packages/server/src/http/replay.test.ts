import type { RouteDeclaration } from '@strongroom/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, codeOf } from '../../testing/app.ts';
import { bodyFor, ephemeralJwk } from '../../testing/bodies.ts';
import { allRoutes } from '../../testing/conformance.ts';
import { type MatrixWorld, openMatrixWorld } from '../../testing/matrix-world.ts';
import { pathTo, withQuery } from '../../testing/route-paths.ts';
import { type GoodCall, goodCall } from '../../testing/recipes.ts';
import { freshName } from '../../testing/samples.ts';
import { rowCounts, shape } from '../../testing/shapes.ts';

let world: MatrixWorld;

beforeAll(async () => {
  world = await openMatrixWorld();
});
afterAll(() => world.test.close());

function send(
  route: RouteDeclaration,
  call: GoodCall,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const { path, ...options } = call;
  return world.test.request(route.method, path, { ...options, headers });
}

describe('every route', () => {
  it('does what it declares when it is asked rightly', async () => {
    const failed: string[] = [];
    const ask = async (route: RouteDeclaration): Promise<void> => {
      const call = await goodCall(world, route);
      let answer = await send(route, call);
      // So says the error table: the same may succeed later, when the others have changed what they change.
      while (codeOf(answer) === 'version_conflict') answer = await send(route, call);
      if (answer.status !== route.status) failed.push(`${route.id}: ${answer.status} ${answer.text}`);
    };
    const isEnd = ({ method }: RouteDeclaration): boolean => method === 'DELETE';
    await Promise.all(allRoutes.filter((route) => !isEnd(route)).map(ask));
    // What there is one of is deleted while nobody else asks for it.
    await Promise.all(allRoutes.filter(isEnd).map(ask));
    // A route that is named here needs a body in testing/bodies.ts or a target in testing/recipes.ts.
    expect(failed).toEqual([]);
    expect(allRoutes.filter(({ id }) => !world.conformance.succeeded.has(id)).map(({ id }) => id)).toEqual([]);
  });
});

describe('Idempotency-Key', () => {
  const idempotent = allRoutes.filter((route) => route.idempotent === true);

  it('gives the first answer again and does nothing twice', async () => {
    expect(idempotent.length).toBeGreaterThan(15);
    const failed: string[] = [];
    for (const route of idempotent) {
      const call = await goodCall(world, route);
      const headers = { 'idempotency-key': freshName() };
      const first = await send(route, call, headers);
      const after = await rowCounts(world.test);
      const second = await send(route, call, headers);
      if (first.status !== route.status) failed.push(`${route.id}: ${first.status} ${first.text}`);
      // A credential is shown once.
      const isShownOnce = route.errors?.includes('replayed_issue') === true && codeOf(second) === 'replayed_issue';
      if (!isShownOnce && withoutLife(second) !== withoutLife(first))
        failed.push(`${route.id}: ${shape(second)} after ${shape(first)}`);
      for (const [table, rows] of Object.entries(growth(after, await rowCounts(world.test))))
        if (rows !== 0) failed.push(`${route.id}: ${rows} more rows in ${table}`);
      const other = await send(route, { ...call, body: { ...(call.body as object), description: 'another' } }, headers);
      // What the schema refuses is refused before anybody looks for a key.
      const isRefused =
        codeOf(other) === 'idempotency_mismatch' || (other.status === 422 && !takes(route, 'description'));
      if (!isRefused) failed.push(`${route.id}: another body: ${other.status} ${other.text}`);
    }
    expect(failed).toEqual([]);
  });

  it('lets one of many do it when they come together', async () => {
    const failed: string[] = [];
    for (const route of idempotent) {
      const call = await goodCall(world, route);
      const before = await rowCounts(world.test);
      const single = await send(route, await goodCall(world, route), { 'idempotency-key': freshName() });
      if (single.status !== route.status) failed.push(`${route.id}: ${single.status} ${single.text}`);
      const one = growth(before, await rowCounts(world.test));
      const start = await rowCounts(world.test);
      const key = freshName();
      const answers = await Promise.all(Array.from({ length: 4 }, () => send(route, call, { 'idempotency-key': key })));
      const done = growth(start, await rowCounts(world.test));
      const bad = answers.filter(
        (answer) =>
          answer.status !== route.status &&
          codeOf(answer) !== 'replayed_issue' &&
          codeOf(answer) !== 'version_conflict',
      );
      if (bad.length > 0) failed.push(`${route.id}: ${bad.map(({ text }) => text).join(' ')}`);
      // The single call made its targets beside what it did, so that all four together do no more than it.
      for (const [table, rows] of Object.entries(done))
        if (rows > (one[table] ?? 0))
          failed.push(`${route.id}: ${rows} rows in ${table}, one call makes ${one[table]}`);
      if (new Set(answers.filter(({ status }) => status === route.status).map(withoutLife)).size !== 1)
        failed.push(`${route.id}: different answers`);
    }
    expect(failed).toEqual([]);
  });

  it('belongs to its caller, its route and its address', async () => {
    const headers = { 'idempotency-key': 'the-same-for-all' };
    for (const token of world.admins.slice(0, 2))
      for (const path of ['/v1/domains/finance/secrets', '/v1/domains/sales/secrets', '/v1/global/secrets']) {
        const body = { key: freshName(), value: 'x' };
        const answer = await world.test.request('POST', path, { token, body, headers });
        const isSecondAddress = path === '/v1/domains/sales/secrets';
        expect([answer.status, codeOf(answer)]).toEqual(
          isSecondAddress ? [422, 'idempotency_mismatch'] : [201, undefined],
        );
      }
  });
});

/** An answer without what time alone changes. */
function withoutLife(answer: Answer): string {
  return shape(answer).replaceAll(/(state\W+)(?:queued|running|succeeded)|"content-length","\d+"/g, '$1');
}

function growth(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Record<string, number> {
  return Object.fromEntries(Object.entries(after).map(([table, rows]) => [table, rows - (before[table] ?? 0)]));
}

function takes(route: RouteDeclaration, field: string): boolean {
  return route.body !== undefined && field in ((route.body as { properties?: object }).properties ?? {});
}

describe('If-Match', () => {
  const matching = allRoutes.filter((route) => route.ifMatch === true);

  it('refuses what is stale, and lets through what is not', async () => {
    expect(matching.length).toBeGreaterThan(20);
    const failed: string[] = [];
    for (const route of matching) {
      const call = await goodCall(world, route);
      const etag = await etagFor(call.path);
      for (const [header, code] of [
        ['"999999"', 'revision_mismatch'],
        ['"another-server"', 'revision_mismatch'],
        ['7', 'validation_failed'],
        ['"1", "2"', 'validation_failed'],
      ] as const) {
        const answer = await send(route, call, { 'if-match': header });
        if (codeOf(answer) !== code) failed.push(`${route.id} ${header}: ${answer.status} ${answer.text}`);
      }
      if ((await etagFor(call.path)) !== etag) failed.push(`${route.id}: changed by a refused request`);
      const answer = await send(route, call, { 'if-match': etag });
      if (answer.status !== route.status) failed.push(`${route.id} ${etag}: ${answer.status} ${answer.text}`);
    }
    expect(failed).toEqual([]);
  });

  it('is refused where it would not be looked at', async () => {
    const failed: string[] = [];
    for (const route of allRoutes.filter(({ method, ifMatch }) => method !== 'GET' && ifMatch !== true)) {
      const path = pathTo(route, world.finance, world.platform);
      const answer = await world.test.request(route.method, path, { headers: { 'if-match': '"1"' } });
      if (answer.status !== 422) failed.push(`${route.id}: ${answer.status}`);
    }
    expect(failed).toEqual([]);
  });
});

/** The ETag of what a change at this path is about. */
async function etagFor(path: string): Promise<string> {
  const shown = path.replace(/\/(?:value|rollback|restore)$/, '');
  const answer = await world.test.request('GET', shown);
  const etag = answer.headers.get('etag');
  if (etag === null) throw new Error(`${shown} has no ETag: ${answer.status} ${answer.text}`);
  return etag;
}

describe('every list', () => {
  /** What is asked with a body looks at so many things, and lists what it finds in them; its own tests go through its pages. */
  const lists = allRoutes.filter(
    ({ method, query }) => method === 'GET' && query !== undefined && 'cursor' in query.properties,
  );
  /** Lists that are empty whatever anybody does so far. */
  const empty = new Map([
    ['listAdminSecretUses', 'no surface of the platform refers to secrets yet'],
    ['listAdminSecretDrift', 'no launch gets a secret of the admin scope'],
    ['listAuditSegments', 'nothing of this log is archived'],
    ['listAdminNotices', 'nothing is due'],
    ['listGlobalNotices', 'nothing is due'],
    ['listDomainNotices', 'nothing is due'],
  ]);
  /** Lists of another secret than the one that routes are asked about. */
  const keys: Readonly<Record<string, string>> = {
    listDomainSecretDrift: 'for-drift',
    listGlobalSecretDrift: 'global-key-2',
  };

  const get = (
    route: RouteDeclaration,
    query: string,
    token = world.test.adminToken,
    domain = 'finance',
  ): Promise<Answer> => {
    const { [route.id]: key } = keys;
    const path = pathTo(route, world.finance, world.platform, { domain, ...(key === undefined ? {} : { key }) });
    return world.test.request(route.method, withQuery(path, query), {
      token,
      ...(route.method === 'GET' ? {} : { body: bodyFor(route) }),
    });
  };

  beforeAll(async () => {
    const { test, finance } = world;
    const { token } = world.caller('workload');
    for (const name of ['uses-global', 'uses-global-too']) {
      const secret = { scope: 'global', source: 'managed', key: 'global-key' };
      await test.call('POST', '/v1/domains/finance/spark-jobs', {
        body: { name, command: ['true'], environment: [{ name: 'A', secret }] },
      });
    }
    for (const base of ['/v1/admin', '/v1/global', '/v1/domains/finance'])
      // Folders are two with it, and so is what the inventory finds.
      for (const key of ['in-a-folder', 'in-a-folder-too']) {
        const body = { key, folder: 'a', value: 'a value', expiresAt: '2020-01-31T00:00:00Z' };
        await test.call('POST', `${base}/secrets`, { body });
      }
    await test.call('POST', `/v1/service-accounts/${world.platform.serviceAccount}/tokens`, { body: {} });
    await test.call('POST', `/v1/domains/finance/service-accounts/${finance.serviceAccount}/tokens`, { body: {} });
    // Two workloads that hold what is about to be old.
    for (const [scope, key] of [
      ['domain', 'for-drift'],
      ['domain', 'for-drift'],
      ['global', 'global-key-2'],
      ['global', 'global-key-2'],
    ]) {
      const body = { references: [{ name: 'A', reference: { scope, source: 'managed', key } }] };
      const { id } = await test.call<{ id: string }>('POST', `/v1/domains/${finance.domain}/launches`, { token, body });
      await test.call('POST', `/v1/launches/${id}/resolve`, { token, body: { publicKey: ephemeralJwk() } });
    }
    await test.call('PUT', '/v1/domains/finance/secrets/for-drift/value', { body: { value: 'new' } });
    await test.call('PUT', '/v1/global/secrets/global-key-2/value', { body: { value: 'new' } });
  });

  it('refuses limits that are none', async () => {
    const failed: string[] = [];
    const limits = ['0', '-1', '1000000000', '201', '1.5', 'abc', '', '1e2', '0x10', '%201', '1&limit=2'];
    await Promise.all(
      allRoutes
        .filter(({ query }) => query !== undefined && 'limit' in query.properties)
        .flatMap((route) =>
          limits.map(async (limit) => {
            const answer = await get(route, `limit=${limit}`);
            if (answer.status !== 422) failed.push(`${route.id} ${limit}: ${answer.status}`);
          }),
        ),
    );
    expect(failed).toEqual([]);
  });

  it('goes page by page through all there is, with cursors that nobody else can use or make', async () => {
    const failed: string[] = [];
    const cursors = new Map<string, string>();
    for (const route of lists) {
      const say = (text: string): number => failed.push(`${route.id}: ${text}`);
      const first = pageOf(await get(route, 'limit=1'));
      if (first.nextCursor === undefined) {
        if (!empty.has(route.id)) say('it has no second page');
        continue;
      }
      if (empty.has(route.id)) say('it is not empty any more');
      cursors.set(route.id, first.nextCursor);
      const next = pageOf(await get(route, `limit=1&cursor=${encodeURIComponent(first.nextCursor)}`));
      if (next.items.length !== 1 || JSON.stringify(next.items) === JSON.stringify(first.items))
        say('the second page is not the second');
    }
    expect(failed).toEqual([]);
    const reuse = async (
      route: RouteDeclaration,
      about: string,
      cursor: string,
      token?: string,
      more = '',
    ): Promise<void> => {
      const answer = await get(route, `limit=1${more}&cursor=${encodeURIComponent(cursor)}`, token);
      if (codeOf(answer) !== 'cursor_invalid')
        failed.push(`${route.id} ${about}: ${answer.status} ${answer.text.slice(0, 200)}`);
    };
    await Promise.all(
      lists.flatMap((route) => {
        const cursor = cursors.get(route.id);
        const [, foreign = ''] = [...cursors].find(([id]) => id !== route.id) ?? [];
        const filter = ['q', 'action', 'include', 'state', 'finding'].find(
          (name) => name in (route.query?.properties ?? {}),
        );
        const filters: Readonly<Record<string, string>> = {
          q: 'q=a',
          action: 'action=secret.create',
          include: 'include=ended',
          state: 'state=succeeded',
          finding: 'finding=expired',
        };
        return [
          ...['abc', '', 'e30', `${'A'.repeat(40)}.${'A'.repeat(43)}`, '{"k":""}'].map((forged) =>
            reuse(route, `forged ${forged}`, forged),
          ),
          reuse(route, 'of another list', foreign),
          ...(cursor === undefined
            ? []
            : [
                reuse(route, 'of somebody else', cursor, world.admins[0]),
                reuse(route, 'flipped', flipped(cursor)),
                reuse(route, 'longer', `${cursor}A`),
                ...(filter === undefined
                  ? []
                  : [reuse(route, 'of another filter', cursor, undefined, `&${filters[filter]}`)]),
              ]),
        ];
      }),
    );
    // In another domain of the same caller.
    await Promise.all(
      lists
        .filter(({ path }) => path.startsWith('/v1/domains/{domain}'))
        .map(async (route) => {
          const cursor = cursors.get(route.id);
          if (cursor === undefined) return;
          const path = pathTo(route, world.sales, world.platform);
          const answer = await world.test.request(
            'GET',
            withQuery(path, `limit=1&cursor=${encodeURIComponent(cursor)}`),
          );
          if (codeOf(answer) !== 'cursor_invalid') failed.push(`${route.id} of another domain: ${answer.status}`);
        }),
    );
    expect(failed).toEqual([]);
  });
});

interface Listed {
  readonly items: readonly unknown[];
  readonly nextCursor?: string;
}

function pageOf(answer: Answer): Listed {
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  return answer.body as Listed;
}

function flipped(cursor: string): string {
  const at = Math.floor(cursor.length / 2);
  return `${cursor.slice(0, at)}${cursor[at] === 'A' ? 'B' : 'A'}${cursor.slice(at + 1)}`;
}

describe('every answer so far', () => {
  it('was inside its declaration, and none was the server’s fault', () => {
    expect(world.conformance.problems).toEqual([]);
    expect(world.test.logged.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
  });
});
