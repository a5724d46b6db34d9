import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer, type TestUser } from '../../../testing/app.ts';
import { Canaries } from '../../../testing/canaries.ts';

interface Job {
  readonly environment: readonly { readonly name: string; readonly secret?: unknown }[];
  readonly warnings: readonly { readonly code: string }[];
}

describe('Spark jobs over HTTP', () => {
  let test: TestServer;
  let ann: TestUser;
  const canaries = new Canaries();
  const value = canaries.text('db-password');
  const jobs = '/v1/domains/finance/spark-jobs';
  const as = (user: TestUser, body?: unknown, headers: Record<string, string> = {}) => ({
    token: user.token,
    headers,
    ...(body === undefined ? {} : { body }),
  });

  beforeAll(async () => {
    test = await startTestServer({}, { canaries });
    await test.createDomain('finance');
    ann = await test.createUser('ann', { domains: { finance: 'MEMBER' } });
    await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'db-password', value } });
  });
  afterAll(() => test.close());

  it('takes every shape of a reference and shows one', async () => {
    const shapes: Record<string, unknown>[] = [
      { environment: [{ name: 'P', secret: { scope: 'domain', source: 'managed', key: 'db-password' } }] },
      { environment: [{ name: 'P', secret: 'secret://domain/managed/db-password' }] },
      {
        envSecrets: [{ key: 'P', secretObject: { key: 'db-password', source: { type: 'KUBERNETES', id: 'finance' } } }],
      },
    ];
    for (const [index, shape] of shapes.entries()) {
      const job = await test.call<Job>('POST', jobs, as(ann, { name: `shape-${index}`, command: ['true'], ...shape }));
      expect(job.environment).toEqual([
        { name: 'P', secret: { scope: 'domain', source: 'managed', key: 'db-password' } },
      ]);
    }
    const uses = await test.call<{ items: unknown[] }>(
      'GET',
      '/v1/domains/finance/used-by?reference=secret%3A%2F%2Fdomain%2Fmanaged%2Fdb-password',
      as(ann),
    );
    expect(uses.items).toHaveLength(3);
  });

  it.each<[string, unknown, string]>([
    ['an unknown field', { name: 'bad', command: ['true'], scope: 'global' }, ''],
    ['a shell line', { name: 'bad', command: 'true; false' }, '/command'],
    [
      'a reserved variable',
      { name: 'bad', command: ['true'], environment: [{ name: 'STRONGROOM_RUN_ID', value: 'x' }] },
      '/environment/0/name',
    ],
    [
      'a file outside the folder',
      { name: 'bad', command: ['true'], files: [{ name: '../x', content: '' }] },
      '/files/0/name',
    ],
    ['a hidden file', { name: 'bad', command: ['true'], files: [{ name: 'a/.ssh', content: '' }] }, '/files/0/name'],
    ['an absolute file', { name: 'bad', command: ['true'], files: [{ name: '/etc/x', content: '' }] }, '/files/0/name'],
    ['too many arguments', { name: 'bad', command: Array.from({ length: 257 }, () => 'x') }, '/command'],
    ['a secret in the command', { name: 'bad', command: ['psql', '${secrets.db-password}'] }, '/command/1'],
  ])('refuses %s with 422', async (_name, body, pointer) => {
    const answer = await test.request('POST', jobs, as(ann, body));
    expect(answer.status).toBe(422);
    const { errors } = answer.body as { errors: readonly { pointer: string }[] };
    expect(errors.map((error) => error.pointer)).toContain(pointer === '' ? errors[0]?.pointer : pointer);
  });

  it('replaces with If-Match, suspends, deletes', async () => {
    const created = await test.request('POST', jobs, as(ann, { name: 'changing', command: ['true'] }));
    expect([created.status, created.headers.get('etag')]).toEqual([201, '"1"']);
    const changed = await test.request(
      'PUT',
      `${jobs}/changing`,
      as(ann, { command: ['false'], timeoutSeconds: 5 }, { 'if-match': '"1"' }),
    );
    expect([changed.status, changed.headers.get('etag')]).toEqual([200, '"2"']);
    expect(
      (await test.request('PUT', `${jobs}/changing`, as(ann, { command: ['true'] }, { 'if-match': '"1"' }))).status,
    ).toBe(412);
    await test.call('PATCH', `${jobs}/changing`, as(ann, { suspended: true }));
    expect((await test.request('POST', `${jobs}/changing/runs`, as(ann))).status).toBe(409);
    expect((await test.request('DELETE', `${jobs}/changing`, as(ann))).status).toBe(204);
    expect((await test.request('GET', `${jobs}/changing`, as(ann))).status).toBe(404);
  });

  it('checks, runs, follows and shows a run, and nothing anywhere shows the value', async () => {
    const environment = [{ name: 'PGPASSWORD', secret: 'secret://domain/managed/db-password' }];
    await test.call(
      'POST',
      jobs,
      as(ann, { name: 'report', command: ['sh', '-c', 'echo "with $PGPASSWORD"; sleep 0.2; echo done'], environment }),
    );
    expect(await test.call('POST', `${jobs}/report/preflight`, as(ann))).toMatchObject({
      ok: true,
      references: [{ outcome: 'resolved', version: '1.1' }],
    });
    const { id } = await test.call<{ id: string }>('POST', `${jobs}/report/runs`, as(ann));
    const log = await test.request('GET', `/v1/domains/finance/runs/${id}/log?follow=true`, as(ann));
    expect(log.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(log.text).toBe('with [redacted:PGPASSWORD]\ndone\n');
    const run = await test.call('GET', `/v1/domains/finance/runs/${id}`, as(ann));
    expect(run).toMatchObject({
      variables: [{ name: 'PGPASSWORD', outcome: 'resolved', source: 'managed' }],
      startedBy: 'user:ann',
    });
    expect(await test.call('GET', `${jobs}/report/runs`, as(ann))).toMatchObject({ items: [{ id }] });
    const stranger = await test.createUser('eve');
    expect((await test.request('GET', `/v1/domains/finance/runs/${id}/log`, as(stranger))).status).toBe(404);
    await test.assertNoLeak();
  });
});
