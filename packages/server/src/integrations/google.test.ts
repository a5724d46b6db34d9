import { createHash } from 'node:crypto';
import { canServeTls, type GoogleWorld, startGoogleWorld } from '@strongroom/backends/testing/google.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { type Chosen, finance, one, pointers } from '../../testing/integration-world.ts';
import { launchWith } from '../../testing/workload.ts';
import { loadBackend } from './load-backend.ts';

interface Tested {
  readonly ok: boolean;
  readonly lines: readonly { readonly step: string; readonly outcome: string; readonly code?: string }[];
}

interface Report {
  readonly ok: boolean;
  readonly isComplete: boolean;
  readonly keys: number;
  readonly checks: readonly { readonly name: string; readonly outcome: string; readonly reason?: string }[];
}

describe.skipIf(!canServeTls)('an integration with a double of Google Secret Manager', () => {
  const canaries = new Canaries();
  const password = canaries.text('a password');
  const plain = canaries.text('a text');
  let world: GoogleWorld;
  let test: TestServer;
  let member: TestUser;
  let maintainer: TestUser;

  beforeAll(async () => {
    world = await startGoogleWorld();
    canaries.add('the private key', world.tokens.privateKey);
    world.manager.set('finance-db', Buffer.from(JSON.stringify({ user: 'app', password })));
    world.manager.set('finance-api', Buffer.from(plain));
    world.manager.set('sales-api', Buffer.from('x'));
    test = await startTestServer(
      {},
      { canaries, loadBackend: async (type) => (type === 'GOOGLE' ? world.definition : loadBackend(type)) },
    );
    await test.createDomain('finance');
    member = await test.createUser('member', { domains: { finance: 'MEMBER' } });
    maintainer = await test.createUser('maintainer', { domains: { finance: 'MAINTAINER' } });
  });
  afterAll(async () => {
    await test.close();
    await world[Symbol.asyncDispose]();
  });

  const body = (change: object = {}): object => ({
    type: 'GOOGLE',
    settings: world.settings({ prefix: 'finance-', ...change }),
    credentials: { serviceAccountKey: world.tokens.serviceAccountKey },
  });
  const create = (name: string, made: object): Promise<Answer> =>
    test.request('POST', `${finance}/integrations`, { token: maintainer.token, body: { name, ...made } });
  const failures = ({ lines }: Tested): string[] =>
    lines.filter(({ outcome }) => outcome === 'failed').map(({ step, code }) => `${step} ${code}`);

  it('is tried as a form, made, tried, listed and chosen from', async () => {
    const tried = await test.call<Tested>('POST', `${finance}/integrations/test`, { body: body() });
    expect([tried.ok, failures(tried)]).toEqual([true, []]);
    expect(await create('google-prod', body())).toMatchObject({
      status: 201,
      body: { type: 'GOOGLE', credentials: [{ name: 'serviceAccountKey', version: '1.1' }] },
    });
    const again = await test.call<Tested>('POST', `${one('google-prod')}/test`);
    expect(again.lines.map(({ step, outcome }) => `${step} ${outcome}`)).toEqual([
      'address ok',
      'reachable ok',
      'tls ok',
      'login ok',
      'list ok',
      'read ok',
    ]);
    const refreshed = await test.call('POST', `${one('google-prod')}/refresh`);
    expect(refreshed).toMatchObject({ health: { state: 'healthy' }, index: { keys: 2, isComplete: true } });
    const { items } = await test.call<Chosen>('GET', `${finance}/choices?source=google-prod`, { token: member.token });
    expect(items.map(({ reference }) => reference)).toEqual([
      'secret://domain/google-prod/finance-api',
      'secret://domain/google-prod/finance-db',
    ]);
  });

  it('is launched from, a text and a member of a JSON text, with the versions in the receipt', async () => {
    const script =
      'for (const n of ["API","PASSWORD"]) console.log(require("crypto").createHash("sha256").update(process.env[n]).digest("hex"))';
    const environment = [
      { name: 'API', secret: 'secret://domain/google-prod/finance-api' },
      { name: 'PASSWORD', secret: 'secret://domain/google-prod/finance-db#password' },
    ];
    const job = { name: 'from-google', command: [process.execPath, '-e', script], environment };
    await test.call('POST', `${finance}/spark-jobs`, { token: member.token, body: job });
    const { id } = await test.call<{ id: string }>('POST', `${finance}/spark-jobs/from-google/runs`, {
      token: member.token,
    });
    await expect
      .poll(() => test.call<{ state: string }>('GET', `${finance}/runs/${id}`, { token: member.token }))
      .toMatchObject({
        state: 'succeeded',
        variables: [
          { name: 'API', source: 'google-prod', version: '1', outcome: 'resolved' },
          { name: 'PASSWORD', source: 'google-prod', version: '1', outcome: 'resolved' },
        ],
      });
    const { text } = await test.request('GET', `${finance}/runs/${id}/log`, { token: member.token });
    const digest = (value: string): string => createHash('sha256').update(value).digest('hex');
    expect(text.trim().split('\n')).toEqual([plain, password].map(digest));
  });

  it('tells which version it has now of what something running got, and reads no value for that', async () => {
    const worker = await test.createServiceAccount('finance', 'worker', { preset: 'MEMBER', grants: ['RESOLVE'] });
    const reference = 'secret://domain/google-prod/finance-api';
    const id = await launchWith(test, worker.token, reference);
    const drifted = async () => {
      await test.server.services.sourceVersions.round(AbortSignal.timeout(60_000), -1);
      return (await test.call<{ items: object[] }>('GET', `${finance}/drift`)).items;
    };
    expect(await drifted()).toEqual([]);
    world.manager.set('finance-api', Buffer.from(plain));
    const reads = () => world.manager.requests.filter(({ method }) => method === 'accessSecretVersion').length;
    const before = reads();
    expect(before).toBeGreaterThan(0);
    expect(await drifted()).toMatchObject([{ launch: id, reference, version: '1', currentVersion: '2' }]);
    expect(reads()).toBe(before);
  });

  it('passes the conformance suite under its prefix, and only what nobody can try there is left out', async () => {
    const report = await test.call<Report>('POST', `${one('google-prod')}/conformance`, {
      body: { keys: ['finance-db'] },
    });
    const notPassed = (outcome: string) =>
      report.checks.filter((check) => check.outcome === outcome).map(({ name, reason }) => [name, reason]);
    expect([report.ok, report.isComplete, report.keys, notPassed('failed')]).toEqual([true, true, 1, []]);
    const leftOut = notPassed('not-applicable').filter(
      ([, reason]) => !/written|declared|fault|keeps no/.test(reason ?? ''),
    );
    expect(leftOut).toEqual([]);
  });

  it('takes no other credential than the key of a service account, in a form and saved', async () => {
    const key = JSON.parse(world.tokens.serviceAccountKey) as object;
    for (const change of [{ type: 'external_account' }, { token_uri: 'https://tokens.example.com' }]) {
      const refused = { ...body(), credentials: { serviceAccountKey: JSON.stringify({ ...key, ...change }) } };
      expect(pointers(await create('other', refused))).toEqual(['/credentials/serviceAccountKey']);
      const tried = await test.request('POST', `${finance}/integrations/test`, { body: refused });
      expect(pointers(tried)).toEqual(['/credentials/serviceAccountKey']);
    }
  });

  it('asks for the key again when it would be used elsewhere', async () => {
    const patch = (settings: object): Promise<Answer> =>
      test.request('PATCH', one('google-prod'), { body: { settings } });
    for (const [change, pointer] of [
      [{ endpoint: 'https://secretmanager-x.p.googleapis.com' }, '/settings/endpoint'],
      [{ location: 'europe-west3' }, '/settings/location'],
      [{ project: 'sales-prod' }, '/settings/project'],
    ] as const)
      expect(pointers(await patch(world.settings({ prefix: 'finance-', ...change })))).toEqual([
        pointer,
        '/credentials/serviceAccountKey',
      ]);
    expect((await patch(world.settings({ prefix: 'finance-d' }))).status).toBe(200);
  });

  it('has the identity of the server only by a profile that is for its project', async () => {
    const authentication = { method: 'application-default' } as const;
    const ambient = { type: 'GOOGLE', settings: { project: 'finance-prod', authentication } };
    await test.call('POST', '/v1/profiles', {
      body: {
        name: 'google-finance',
        type: 'GOOGLE',
        settings: { project: 'finance-prod' },
        bindings: [{ scope: 'domain', domain: 'finance', prefix: 'finance-' }],
      },
    });
    expect(pointers(await create('ambient', ambient))).toEqual(['/profile']);
    const profile = 'google-finance';
    const other = { ...ambient, settings: { ...ambient.settings, project: 'sales-prod' }, profile };
    expect(pointers(await create('ambient', other))).toEqual(['/settings/project']);
    const acting = { ...authentication, serviceAccount: 'reader@finance-prod.iam.gserviceaccount.com' };
    const another = { ...ambient, settings: { ...ambient.settings, authentication: acting }, profile };
    expect(pointers(await create('ambient', another))).toEqual(['/settings/authentication/serviceAccount']);
    expect((await create('ambient', { ...ambient, profile })).status).toBe(201);
  });

  it('leaves no credential and no value anywhere', async () => {
    await expect(test.assertNoLeak()).resolves.toBeUndefined();
  });
});
