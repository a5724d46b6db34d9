import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';

interface Finding {
  readonly pointer: string;
  readonly name: string;
  readonly line: number;
  readonly kind: string;
  readonly names?: string;
  readonly becomes?: string;
  readonly createsSecret?: boolean;
  readonly stays?: string;
}
interface Scan {
  readonly items: readonly {
    readonly surface: string;
    readonly configuration: string;
    readonly revision: number;
    readonly findings: readonly Finding[];
  }[];
  readonly configurations: number;
  readonly nextCursor?: string;
}

const inFinance = '/v1/domains/finance';
const canaries = new Canaries();
const typed = canaries.plain('a password typed into a variable');
let test: TestServer;
let ann: TestUser;
let vic: TestUser;

const scan = (body: object = {}, query = '', token = ann.token) =>
  test.call<Scan>('POST', `${inFinance}/placeholders/scan${query}`, { token, body });
const saveJob = (name: string, parts: object) =>
  test.call('POST', `${inFinance}/spark-jobs`, { token: ann.token, body: { name, command: ['true'], ...parts } });

beforeAll(async () => {
  test = await startTestServer();
  for (const name of ['finance', 'sales']) await test.createDomain(name);
  ann = await test.createUser('ann', { domains: { finance: 'OWNER' } });
  vic = await test.createUser('vic', { domains: { finance: 'VIEWER' } });
  for (const key of ['db-password', 'smtp'])
    await test.call('POST', '/v1/global/secrets', { body: { key, value: `value of ${key}` } });
  await test.call('POST', `${inFinance}/secrets`, { body: { key: 'jobs-db', value: 'of Databricks' } });
  await saveJob('mixed', {
    description: 'uses ${secrets.db-password}',
    environment: [
      { name: 'PGPASSWORD', value: '${secrets.db-password}' },
      { name: 'URL', value: 'smtp://u:${secrets.smtp}@host/${secrets.none}' },
      { name: 'GONE', value: '${secrets.none}' },
      { name: 'API_TOKEN', value: typed },
      { name: 'PGHOST', value: '127.0.0.1' },
      { name: 'ESCAPED', value: '$${secrets.db-password}' },
    ],
    sparkConfig: [
      { name: 'spark.hadoop.a', value: '{{secrets/jobs/db}}' },
      { name: 'spark.hadoop.b', value: '{{secrets/other/db}}' },
    ],
    files: [
      { name: 'all', content: '${secrets.smtp}' },
      { name: 'app.properties', content: '${secrets.smtp}' },
      { name: 'job.py', content: 'import os\nx = dbutils.secrets.get("jobs", "db")\n' },
    ],
  });
  await saveJob('plain', { environment: [{ name: 'PGHOST', value: 'db' }] });
  const storage = { provider: 's3-compatible', endpoint: 'http://127.0.0.1:9', bucket: 'bucket', basePath: 'x' };
  await test.call('POST', `${inFinance}/storage-configs`, { body: { name: 'store', ...storage } });
});
afterAll(() => test.close());

describe('scan', () => {
  it('finds all forms in every field, says what each would become, and why not', async () => {
    const { items, configurations } = await scan({
      databricksScopes: [{ name: 'jobs', target: 'secret://domain/managed/jobs-' }],
    });
    expect([items.length, configurations]).toEqual([1, 3]);
    expect(items[0]).toMatchObject({ surface: 'spark-job', configuration: 'mixed', revision: 1 });
    const told = items[0]?.findings.map(({ pointer, kind, line, names, becomes, stays }) =>
      [pointer, line, kind, names ?? '', becomes ?? stays].join(' '),
    );
    expect(told).toEqual([
      '/environment/0/value 1 placeholder db-password secret://global/managed/db-password',
      '/environment/1/value 1 placeholder smtp inside-text',
      '/environment/1/value 1 placeholder none inside-text',
      '/environment/2/value 1 placeholder none unknown-key',
      '/environment/3/value 1 plain-secret  secret://domain/managed/mixed-api-token',
      '/sparkConfig/0/value 1 databricks-template jobs/db secret://domain/managed/jobs-db',
      '/sparkConfig/1/value 1 databricks-template other/db scope-not-mapped',
      '/files/0/content 1 placeholder smtp secret://global/managed/smtp',
      '/files/1/content 1 placeholder smtp file-format',
      '/files/2/content 2 databricks-call jobs/db in-code',
    ]);
  });

  it('goes by pages, and looks at named configurations and fields alone when it is asked to', async () => {
    const first = await scan({}, '?limit=1');
    expect([first.items.length, first.configurations]).toEqual([1, 1]);
    const second = await scan({}, `?limit=1&cursor=${first.nextCursor}`);
    const third = await scan({}, `?limit=1&cursor=${second.nextCursor}`);
    expect([second.items, third.items, third.nextCursor]).toEqual([[], [], undefined]);
    const refused = await test.request('POST', `${inFinance}/placeholders/scan?cursor=${first.nextCursor}`, {
      body: {},
    });
    expect(refused.body).toMatchObject({ code: 'cursor_invalid' });
    const pointers = ['/environment/2/value'];
    const named = await scan({ configurations: [{ surface: 'spark-job', name: 'mixed', pointers }] });
    expect(named.items[0]?.findings.map(({ pointer }) => pointer)).toEqual(pointers);
  });

  it('ends a page that has found enough for one answer', async () => {
    const inSales = '/v1/domains/sales';
    const content = '{{secrets/a/b}}\n'.repeat(2000);
    for (const name of ['many', 'more'])
      await test.call('POST', `${inSales}/spark-jobs`, {
        body: { name, command: ['true'], files: [{ name: 'a', content }] },
      });
    const first = await test.call<Scan>('POST', `${inSales}/placeholders/scan`, { body: {} });
    expect([first.items.map(({ configuration }) => configuration), first.configurations]).toEqual([['many'], 1]);
    const second = await test.call<Scan>('POST', `${inSales}/placeholders/scan?cursor=${first.nextCursor}`, {
      body: {},
    });
    expect([second.items[0]?.configuration, second.items[0]?.findings.at(-1)?.line]).toEqual(['more', 2000]);
    expect(second.nextCursor).toBeUndefined();
  });

  it.each([
    [{ configurations: [{ surface: 'spark-job', name: 'absent' }] }, '/configurations/0/name'],
    [{ databricksScopes: [{ name: 'jobs', target: 'secret://admin/managed/x-' }] }, '/databricksScopes/0/target'],
    [{ databricksScopes: [{ name: 'jobs', target: 'secret://domain/managed/x#' }] }, '/databricksScopes/0/target'],
    [{ databricksScopes: [{ name: 'jobs', target: 'https://domain/managed/' }] }, '/databricksScopes/0/target'],
  ])('refuses %j', async (body, pointer) => {
    const answer = await test.request('POST', `${inFinance}/placeholders/scan`, { token: ann.token, body });
    expect(answer.status).toBe(422);
    expect(answer.body).toMatchObject({ errors: [{ pointer }] });
  });

  it('tells whoever may look, and says of no secret what they may not use', async () => {
    const { items } = await scan({}, '', vic.token);
    const stays = items[0]?.findings.filter(({ kind }) => kind === 'placeholder').map((found) => found.stays);
    expect(stays).toContain('not-usable');
    expect(stays).not.toContain(undefined);
    const elsewhere = await test.request('POST', '/v1/domains/sales/placeholders/scan', { token: ann.token, body: {} });
    expect(elsewhere.status).toBe(404);
    expect((await test.request('POST', '/v1/platform/placeholders/scan', { token: ann.token, body: {} })).status).toBe(
      404,
    );
    expect(await test.call('POST', '/v1/platform/placeholders/scan', { body: {} })).toEqual({
      items: [],
      configurations: 0,
    });
  });

  it('shows no plain secret', async () => {
    const answer = await test.request('POST', `${inFinance}/placeholders/scan`, { token: ann.token, body: {} });
    canaries.saw('answer', answer.text);
    expect(canaries.leaks()).toEqual([]);
  });
});
