import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorTable, isErrorCode, type RouteDeclaration, StrongroomError } from '@strongroom/contract';
import * as fc from 'fast-check';
import type { FastifyRequest, InjectOptions, LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  sampleApp,
  sampleCaller,
  sampleRoutes,
  sampleSettings,
  type SampleState,
  sampleToken,
} from '../../testing/http-app.ts';
import type { App, AppParts } from './app.ts';
import { createGuard, type GuardParts } from './guard.ts';
import { HostList } from './hosts.ts';
import { RateLimit } from './rate-limit.ts';
import type { RouteRequest } from './route-request.ts';

let app: App;
let state: SampleState;

beforeAll(async () => {
  ({ app, state } = sampleApp());
  await app.fastify.ready();
});
afterAll(() => app.stop(0));
beforeEach(() => {
  state.seen.length = 0;
  state.logged.length = 0;
  state.isFeatureOn = true;
});

const signedIn = { authorization: `Bearer ${sampleToken}`, host: 'localhost:8480' };
const things = '/v1/domains/finance/things';

function send(
  method: InjectOptions['method'] & string,
  url: string,
  options: { headers?: Record<string, string>; payload?: InjectOptions['payload'] } = {},
): Promise<LightMyRequestResponse> {
  const { payload } = options;
  const body = payload === undefined ? {} : { payload };
  const type = payload === undefined ? {} : { 'content-type': 'application/json' };
  return app.fastify.inject({ method, url, headers: { ...signedIn, ...type, ...options.headers }, ...body });
}

/** Checks that an answer is a problem of the table, whole and consistent, and gives its code. */
function codeOf(answer: LightMyRequestResponse): string {
  expect(answer.headers['content-type']).toBe('application/problem+json');
  const problem = answer.json<Record<string, unknown>>();
  const { code } = problem;
  if (typeof code !== 'string' || !isErrorCode(code)) throw new Error(`no code of the table: ${answer.body}`);
  expect(problem).toMatchObject({
    type: `urn:strongroom:error:${code}`,
    title: errorTable[code].title,
    status: answer.statusCode,
  });
  expect(answer.statusCode).toBe(errorTable[code].status);
  expect(problem['requestId']).toBe(answer.headers['x-request-id']);
  expect(answer.headers['cache-control']).toBe('no-store');
  return code;
}

describe('createApp', () => {
  const parts = (routes: readonly RouteDeclaration[], handlers: AppParts['handlers']): (() => App) => {
    const { app: whole } = sampleApp();
    void whole.stop(0);
    return () => sampleApp({ routes, handlers }).app;
  };
  const handler = async (): Promise<object> => ({});
  const first = sampleRoutes[0] as RouteDeclaration;

  it('refuses to start with a route without access, without a handler, or a handler without a route', () => {
    const { access: _, ...rest } = first;
    expect(parts([rest as RouteDeclaration], { open: handler })).toThrow('open: no access declared');
    expect(parts([{ ...first, access: { kind: 'everybody' } as never }], { open: handler })).toThrow(
      'no access declared',
    );
    expect(parts([first], {})).toThrow('open: no handler');
    expect(parts([first], { open: handler, other: handler })).toThrow('other: a handler without a route');
  });

  it.each<[string, Partial<RouteDeclaration>, string]>([
    [
      'a scope action without a scope in the path',
      { access: { kind: 'scope', action: 'secret.list' } },
      'names no scope',
    ],
    ['an action of another kind', { access: { kind: 'platform', action: 'secret.list' as never } }, 'decided on scope'],
    ['an unknown action', { access: { kind: 'platform', action: 'toString' as never } }, 'not in the table'],
    [
      'an asset outside a domain',
      { path: '/v1/global/x/{name}', access: { kind: 'asset', action: 'spark-job.view', parameter: 'name' } },
      'these assets belong to a domain',
    ],
    [
      'an asset the path doesn’t name',
      { path: '/v1/domains/{domain}/x', access: { kind: 'asset', action: 'spark-job.view', parameter: 'name' } },
      'has no {name}',
    ],
    ['parameters that are not declared', { path: '/open/{id}' }, 'params declare {}'],
    ['no reason', { access: { kind: 'public', reason: '' } }, 'no reason'],
    ['204 with a response', { status: 204 }, '204 is exactly'],
  ])('refuses %s', (_name, change, message) => {
    expect(parts([{ ...first, ...change }], { open: handler })).toThrow(message);
  });

  it('refuses two routes of one method and shape', () => {
    expect(parts([first, first], { open: handler })).toThrow('declared twice');
  });

  it('registers a literal set: exactly the declared routes, and nothing answers elsewhere', async () => {
    for (const url of [
      '/v1',
      '/documentation',
      '/v1/domains',
      '/open/',
      '//open',
      '/OPEN',
      '/__proto__',
      '/v1/domains/a/b/c/things',
    ])
      expect(codeOf(await send('GET', url))).toBe('not_found');
  });
});

describe('requests', () => {
  it('answers with the declared fields alone, an id of its own and nothing to cache', async () => {
    const answer = await send('GET', `${things}?limit=7`, { headers: { 'x-request-id': 'chosen-by-client' } });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ items: [{ id: 'a' }], limit: 7 });
    expect(answer.headers).toMatchObject({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none';frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    });
    expect(answer.headers['x-request-id']).toMatch(/^req_[0-9a-f]{22}$/);
    expect(answer.headers).not.toHaveProperty('x-powered-by');
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('x-ratelimit'))).toEqual([]);
  });

  it.each([
    ['limit=0'],
    ['limit=-1'],
    ['limit=201'],
    ['limit=1000000000'],
    ['limit=1e2'],
    ['limit=0x10'],
    ['limit=%205'],
    ['limit=05'],
    ['limit='],
    ['limit=1&limit=2'],
    ['deep=1'],
    ['q=12345678901'],
    ['scope=global'],
    ['__proto__=x'],
  ])('refuses the query %s and names the parameter', async (query) => {
    const answer = await send('GET', `${things}?${query}`);
    expect(codeOf(answer)).toBe('validation_failed');
    expect(answer.json<{ errors: { pointer: string }[] }>().errors[0]?.pointer).toBe(query.split('=')[0]);
    expect(state.seen).toEqual([]);
  });

  it('reads integers, booleans and lists of a query, and fills in defaults', async () => {
    await send('GET', `${things}?deep=true&tag=a`);
    expect(state.seen[0]?.request.query).toEqual({ limit: 50, deep: true, tag: ['a'] });
  });

  it('points to each bad field of a body', async () => {
    const answer = await send('POST', things, {
      payload: { name: 'A', size: '5', kind: 'three', tags: ['a', 1], createdBy: 'me' },
    });
    expect(codeOf(answer)).toBe('validation_failed');
    const { errors } = answer.json<{ errors: { pointer: string; message: string }[] }>();
    expect(Object.fromEntries(errors.map(({ pointer, message }) => [pointer, message]))).toEqual({
      '/name': 'must match pattern "^[a-z]+$"',
      '/size': 'must be integer',
      '/kind': 'must be "one", or must be "two"',
      '/tags/1': 'must be string',
      '/createdBy': 'is not a field of this request',
    });
  });

  it('coerces nothing in a body and keeps every character of a value', async () => {
    const value = ' \t\r\n\u0000\u2028é𝄞\ufeff ';
    await send('POST', things, { payload: { name: 'a', value } });
    expect(state.seen[0]?.request.body).toEqual({ name: 'a', value });
    for (const payload of ['{"name":1}', '{"name":"a","size":true}', '[]', 'null', '"x"', '5'])
      expect(codeOf(await send('POST', things, { payload }))).toBe('validation_failed');
  });

  it('refuses bodies where none is declared, and a missing one where it is', async () => {
    expect(codeOf(await send('POST', things))).toBe('request_malformed');
    expect(codeOf(await send('POST', things, { payload: '' }))).toBe('request_malformed');
    expect(codeOf(await send('GET', things, { payload: { a: 1 } }))).toBe('request_malformed');
  });

  it.each([
    ['text/plain'],
    ['application/json\t'],
    ['application/json;\tcharset=utf-8'],
    ['application/json\ta'],
    ['application/json; charset=utf-16'],
    ['application/json, text/plain'],
    ['application/jsonp'],
    ['application/problem+json'],
    ['multipart/form-data; boundary=x'],
    ['application/x-www-form-urlencoded'],
    ['__proto__'],
    [''],
  ])('answers 415 to Content-Type %j', async (type) => {
    expect(codeOf(await send('POST', things, { payload: '{"name":"a"}', headers: { 'content-type': type } }))).toBe(
      'media_type_unsupported',
    );
  });

  it('takes application/json with a charset, and no content encoding', async () => {
    const type = 'Application/JSON; charset="UTF-8"';
    expect(
      (await send('POST', things, { payload: '{"name":"a"}', headers: { 'content-type': type } })).statusCode,
    ).toBe(201);
    expect(
      codeOf(await send('POST', things, { payload: '{"name":"a"}', headers: { 'content-encoding': 'gzip' } })),
    ).toBe('media_type_unsupported');
  });

  it('answers 413 one byte over the limit and takes what is at it', async () => {
    const empty = JSON.stringify({ name: 'a', value: '' }).length;
    const at = (bytes: number): Promise<LightMyRequestResponse> =>
      send('POST', things, { payload: JSON.stringify({ name: 'a', value: 'x'.repeat(bytes - empty) }) });
    expect((await at(64 * 1024)).statusCode).toBe(201);
    const over = await at(64 * 1024 + 1);
    expect(codeOf(over)).toBe('limit_exceeded');
    expect(over.json<{ detail: string }>().detail).toContain('65536');
  });

  it('answers 405 with the methods there are, and HEAD like GET', async () => {
    const answer = await send('DELETE', things);
    expect(codeOf(answer)).toBe('method_not_allowed');
    expect(answer.headers['allow']).toBe('GET, HEAD, POST');
    expect(
      codeOf(
        await send('OPTIONS', things, {
          headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
        }),
      ),
    ).toBe('method_not_allowed');
    const head = await send('HEAD', things);
    expect([head.statusCode, head.body]).toEqual([200, '']);
  });

  it('refuses NUL and broken encodings in the address', async () => {
    expect(codeOf(await send('GET', `${things}?q=%00`))).toBe('validation_failed');
    expect(codeOf(await send('GET', '/v1/domains/%00/things'))).toBe('validation_failed');
    expect(codeOf(await send('GET', '/v1/domains/%ff/things'))).toBe('request_malformed');
    expect(codeOf(await send('GET', `/v1/domains/${'a'.repeat(2000)}/things`))).toBe('not_found');
  });
});

describe('who may', () => {
  it('answers 401 on every route that is not public, before it looks at anything else', async () => {
    for (const route of sampleRoutes.filter((candidate) => candidate.access.kind !== 'public')) {
      const url = route.path.replace('{domain}', 'finance').replace('{name}', 'nightly');
      const bodies: Record<string, string>[] = [
        {},
        { authorization: 'Bearer srt_wrong' },
        { authorization: 'Basic YTpi' },
        { authorization: 'Bearer' },
        { authorization: 'Bearer a b' },
      ];
      for (const credential of bodies) {
        const headers = { host: 'localhost', 'content-type': 'application/json', ...credential };
        const payload = route.method === 'GET' ? {} : { payload: '{"broken' };
        const answer = await app.fastify.inject({ method: route.method, url, headers, ...payload });
        expect(codeOf(answer)).toBe('unauthenticated');
        expect(answer.headers['www-authenticate']).toBe('Bearer realm="strongroom"');
      }
    }
    expect(state.seen).toEqual([]);
  });

  it('answers the same 404 to what is absent and what is not visible, whatever is sent', async () => {
    const bodies = new Set<string>();
    const urls = [
      '/v1/domains/sales/jobs/nightly',
      '/v1/domains/absent/jobs/nightly',
      '/v1/domains/finance/jobs/hidden',
      '/v1/domains/finance/jobs/absent',
    ];
    for (const url of urls)
      for (const payload of ['{"note":"x"}', '{"broken', '{}', '{"a":1,"a":2}', `{"note":"${'x'.repeat(70_000)}"}`])
        for (const type of ['application/json', 'text/plain']) {
          const answer = await send('PATCH', url, { payload, headers: { 'content-type': type } });
          expect(codeOf(answer)).toBe('not_found');
          const { 'x-request-id': id, date: _date, connection: _connection, ...headers } = answer.headers;
          bodies.add(JSON.stringify([answer.body.replace(String(id), 'ID'), headers]));
        }
    expect(bodies.size).toBe(1);
    expect([...bodies][0]).not.toContain('nobody may read this');
    expect(state.seen).toEqual([]);
  });

  it('hands scope, asset, decision and caller to the handler, and keeps it from reading what it has not', async () => {
    await send('PATCH', '/v1/domains/finance/jobs/nightly', { payload: { note: 'x' } });
    const request = state.seen[0]?.request;
    expect(request).toMatchObject({
      scope: { id: 'dom_finance' },
      asset: { id: 'cfg_nightly' },
      decision: { allow: true },
      caller: { id: 'usr_ann' },
      network: '127.0.0.1',
    });
    await send('GET', '/open');
    expect(() => state.seen[1]?.request.caller).toThrow('open is public');
    await send('GET', things);
    expect(() => state.seen[2]?.request.asset).toThrow('not about one asset');
  });

  it('answers feature_disabled while a feature is off, and 404 before that', async () => {
    state.isFeatureOn = false;
    expect(codeOf(await send('POST', things, { payload: { name: 'a' } }))).toBe('feature_disabled');
    expect(codeOf(await send('POST', '/v1/domains/sales/things', { payload: { name: 'a' } }))).toBe('not_found');
    expect((await send('GET', things)).statusCode).toBe(200);
  });

  it.each([
    'evil.example',
    'localhost.evil.example',
    '127.0.0.2',
    'vault.example.org.',
    'a@localhost',
    'localhost:8480:1',
    '10.0.0.1',
  ])('answers 421 to Host %s', async (host) => {
    expect(codeOf(await send('GET', '/open', { headers: { host } }))).toBe('host_not_allowed');
  });

  it.each(['localhost', 'LOCALHOST:1', '127.0.0.1:8480', '[::1]:8480', 'vault.example.org'])(
    'serves Host %s',
    async (host) => {
      expect((await send('GET', '/open', { headers: { host } })).statusCode).toBe(200);
    },
  );

  it('takes cookies only with the tab’s token and only from its own pages', async () => {
    const withCookie = (headers: Record<string, string>): Promise<LightMyRequestResponse> =>
      app.fastify.inject({
        method: 'GET',
        url: things,
        headers: { host: 'localhost:8480', cookie: 'a=b; strongroom=srs_good', ...headers },
      });
    const tab = { 'x-strongroom-tab': 'srx_tab' };
    expect((await withCookie(tab)).statusCode).toBe(200);
    expect(
      (await withCookie({ ...tab, 'sec-fetch-site': 'same-origin', origin: 'http://localhost:8480' })).statusCode,
    ).toBe(200);
    expect(codeOf(await withCookie({}))).toBe('csrf_failed');
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: 'http://localhost:9999' },
    ])
      expect(codeOf(await withCookie({ ...tab, ...(headers as Record<string, string>) }))).toBe('csrf_failed');
    expect(codeOf(await withCookie({ ...tab, cookie: 'strongroom=srs_wrong' }))).toBe('unauthenticated');
    expect(codeOf(await withCookie({ ...tab, cookie: '__Host-strongroom=srs_good' }))).toBe('unauthenticated');
  });

  it('refuses signing in from another site’s page, and limits attempts', async () => {
    const enter = (headers: Record<string, string> = {}): Promise<LightMyRequestResponse> =>
      app.fastify.inject({
        method: 'POST',
        url: '/v1/enter',
        headers: { host: 'localhost', ...headers },
        payload: { name: 'ann' },
      });
    expect(codeOf(await enter({ origin: 'https://evil.example' }))).toBe('csrf_failed');
    const good = await enter();
    expect(good.statusCode).toBe(204);
    expect(good.headers['set-cookie']).toBe('strongroom=srs_abc; Max-Age=60; Path=/; HttpOnly; SameSite=Strict');
    const answers = await Promise.all(Array.from({ length: 6 }, () => enter({ 'x-forwarded-for': '10.9.9.9' })));
    const limited = answers.filter((answer) => answer.statusCode === 429);
    expect(limited).toHaveLength(2);
    expect(codeOf(limited[0] as LightMyRequestResponse)).toBe('throttled');
    expect(Number(limited[0]?.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('counts callers apart from strangers: however many networks these have, they are in nobody’s way', async () => {
    const limits = { requestsPerMinute: 2, anonymousRequestsPerMinute: 1000, launchesPerMinute: 1 };
    const route = sampleRoutes.find(({ id }) => id === 'watchThings') as RouteDeclaration;
    const { admit } = createGuard(route, {
      authentication: {
        byBearer: async (token) => {
          if (token !== sampleToken) throw new StrongroomError('unauthenticated');
          return sampleCaller;
        },
        byCookie: async () => sampleCaller,
      },
      access: {} as GuardParts['access'],
      features: { isEnabled: () => true },
      hosts: new HostList([]),
      rateLimit: new RateLimit({ maxKeys: 5 }),
      networkRateLimit: new RateLimit({ maxKeys: 5 }),
      limits,
      cookieName: 'strongroom',
    });
    const ask = async (token: string, ip: string): Promise<unknown> =>
      admit({ id: 'req', ip, headers: { authorization: `Bearer ${token}` } } as FastifyRequest, {} as RouteRequest);
    for (let host = 1; host < 20; host += 1)
      await expect(ask('srt_wrong', `192.0.2.${host}`)).rejects.toMatchObject({ code: 'unauthenticated' });
    await ask(sampleToken, '192.0.2.1');
    await ask(sampleToken, '192.0.2.1');
    await expect(ask(sampleToken, '192.0.2.1')).rejects.toMatchObject({ code: 'throttled' });
  });

  it('limits the launches of a domain, whoever launches', async () => {
    const launch = (): Promise<LightMyRequestResponse> => send('POST', '/v1/domains/finance/launches');
    const answers = await Promise.all(Array.from({ length: 6 }, launch));
    expect(answers.map((answer) => answer.statusCode).sort()).toEqual([204, 204, 204, 204, 429, 429]);
    const refused = answers.find((answer) => answer.statusCode === 429);
    expect(refused?.json()).toMatchObject({ detail: 'More than 4 launches of this domain in a minute.' });
  });

  it('counts refused credentials by network, and believes X-Forwarded-For only from proxies it trusts', async () => {
    const limits = { ...sampleSettings.limits, anonymousRequestsPerMinute: 3 };
    const open = sampleApp({ settings: { ...sampleSettings, limits } });
    const proxied = sampleApp({ settings: { ...sampleSettings, limits, trustedProxies: ['127.0.0.1'] } });
    const attempt = async (which: App, from: string): Promise<number> =>
      (
        await which.fastify.inject({
          url: things,
          headers: { host: 'localhost', authorization: 'Bearer srt_wrong', 'x-forwarded-for': from },
        })
      ).statusCode;
    const statuses = [];
    for (const from of ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'])
      statuses.push([await attempt(open.app, from), await attempt(proxied.app, from)]);
    expect(statuses).toEqual([
      [401, 401],
      [401, 401],
      [401, 401],
      [429, 401],
    ]);
    await Promise.all([open.app.stop(0), proxied.app.stop(0)]);
  });
});

describe('revisions and repeats', () => {
  const job = '/v1/domains/finance/jobs/nightly';
  const patch = (header?: string): Promise<LightMyRequestResponse> =>
    send('PATCH', job, { payload: { note: 'x' }, headers: header === undefined ? {} : { 'if-match': header } });

  it('reads If-Match as one of our ETags', async () => {
    expect((await patch('"12"')).json()).toEqual({ asset: 'cfg_nightly', ifMatch: 12 });
    expect((await patch('*')).json()).toMatchObject({ ifMatch: null });
    expect((await patch()).json()).toMatchObject({ ifMatch: null });
    for (const other of ['W/"12"', '"abc"', '""', '"-1"', '"99999999999999999999"'])
      expect(codeOf(await patch(other))).toBe('revision_mismatch');
    for (const bad of ['12', '"1", "2"', 'x"1"', "'1'"]) expect(codeOf(await patch(bad))).toBe('validation_failed');
  });

  it('refuses If-Match where a revision is not looked at', async () => {
    expect(codeOf(await send('POST', things, { payload: { name: 'a' }, headers: { 'if-match': '"1"' } }))).toBe(
      'validation_failed',
    );
  });

  it('sends a revision as ETag', async () => {
    expect((await send('POST', things, { payload: { name: 'a' } })).headers['etag']).toBe('"7"');
  });

  it('binds an idempotency key to caller, route, address and exact body', async () => {
    const create = (key: string, payload: string, url = things): Promise<LightMyRequestResponse> =>
      send('POST', url, { payload, headers: { 'idempotency-key': key } });
    await create('k1', '{"name":"a"}');
    await create('k1', '{"name": "a"}');
    await create('k1', '{"name":"a"}');
    await send('POST', things, { payload: '{"name":"a"}' });
    const [one, two, three, none] = state.seen.map(({ request }) => request.idempotency);
    expect(one).toMatchObject({ subject: 'usr_ann', route: 'createThing', key: 'k1' });
    expect(one?.bodyHmac).toEqual(three?.bodyHmac);
    expect(one?.bodyHmac).not.toEqual(two?.bodyHmac);
    expect(none).toBeUndefined();
    for (const bad of ['', 'a b', 'é', 'x'.repeat(256)])
      expect(codeOf(await create(bad, '{"name":"a"}'))).toBe('validation_failed');
  });
});

describe('errors', () => {
  const breakDown = (how: string): Promise<LightMyRequestResponse> => send('POST', '/v1/break', { payload: { how } });

  it.each([
    ['foreign', 'internal'],
    ['cause', 'backend_sealed'],
    ['missing', 'internal'],
    ['else', 'not_found'],
  ])('lets nothing of a %s error out, to the caller or to the log', async (how, code) => {
    const answer = await breakDown(how);
    expect(codeOf(answer)).toBe(code);
    expect(answer.body).not.toContain('canary');
    expect(JSON.stringify(state.logged)).not.toContain('canary');
  });

  it('logs where an unexpected error came from, with the request id', async () => {
    const answer = await breakDown('foreign');
    const entry = state.logged.find((line) => line['msg'] === 'unexpected error');
    expect(entry).toMatchObject({
      level: 'error',
      requestId: answer.headers['x-request-id'],
      route: 'breakDown',
      error: { name: 'SyntaxError' },
    });
    expect(JSON.stringify(entry)).toContain('http-app.ts');
  });

  it('strips what a handler adds to the declared response', async () => {
    expect((await breakDown('undeclared')).json()).toEqual({ id: 'x' });
  });

  it('strips it each time, and makes the text of a body anew unless it is frozen', async () => {
    for (const how of ['shared', 'shared']) expect((await breakDown(how)).body).toBe('{"id":"shared"}');
    const changing = [await breakDown('changing'), await breakDown('changing')];
    expect(changing.map((answer) => answer.json<unknown>())).toEqual([{ id: 'é' }, { id: 'éé' }]);
    expect(changing.map(({ headers }) => headers['content-length'])).toEqual(['11', '13']);
  });

  it('notes an answer whose code the route does not declare', async () => {
    await breakDown('cause');
    expect(state.logged.map((line) => line['msg'])).toContain('the route does not declare this code');
  });
});

describe('fuzz', () => {
  it('answers no 5xx and only problems or declared answers, whatever comes', async () => {
    const body = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.json({ maxDepth: 4 }),
      fc
        .record(
          {
            name: fc.oneof(fc.string(), fc.constant('a')),
            size: fc.anything(),
            tags: fc.array(fc.string({ unit: 'binary' })),
          },
          { requiredKeys: [] },
        )
        .map((value) => JSON.stringify(value) ?? ''),
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    );
    const header = fc.string({ unit: fc.constantFrom(...Array.from('abz09"*/;=, \t{}%_-')), maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'),
        fc.constantFrom(things, '/open', '/v1/enter', '/v1/domains/finance/jobs/nightly', '/v1/break', '/nowhere'),
        fc.webQueryParameters(),
        body,
        fc.record(
          {
            'if-match': header,
            'idempotency-key': header,
            'content-type': fc.oneof(fc.constant('application/json'), header),
          },
          { requiredKeys: [] },
        ),
        async (method, path, query, payload, headers) => {
          const answer = await app.fastify.inject({
            method,
            url: `${path}?${query}`,
            headers: { ...signedIn, 'content-type': 'application/json', ...headers },
            payload,
          });
          expect(answer.statusCode).toBeLessThan(500);
          if (answer.statusCode >= 400 && method !== 'HEAD') codeOf(answer);
        },
      ),
      { numRuns: 600 },
    );
  });
});

describe('the one 404', () => {
  /** Where a reason is read: on the server's own machine, or in the record of a run. */
  const spoken = new Set([
    'demo/demo.ts',
    'identities/bootstrap-commands.ts',
    'identities/bootstrap.ts',
    'managed-stores/adopt.ts',
    'managed-stores/legacy-table/sqlite-table.ts',
    'managed-stores/legacy-table/table.ts',
    'runs/run-launcher.ts',
  ]);

  it('is given no reasons, which nobody would ever read', () => {
    const source = join(import.meta.dirname, '..');
    const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
      (name) => name.endsWith('.ts') && !name.endsWith('.test.ts'),
    );
    const withReasons = files.filter((name) =>
      /StrongroomError\('not_found', \{\s*(?:detail|hint|errors)\b/.test(readFileSync(join(source, name), 'utf8')),
    );
    expect(new Set(withReasons)).toEqual(spoken);
  });
});
