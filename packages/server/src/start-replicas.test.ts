import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, startTestServer, type TestServer, type TestUser } from '../testing/app.ts';
import { ephemeralJwk } from '../testing/bodies.ts';
import { Canaries } from '../testing/canaries.ts';
import { postgresUnavailable } from '../testing/postgres.ts';
import { sharedPostgres } from '../testing/stores.ts';
import { askForPassword, receivePassword, verifyLog } from '../testing/workload.ts';

const missing = postgresUnavailable();
const note = missing === undefined ? '' : ` (skipped: ${missing})`;
const finance = '/v1/domains/finance';

describe.skipIf(missing !== undefined)(`two servers on one PostgreSQL${note}`, () => {
  const canaries = new Canaries();
  const value = canaries.plain('the first value');
  const second = canaries.plain('the second value');
  let databaseUrl: string;
  let one: TestServer;
  let other: TestServer;
  let ann: TestUser;
  let workload: TestUser;

  beforeAll(async () => {
    const postgres = await sharedPostgres();
    databaseUrl = await postgres.createDatabase('code-point');
    one = await startTestServer({ STRONGROOM_DATABASE_URL: databaseUrl }, { canaries });
    other = await startTestServer({}, { canaries, replicaOf: one });
    await one.createDomain('finance');
    [ann, workload] = await Promise.all([
      one.createUser('ann', { domains: { finance: 'MAINTAINER' } }),
      other.createServiceAccount('finance', 'etl', { preset: 'MEMBER', grants: ['RESOLVE'] }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([one.close(), other.close()]);
  });

  it('give a secret made on one to whoever asks the other, also after a rotation', async () => {
    await one.call('POST', `${finance}/secrets`, { body: { key: 'db-password', value } });
    expect((await receivePassword(other, workload.token)).value === value).toBe(true);
    await other.call('PUT', `${finance}/secrets/db-password/value`, { body: { value: second } });
    expect((await receivePassword(one, workload.token, other)).value === second).toBe(true);
    await one.call('POST', '/v1/keys/rotate', { body: { what: 'terms', scope: 'domain', domain: 'finance' } });
    await one.call('PUT', `${finance}/secrets/db-password/value`, { body: { value } });
    expect((await receivePassword(other, workload.token)).value === value).toBe(true);
  });

  it('know at once what was taken back on the other', async () => {
    for (const [here, there] of [
      [one, other],
      [other, one],
    ] as const) {
      expect((await askForPassword(there, workload.token)).status).toBe(201);
      const { items } = await here.call<{ items: { id: string; permission: string }[] }>('GET', `${finance}/grants`);
      const resolve = items.find(({ permission }) => permission === 'RESOLVE');
      await here.call('DELETE', `${finance}/grants/${resolve?.id}`);
      expect(codeOf(await askForPassword(there, workload.token))).toBe('permission_missing');
      await there.call('POST', `${finance}/grants`, { body: { principal: workload.name, permission: 'RESOLVE' } });
      expect((await askForPassword(here, workload.token)).status).toBe(201);
    }
    const { id } = (await askForPassword(one, workload.token)).body as { id: string };
    await other.call('DELETE', `${finance}/members/${encodeURIComponent(workload.name)}`);
    const refused = await one.request('POST', `/v1/launches/${id}/resolve`, {
      token: workload.token,
      body: { publicKey: ephemeralJwk() },
    });
    expect(codeOf(refused)).toBe('launch_refused');
    await other.call('PATCH', `/v1/users/${ann.id}`, { body: { isDisabled: true } });
    expect((await one.request('GET', '/v1/auth/me', { token: ann.token })).status).toBe(401);
  });

  it('hear of a feature turned off within the second that it is believed for', async () => {
    const turn = (server: TestServer, enabled: boolean): Promise<unknown> =>
      server.call('PATCH', '/v1/settings', { body: { features: { secretsV2: { enabled } } } });
    const list = async (): Promise<number> => (await other.request('GET', `${finance}/secrets`)).status;
    await turn(one, false);
    await expect.poll(list).toBe(403);
    await turn(one, true);
    await expect.poll(list).toBe(200);
  });

  it('share what is done once: idempotency keys, pages, names', async () => {
    const headers = { 'idempotency-key': 'one-secret-only' };
    const body = { key: 'idempotent', value };
    const answers = await Promise.all(
      [one, other].map((server) => server.request('POST', `${finance}/secrets`, { body, headers })),
    );
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    expect(answers[0]?.text).toBe(answers[1]?.text);
    const raced = await Promise.all(
      [one, other, one, other].map((server, index) =>
        server.request('POST', '/v1/domains', { body: { name: 'raced', displayName: `${index}` } }),
      ),
    );
    expect(raced.map(({ status }) => status).toSorted()).toEqual([201, 409, 409, 409]);
    const page = await one.call<{ nextCursor: string }>('GET', `${finance}/secrets?limit=1`);
    expect(await other.call('GET', `${finance}/secrets?limit=1&cursor=${page.nextCursor}`)).toMatchObject({
      items: [{ key: 'idempotent' }],
    });
  });

  it('leave a run to the one that started it', async () => {
    const job = `${finance}/spark-jobs/waiting`;
    await one.call('POST', `${finance}/spark-jobs`, { body: { name: 'waiting', command: ['sleep', '300'] } });
    const { id } = await one.call<{ id: string }>('POST', `${job}/runs`);
    await expect.poll(() => other.call('GET', `${finance}/runs/${id}`)).toMatchObject({ state: 'running' });
    for (const [method, path] of [
      ['GET', 'log'],
      ['POST', 'stop'],
    ] as const)
      expect(codeOf(await other.request(method, `${finance}/runs/${id}/${path}`))).toBe('state_conflict');
    // Its start looks for runs whose server is gone; this one's is not.
    await other.restart();
    expect(await other.call('GET', `${finance}/runs/${id}`)).toMatchObject({ state: 'running' });
    await one.call('POST', `${finance}/runs/${id}/stop`);
    await expect.poll(() => other.call('GET', `${finance}/runs/${id}`)).toMatchObject({ state: 'stopped' });
  });

  it('end a run whose server, on another machine, is gone', async () => {
    await one.call('POST', `${finance}/spark-jobs`, { body: { name: 'orphan', command: ['true'] } });
    const { id } = await one.call<{ id: string }>('POST', `${finance}/spark-jobs/orphan/runs`);
    await expect.poll(() => one.call('GET', `${finance}/runs/${id}`)).toMatchObject({ state: 'succeeded' });
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    await client.query(
      `update runs set state = 'running', holder = 'elsewhere 1 1 gone', boot_id = 'another', ended_at = null where id = $1`,
      [id],
    );
    await client.end();
    await Promise.all([one.restart(), other.restart()]);
    expect(await other.call('GET', `${finance}/runs/${id}`)).toMatchObject({
      state: 'failed',
      failure: { code: 'orphaned' },
    });
  });

  it('each write chains of their own, which verify together', async () => {
    for (const [here, there] of [
      [one, other],
      [other, one],
    ] as const) {
      const report = await verifyLog(here, [there]);
      expect(report).toMatchObject({ ok: true, bad: [] });
      expect(report.chains).toBeGreaterThanOrEqual(3);
    }
    await Promise.all([one.assertNoLeak(), other.assertNoLeak()]);
    expect([...one.logged, ...other.logged].filter(({ level }) => level === 'error')).toEqual([]);
  });
});
