// @needs moto
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type AwsKeys, createUsers, query } from '../../../../backends/testing/live-aws.ts';
import { httpRequest } from '../../../../../servers/http-request.ts';
import { type Moto, startMoto } from '../../../../../servers/moto.ts';
import { startTestServer, type TestServer } from '../../../testing/app.ts';
import { Canaries } from '../../../testing/canaries.ts';

const canaries = new Canaries();
const base = '/v1/domains/finance';
const all = `${base}/storage-configs`;
let moto: Moto;
let test: TestServer;
let form: Record<string, unknown>;
let admin: AwsKeys;
let limited: AwsKeys;

/** May list and read, and nothing else. */
const listAndRead = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['s3:ListBucket', 's3:GetObject'], Resource: '*' }],
};

beforeAll(async () => {
  moto = await startMoto();
  for (const bucket of ['raw-data', 'versioned']) await httpRequest(`${moto.url}/${bucket}`, { method: 'PUT' });
  await httpRequest(`${moto.url}/versioned?versioning`, {
    method: 'PUT',
    body: '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>',
  });
  ({ admin } = await createUsers(moto));
  await query(moto, 'iam', 'CreateUser', { UserName: 'limited' }, admin);
  const answer = await query(moto, 'iam', 'CreateAccessKey', { UserName: 'limited' }, admin);
  const part = (tag: string): string => new RegExp(`<${tag}>([^<]+)</${tag}>`).exec(answer)?.[1] ?? '';
  limited = { accessKeyId: part('AccessKeyId'), secretAccessKey: part('SecretAccessKey') };
  const policy = { UserName: 'limited', PolicyName: 'own', PolicyDocument: JSON.stringify(listAndRead) };
  await query(moto, 'iam', 'PutUserPolicy', policy, admin);
  canaries.add('secret key', admin.secretAccessKey);
  canaries.add('limited secret key', limited.secretAccessKey);
  form = { provider: 's3-compatible', endpoint: moto.url, region: 'us-east-1', bucket: 'raw-data' };
  test = await startTestServer({}, { canaries });
  await test.createDomain('finance');
  await test.call('POST', `${base}/secrets`, { body: { key: 'raw-secret-key', value: admin.secretAccessKey } });
});
afterAll(async () => {
  await test.close();
  await moto.stop();
});

interface Result {
  readonly ok: boolean;
  readonly steps: { readonly name: string; readonly outcome: string; readonly cause?: string }[];
}

async function tried(path: string, body: unknown) {
  const { ok, steps } = await test.call<Result>('POST', path, { body });
  return { ok, ...Object.fromEntries(steps.map(({ name, outcome, cause }) => [name, cause ?? outcome])) };
}

const typed = ({ accessKeyId, secretAccessKey }: AwsKeys) => ({
  accessKey: { set: accessKeyId },
  secretKey: { set: secretAccessKey },
});
const fine = { ok: true, list: 'ok', write: 'ok', read: 'ok', delete: 'ok' };

/** Keys in the bucket, versions and markers too; without policies, which know no look from outside. */
async function left(bucket: string): Promise<string[]> {
  await httpRequest(`${moto.url}/moto-api/reset-auth`, { method: 'POST', body: '1000' });
  const { body } = await httpRequest<string>(`${moto.url}/${bucket}?versions`, { method: 'GET' });
  const text = body;
  if (!text.includes('ListVersionsResult')) throw new Error(`moto does not list ${bucket}: ${text}`);
  return [...text.matchAll(/<Key>([^<]+)</g)].map(([, key = '']) => key);
}

it('tries a form with typed keys, with a reference, below a base path and in a bucket that keeps versions', async () => {
  expect(await tried(`${all}/test`, { ...form, ...typed(admin) })).toEqual(fine);
  const referred = {
    accessKey: { set: admin.accessKeyId },
    secretKey: { secret: 'secret://domain/managed/raw-secret-key' },
  };
  expect(await tried(`${all}/test`, { ...form, basePath: 'in/ü 2026', ...referred })).toEqual(fine);
  expect(await tried(`${all}/test`, { ...form, bucket: 'versioned', ...typed(admin) })).toEqual(fine);
  const { items } = await test.call<{ items: unknown[] }>('GET', all);
  expect(items).toEqual([]);
  await test.assertNoLeak();
});

it('tries a saved one with the keys that it keeps, also for another path', async () => {
  await test.call('POST', all, { body: { name: 'raw', ...form, ...typed(admin) } });
  expect(await tried(`${all}/raw/test`, form)).toEqual(fine);
  expect(await tried(`${all}/raw/test`, { ...form, basePath: 'elsewhere' })).toEqual(fine);
  const moved = await test.request('POST', `${all}/raw/test`, {
    body: { ...form, endpoint: 'https://storage.example.org' },
  });
  expect(moved.status).toBe(422);
  const again = await test.request('POST', all, { body: { name: 'second', ...form } });
  expect(again.status).toBe(409);
});

it('says what each probe may not do, and what is wrong', async () => {
  expect(await tried(`${all}/test`, { ...form, ...typed(limited) })).toEqual({
    ...fine,
    ok: false,
    write: 'permission-refused',
    delete: 'permission-refused',
  });
  const skipped = { ok: false, write: 'skipped', read: 'skipped', delete: 'skipped' };
  const wrong = { accessKeyId: admin.accessKeyId, secretAccessKey: canaries.plain('wrong key') };
  expect(await tried(`${all}/test`, { ...form, ...typed(wrong) })).toEqual({
    ...skipped,
    list: 'authentication-refused',
  });
  expect(await tried(`${all}/test`, { ...form, ...typed(admin), bucket: 'nowhere' })).toEqual({
    ...skipped,
    list: 'target-missing',
  });
  expect(await tried(`${all}/test`, form)).toEqual({ ...skipped, list: 'authentication-refused' });
});

it('needs USE of what the form refers to, and the right to save it', async () => {
  const viewer = await test.createUser('viewer', { domains: { finance: 'VIEWER' } });
  for (const path of [`${all}/test`, `${all}/raw/test`]) {
    const answer = await test.request('POST', path, { token: viewer.token, body: form });
    expect(answer.status).toBe(403);
  }
  const absent = { ...form, secretKey: { secret: 'secret://domain/managed/nowhere' } };
  const result = await test.call<Result>('POST', `${all}/test`, { body: absent });
  expect(result).toMatchObject({ ok: false, steps: [{ outcome: 'failed', cause: 'unresolved' }] });
});

it('is on record, and leaves nothing', async () => {
  const { items } = await test.call<{ items: { action: string }[] }>('GET', '/v1/audit?action=surface.test&limit=200');
  expect(items.length).toBeGreaterThan(10);
  for (const bucket of ['raw-data', 'versioned']) expect(await left(bucket)).toEqual([]);
  await test.assertNoLeak();
});
