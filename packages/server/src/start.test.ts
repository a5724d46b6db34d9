import { actionTable, routes, type RouteDeclaration } from '@strongroom/contract';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, startTestServer, type TestServer, type TestUser } from '../testing/app.ts';
import { ConfigurationError } from './config/load.ts';

let test: TestServer;
let ann: TestUser;

beforeAll(async () => {
  test = await startTestServer();
  for (const name of ['finance', 'sales', 'gone', 'scratch']) await test.createDomain(name);
  ann = await test.createUser('ann', { domains: { finance: 'MEMBER' } });
  await test.call('DELETE', '/v1/domains/gone');
});
afterAll(() => test.close());

const all: readonly RouteDeclaration[] = routes;
const inDomains = all.filter((route) => route.path.startsWith('/v1/domains/{domain}'));

/** A path with something plausible for every parameter. */
function fill(route: RouteDeclaration, domain: string): string {
  return route.path
    .replace('{domain}', domain)
    .replaceAll(
      /\{(?:user|group|serviceAccount|token|session|id|grant|principal|launch)\}/g,
      'usr_00000000000000000000000000',
    )
    .replaceAll(/\{[^}]*\}/g, 'db-password');
}

function shape(answer: Answer): string {
  const requestId = answer.headers.get('x-request-id') ?? '';
  const headers = [...answer.headers].filter(
    ([name]) => !['x-request-id', 'date', 'connection', 'keep-alive'].includes(name),
  );
  return JSON.stringify([answer.status, answer.text.replace(requestId, ''), headers]);
}

const bodyOf = (route: RouteDeclaration): { rawBody?: string } => (route.method === 'GET' ? {} : { rawBody: '{}' });

describe('every route of the table', () => {
  it('is there', () => {
    expect(all.length).toBeGreaterThan(100);
    expect(inDomains.length).toBeGreaterThan(40);
  });

  it('answers 401 without a credential, and with one that is wrong, unless it is public', async () => {
    const answers = new Set<string>();
    await Promise.all(
      all
        .filter((route) => route.access.kind !== 'public')
        .flatMap((route) =>
          [null, 'srt_wrong'].map(async (token) => {
            answers.add(shape(await test.request(route.method, fill(route, 'finance'), { token, ...bodyOf(route) })));
          }),
        ),
    );
    expect([...answers].map((answer) => JSON.parse(answer)[0] as number)).toEqual([401]);
  });

  it('answers the same 404 in a domain that is another’s, deleted, absent or not even a name', async () => {
    const answers = new Map<string, string[]>();
    const domains = ['sales', 'gone', 'absent', 'FINANCE', '%20', '%C5%BFales', 'finance%2f'];
    await Promise.all(
      inDomains.flatMap((route) =>
        domains.flatMap((domain) =>
          (route.method === 'GET' ? [{}] : [{ rawBody: '{}' }, { rawBody: '{"broken' }]).map(async (body) => {
            const answer = shape(await test.request(route.method, fill(route, domain), { token: ann.token, ...body }));
            answers.set(answer, [...(answers.get(answer) ?? []), `${route.id} ${domain}`]);
          }),
        ),
      ),
    );
    expect([...answers].map(([answer, where]) => [JSON.parse(answer)[0] as number, where.length])).toEqual([
      [404, expect.any(Number)],
    ]);
  });

  it('refuses a member what only administrators do, by name or by silence', async () => {
    const onlyAdministrators = all.filter(({ access, path }) => {
      if (access.kind === 'platform') return true;
      if (access.kind !== 'scope' || path.includes('{domain}')) return false;
      return !(path.startsWith('/v1/global') && actionTable[access.action].global === 'everyone');
    });
    const statuses = await Promise.all(
      onlyAdministrators.map(async (route) => {
        const { status } = await test.request(route.method, fill(route, 'finance'), {
          token: ann.token,
          ...bodyOf(route),
        });
        return `${route.id} ${status}`;
      }),
    );
    expect(statuses.length).toBeGreaterThan(30);
    expect(statuses.filter((text) => !/ 40[34]$/.test(text))).toEqual([]);
  });

  it('answers no 5xx to an administrator who sends nonsense', async () => {
    const bodies = ['{"name":"x","value":"y","key":"z"}', '{"name":"\\u0000"}', '{"value":{"a":{"b":[1]}}}'];
    const send = async (route: RouteDeclaration): Promise<void> => {
      for (const rawBody of route.method === 'GET' ? [undefined] : bodies) {
        const query = '?limit=5&q=%F0%9F%98%80%27%22%5C%25_&cursor=abc';
        const url = `${fill(route, 'scratch')}${route.method === 'GET' ? query : ''}`;
        const answer = await test.request(route.method, url, rawBody === undefined ? {} : { rawBody });
        expect([route.id, rawBody, answer.status]).toEqual([
          route.id,
          rawBody,
          expect.toSatisfy((status: number) => status < 500),
        ]);
      }
    };
    // The domain and the keys go last.
    const last = new Set(['deleteDomain', 'keyRotate']);
    await Promise.all(all.filter(({ id }) => !last.has(id)).map(send));
    await Promise.all(all.filter(({ id }) => last.has(id)).map(send));
    expect(test.logged.filter((line) => line['level'] === 'error')).toEqual([]);
  });

  it('answers with codes it declares', () => {
    expect(
      test.logged
        .filter((line) => line['msg'] === 'the route does not declare this code')
        .map((line) => `${String(line['route'])} ${String(line['code'])}`),
    ).toEqual([]);
  });
});

describe('operation', () => {
  it('says that it lives and that it is ready', async () => {
    expect(await test.call('GET', '/healthz', { token: null })).toEqual({ status: 'ok' });
    const { dependencies } = await test.call<{ dependencies: { name: string }[] }>('GET', '/readyz', { token: null });
    expect(dependencies.map(({ name }) => name)).toEqual(['server', 'store', 'writer', 'keys', 'audit-anchor', 'disk']);
  });

  it('serves its own document, settings, doctor and metrics', async () => {
    const document = await test.call<{ openapi: string; paths: object }>('GET', '/v1/openapi.json', { token: null });
    expect([document.openapi, Object.keys(document.paths).length]).toEqual([
      '3.1.0',
      new Set(all.map((route) => route.path)).size,
    ]);
    const settings = await test.request('GET', '/v1/settings', { token: ann.token });
    expect(settings.body).toMatchObject({
      features: { secretsV2: { enabled: true, setBy: 'default' } },
      store: 'sqlite',
      limits: { valueBytes: 1_048_576 },
    });
    const report = await test.call<{ checks: { id: string; status: string }[] }>('GET', '/v1/doctor');
    expect(report.checks.filter(({ status }) => status === 'red')).toEqual([]);
    expect(report.checks.find(({ id }) => id === 'recovery-kit')?.status).toBe('amber');
    const metrics = await test.request('GET', '/metrics');
    expect(metrics.headers.get('content-type')).toContain('text/plain');
    expect(metrics.text).toContain(
      'strongroom_http_request_duration_seconds_bucket{le="0.001",route="health",status="200"}',
    );
    expect((await test.request('GET', '/metrics', { token: ann.token })).status).toBe(403);
    expect((await test.request('GET', '/metrics', { token: null })).status).toBe(401);
  });

  it('turns secretsV2 off and on, with If-Match, for all but the Global store', async () => {
    const before = await test.request('GET', '/v1/settings');
    const off = await test.request('PATCH', '/v1/settings', {
      body: { features: { secretsV2: { enabled: false } } },
      headers: { 'if-match': before.headers.get('etag') ?? '' },
    });
    expect(off.body).toMatchObject({ features: { secretsV2: { enabled: false, setBy: 'api' } } });
    const stale = await test.request('PATCH', '/v1/settings', {
      body: { features: { secretsV2: { enabled: true } } },
      headers: { 'if-match': before.headers.get('etag') ?? '' },
    });
    expect(stale.status).toBe(412);
    expect((await test.request('GET', '/v1/domains/finance/secrets')).body).toMatchObject({ code: 'feature_disabled' });
    expect((await test.request('GET', '/v1/admin/secrets')).body).toMatchObject({ code: 'feature_disabled' });
    expect((await test.request('GET', '/v1/global/secrets')).status).toBe(200);
    expect((await test.request('GET', '/v1/domains/sales/secrets', { token: ann.token })).status).toBe(404);
    await test.call('PATCH', '/v1/settings', { body: { features: { secretsV2: { enabled: true } } } });
    expect((await test.request('GET', '/v1/domains/finance/secrets')).status).toBe(200);
    expect(
      (
        await test.request('PATCH', '/v1/settings', {
          token: ann.token,
          body: { features: { secretsV2: { enabled: false } } },
        })
      ).status,
    ).toBe(403);
  });

  it('serves the sign-in page whole, with nothing inline', async () => {
    const page = await test.request('GET', '/signin', { token: null });
    expect(page.headers.get('content-security-policy')).toBe(
      "default-src 'none';script-src 'self';style-src 'self';img-src 'self';font-src 'self';connect-src 'self';base-uri 'none';form-action 'none';frame-ancestors 'none'",
    );
    expect(page.text).not.toMatch(/<style|<script(?![^>]* src=)|\son[a-z]+=|\sstyle=/);
    for (const [, file] of page.text.matchAll(/(?:src|href)="(\/[^"]+)"/g))
      expect([file, (await test.request('GET', String(file), { token: null })).status]).toEqual([file, 200]);
    expect((await test.request('GET', '/', { token: null })).text).toBe(page.text);
  });
});

describe('life', () => {
  it('keeps everything over a restart, and lets the configuration’s flag win', async () => {
    await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'kept', value: 'over-a-restart' } });
    await test.restart({ STRONGROOM_FEATURES_SECRETSV2_ENABLED: 'true' });
    expect(await test.call('GET', '/v1/domains/finance/secrets/kept')).toMatchObject({ version: '1.1' });
    expect(await test.call('GET', '/v1/settings')).toMatchObject({
      features: { secretsV2: { enabled: true, setBy: 'configuration' } },
    });
    expect(
      (await test.request('PATCH', '/v1/settings', { body: { features: { secretsV2: { enabled: false } } } })).body,
    ).toMatchObject({ code: 'state_conflict' });
    const recorded = async (action: string): Promise<number> =>
      (await test.call<{ items: object[] }>('GET', `/v1/audit?action=${action}`)).items.length;
    expect([await recorded('server.start'), await recorded('server.stop')]).toEqual([2, 1]);
  });

  it('leaves nothing readable by others in its folder', () => {
    const anchor = join(test.dataDir, 'audit.anchor');
    expect(existsSync(anchor)).toBe(true);
    expect(readFileSync(anchor, 'utf8').split('\n').length).toBeGreaterThan(10);
  });

  it.each([
    [{ STRONGROOM_LISTEN: '0.0.0.0:0', STRONGROOM_RUNNER: 'none' }, 'in plain text'],
    [{ STRONGROOM_LISTEN: '0.0.0.0:0', STRONGROOM_BEHIND_TLS_PROXY: 'true' }, 'STRONGROOM_RUNNER'],
  ])('does not serve %j', async (settings, message) => {
    const refused = await startTestServer(settings).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refused).toBeInstanceOf(ConfigurationError);
    expect(String(refused)).toContain(message);
  });
});
