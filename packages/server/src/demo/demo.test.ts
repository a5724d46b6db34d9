import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../testing/app.ts';
import { testChild } from '../../testing/programs.ts';
import { loadConfiguration } from '../config/load.ts';
import { greeting } from '../serve.ts';
import { demoSecrets } from './content.ts';
import { createDemo, demoProblems } from './demo.ts';

interface Items<Item> {
  readonly items: readonly Item[];
}

describe('the demo', () => {
  let test: TestServer;

  beforeAll(async () => {
    test = await startTestServer();
  });
  afterAll(() => test.close());

  const keys = async () =>
    (await test.call<Items<{ key: string }>>('GET', '/v1/domains/demo/secrets')).items.map(({ key }) => key);

  it('completes what an interrupted start left out, and is made once', async () => {
    // As if the process had ended between two secrets.
    const { handlers } = test.server.services;
    const interrupted = {
      ...test.server.services,
      handlers: {
        ...handlers,
        createDomainSecret: async (request: Parameters<typeof handlers.createDomainSecret>[0]) => {
          if (request.body.key === demoSecrets[1].key) throw new Error('killed');
          return handlers.createDomainSecret(request);
        },
      },
    };
    await expect(createDemo({ store: test.server.store, services: interrupted })).rejects.toThrow('killed');
    expect(await keys()).toEqual(['warehouse-password']);
    expect(await createDemo(test.server)).toBe('made');
    expect(await keys()).toEqual(demoSecrets.map(({ key }) => key).toSorted());
    const [account] = (await test.call<Items<object>>('GET', '/v1/domains/demo/members')).items;
    expect(account).toMatchObject({ principal: 'service-account:demo/demo', preset: 'MAINTAINER' });

    // What somebody has deleted does not come back.
    await test.call('DELETE', '/v1/domains/demo/secrets/old-smtp-password');
    await test.call('DELETE', '/v1/domains/demo/spark-jobs/demo-report');
    expect(await createDemo(test.server)).toBe('present');
    await test.restart();
    expect(await createDemo(test.server)).toBe('present');
    expect(await keys()).not.toContain('old-smtp-password');
    expect((await test.request('GET', '/v1/domains/demo/spark-jobs/demo-report')).status).toBe(404);
  });

  it('is made anew when its domain was deleted, with a job whose log is masked and has the report', async () => {
    await test.call('DELETE', '/v1/domains/demo?force=true');
    expect(await createDemo(test.server)).toBe('made');
    const path = '/v1/domains/demo';
    const check = await test.call('POST', `${path}/spark-jobs/demo-report/preflight`);
    expect(check).toMatchObject({ ok: true });
    const { id } = await test.call<{ id: string }>('POST', `${path}/spark-jobs/demo-report/runs`);
    let state = 'queued';
    while (state === 'queued' || state === 'running')
      ({ state } = await test.call<{ state: string }>('GET', `${path}/runs/${id}`));
    expect(state).toBe('succeeded');
    const log = (await test.request('GET', `${path}/runs/${id}/log`)).text;
    expect(log).toContain('connecting to the warehouse with [redacted:WAREHOUSE_PASSWORD]');
    expect(log).toContain('sending the report with [redacted:REPORT_API_SECRET]');
    expect(log).toContain('total       3325');
    const uses = await test.call<Items<{ name: string }>>('GET', `${path}/secrets/report-api/used-by`);
    expect(uses.items.map(({ name }) => name)).toEqual(['REPORT_API_SECRET']);
  });

  it('leaves another domain of its name alone', async () => {
    await test.call('DELETE', '/v1/domains/demo?force=true');
    await test.createDomain('demo');
    expect(await createDemo(test.server)).toBe('taken');
    expect(await keys()).toEqual([]);
  });

  it('is refused where others could reach it, and says why', () => {
    const problems = (variables: Readonly<Record<string, string>>) =>
      demoProblems(loadConfiguration({ variables, workingDirectory: '/' }).settings);
    expect(problems({})).toEqual([]);
    expect(problems({ STRONGROOM_LISTEN: '[::1]:1' })).toEqual([]);
    expect(problems({ STRONGROOM_LISTEN: '0.0.0.0:8480' })).toMatchObject([/0\.0\.0\.0 is reachable from others/]);
    expect(problems({ STRONGROOM_BEHIND_TLS_PROXY: 'true' })).toMatchObject([/a proxy stands in front/]);
    expect(problems({ NODE_ENV: 'production' })).toMatchObject([/not for production/]);
  });

  it('is refused before anything is made', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'strongroom-demo-'));
    const child = testChild('serve-child');
    const env = {
      PATH: process.env['PATH'],
      STRONGROOM_DATA_DIR: join(directory, 'data'),
      STRONGROOM_LISTEN: '0.0.0.0:0',
    };
    try {
      const run = promisify(execFile)(process.execPath, [child, '--demo'], { env, cwd: directory });
      await expect(run).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('0.0.0.0 is reachable') });
      expect(readdirSync(directory)).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('is said at start', () => {
    const server = { version: '1', url: 'http://x', metricsUrl: undefined, signInLink: null } as const;
    const text = greeting({ ...server, created: null, recovery: null, warnings: [] }, 'made');
    expect(text).toContain('  Demo      the domain demo was made; to see it work: strongroom job run demo-report');
  });
});
