import { routes } from '@strongroom/contract';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer, type TestUser } from '../testing/app.ts';
import { ConfigurationError } from './config/load.ts';
import { withLease } from './store/leases.ts';

let test: TestServer;
let ann: TestUser;

beforeAll(async () => {
  test = await startTestServer();
  for (const name of ['finance', 'sales']) await test.createDomain(name);
  ann = await test.createUser('ann', { domains: { finance: 'MEMBER' } });
});
afterAll(() => test.close());

describe('operation', () => {
  it('says that it lives and that it is ready', async () => {
    expect(await test.call('GET', '/healthz', { token: null })).toEqual({ status: 'ok' });
    const { dependencies } = await test.call<{ dependencies: { name: string }[] }>('GET', '/readyz', { token: null });
    expect(dependencies.map(({ name }) => name)).toEqual(['server', 'store', 'writer', 'keys', 'audit-anchor', 'disk']);
  });

  it('has periodic jobs, and each of them comes to its end', async () => {
    expect(test.jobs.length).toBeGreaterThan(10);
    for (const { name, run } of test.jobs)
      expect([name, await withLease(test.server.store, `job.${name}`, 'start.test', 60_000, run)]).toEqual([
        name,
        { held: true, result: undefined },
      ]);
  });

  it('serves its own document, settings, doctor and metrics', async () => {
    const document = await test.call<{ openapi: string; paths: object }>('GET', '/v1/openapi.json', { token: null });
    expect([document.openapi, Object.keys(document.paths).length]).toEqual([
      '3.1.0',
      new Set(routes.map((route) => route.path)).size,
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
      'strongroom_http_request_duration_seconds_bucket{le="0.001",route="checkHealth",status="200"}',
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
