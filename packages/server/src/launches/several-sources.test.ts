import { createHash, generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Answer, codeOf, startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { Conformance } from '../../testing/conformance.ts';
import { type LoopbackVault, openLoopbackVault, type Trouble } from '../../testing/loopback-vault.ts';
import { freshName } from '../../testing/samples.ts';
import { Flights } from './flights.ts';

const canaries = new Canaries();
const conformance = new Conformance();
const base = '/v1/domains/finance';
const values = {
  own: canaries.text('the domain’s secret'),
  shared: canaries.text('the Global secret'),
  db: canaries.text('the first Vault’s secret'),
  user: canaries.text('a field'),
  mail: canaries.text('the second Vault’s secret'),
};
let test: TestServer;
let first: LoopbackVault;
let second: LoopbackVault;
let member: TestUser;

beforeAll(async () => {
  [first, second] = await Promise.all([
    openLoopbackVault({
      token: canaries.plain('a token'),
      secrets: {
        'app/db': { value: values.db },
        'app/login': { user: values.user, port: '5432' },
        ...Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`app/storm-${index}`, { value: `v${index}` }])),
      },
    }),
    openLoopbackVault({ token: canaries.plain('another token'), secrets: { 'app/mail': { value: values.mail } } }),
  ]);
  test = await startTestServer({}, { canaries, onAnswer: conformance.see });
  await test.createDomain('finance');
  member = await test.createUser('member', { domains: { finance: 'MEMBER' } });
  await test.call('POST', `${base}/secrets`, { body: { key: 'own', value: values.own } });
  await test.call('POST', '/v1/global/secrets', { body: { key: 'shared', value: values.shared } });
  await connect('first', first);
  await connect('second', second);
});
afterAll(async () => {
  await test.close();
  await Promise.all([first.close(), second.close()]);
});
afterEach(() => {
  for (const vault of [first, second]) Object.assign(vault, { trouble: 'none' });
});

async function connect(name: string, { url, token }: LoopbackVault, more: object = {}): Promise<void> {
  await test.call('POST', `${base}/integrations`, {
    body: {
      name,
      type: 'VAULT',
      settings: { address: url, path: '/v1/secret/data/app', authentication: { method: 'token' } },
      credentials: { token },
      ...more,
    },
  });
}

const everywhere = {
  OWN: 'secret://domain/managed/own',
  SHARED: 'secret://global/managed/shared',
  DB: 'secret://domain/first/db',
  LOGIN: 'secret://domain/first/login#user',
  MAIL: 'secret://domain/second/mail',
};

interface Saved {
  readonly warnings: readonly { readonly pointer: string; readonly code: string; readonly message: string }[];
}
interface Reference {
  readonly name: string;
  readonly outcome: string;
  readonly source: string;
  readonly version?: string;
  readonly cause?: string;
  readonly fixableBy?: readonly string[];
}

function save(
  name: string,
  references: Readonly<Record<string, string>>,
  command: readonly string[] = ['true'],
  who: TestUser = member,
): Promise<Answer> {
  const environment = Object.entries(references).map(([variable, secret]) => ({ name: variable, secret }));
  return test.request('POST', `${base}/spark-jobs`, { token: who.token, body: { name, command, environment } });
}

async function saved(references: Readonly<Record<string, string>>, command?: readonly string[]): Promise<string> {
  const name = freshName();
  const answer = await save(name, references, command);
  expect(answer).toMatchObject({ status: 201 });
  return name;
}

async function run(job: string, token = member.token) {
  const { id } = await test.call<{ id: string }>('POST', `${base}/spark-jobs/${job}/runs`, { token });
  for (;;) {
    const shown = await test.call<{
      state: string;
      variables: readonly (Reference & { reference: string })[];
      failure?: { code: string; detail: string };
    }>('GET', `${base}/runs/${id}`, { token: member.token });
    if (shown.state !== 'queued' && shown.state !== 'running') return { id, ...shown };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function outcomeOf(reference: string): Promise<Reference> {
  const job = await saved({ V: reference });
  const { references } = await test.call<{ references: readonly Reference[] }>(
    'POST',
    `${base}/spark-jobs/${job}/preflight`,
    { token: member.token },
  );
  const [only] = references;
  if (only === undefined) throw new Error('Nothing was preflighted');
  return only;
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('a launch over several sources', () => {
  it('injects what the database, Global and two integrations have', async () => {
    const script =
      'for (const n of ["OWN","SHARED","DB","LOGIN","MAIL"]) console.log(require("crypto").createHash("sha256").update(process.env[n]).digest("hex"))';
    const job = await saved(everywhere, [process.execPath, '-e', script]);
    const done = await run(job);
    expect(done).toMatchObject({ state: 'succeeded' });
    const { text } = await test.request('GET', `${base}/runs/${done.id}/log`, { token: member.token });
    expect(text.trim().split('\n')).toEqual(
      [values.own, values.shared, values.db, values.user, values.mail].map(digest),
    );
    expect(done.variables.map(({ name, source, version, outcome }) => [name, source, version, outcome])).toEqual([
      ['OWN', 'managed', '1.1', 'resolved'],
      ['SHARED', 'managed', '1.1', 'resolved'],
      ['DB', 'first', '1', 'resolved'],
      ['LOGIN', 'first', '1', 'resolved'],
      ['MAIL', 'second', '1', 'resolved'],
    ]);
  });

  it('fails whole while one source is down, says who can fix it, and starts nothing', async () => {
    const mark = join(test.temporaryDirectory, freshName());
    const job = await saved(everywhere, ['touch', mark]);
    second.trouble = 'sealed';
    const done = await run(job);
    expect(done).toMatchObject({ state: 'failed', failure: { code: 'launch_refused' } });
    expect(done.failure?.detail).toBe('MAIL (secret://domain/second/mail): source-sealed');
    expect(done.variables.map(({ name, outcome }) => `${name} ${outcome}`)).toEqual([
      'OWN withheld',
      'SHARED withheld',
      'DB withheld',
      'LOGIN withheld',
      'MAIL source-sealed',
    ]);
    expect(done.variables.at(-1)).toMatchObject({
      source: 'second',
      cause: 'The backend is sealed, on standby or not initialised.',
      fixableBy: ['whoever runs the backend of second'],
    });
    expect(existsSync(mark)).toBe(false);
  });

  it.each<[Trouble, string, string]>([
    ['sealed', 'source-sealed', 'whoever runs the backend of first'],
    ['forbidden', 'source-denied', 'UPDATE on the integration first in finance'],
    ['broken', 'source-malformed', 'UPDATE on the integration first in finance'],
  ])('tells a backend that is %s from an absent key', async (trouble, outcome, fixer) => {
    first.trouble = trouble;
    expect(await outcomeOf(everywhere.DB)).toMatchObject({ outcome, fixableBy: expect.arrayContaining([fixer]) });
    first.trouble = 'none';
    expect(await outcomeOf('secret://domain/first/nothing')).toMatchObject({
      outcome: 'missing',
      fixableBy: ['whoever writes to the backend of first'],
    });
  });

  it('takes a key that the backend can not hold for a missing one, not for an outage', async () => {
    // A zero-width space, which Vault's paths have not.
    expect((await outcomeOf('secret://domain/first/d%E2%80%8Bb')).outcome).toBe('missing');
  });

  it('names a field that has to be chosen, or is not there', async () => {
    expect(await outcomeOf('secret://domain/first/login')).toMatchObject({
      outcome: 'field-missing',
      cause: expect.stringContaining('name one of them'),
    });
    expect((await outcomeOf('secret://domain/first/login#nobody')).outcome).toBe('field-missing');
    expect((await outcomeOf('secret://domain/first/db#value')).outcome).toBe('resolved');
  });

  it('asks once for each distinct secret while a storm of launches wants it', async () => {
    const keys = Array.from({ length: 20 }, (_, index) => `storm-${index}`);
    const worker = await test.createServiceAccount('finance', freshName(), { preset: 'MEMBER', grants: ['RESOLVE'] });
    const references = keys.map((key) => ({ name: key, reference: `secret://domain/first/${key}` }));
    const launches = await Promise.all(
      Array.from({ length: 10 }, () =>
        test.call<{ id: string }>('POST', `${base}/launches`, { token: worker.token, body: { references } }),
      ),
    );
    const { publicKey } = generateKeyPairSync('x25519');
    const { kty, crv, x } = publicKey.export({ format: 'jwk' });
    const { promise, resolve: answer } = Promise.withResolvers<void>();
    first.gate = promise;
    using joined = vi.spyOn(Flights.prototype, 'join');
    const before = first.requests.length;
    const resolving = Promise.all(
      launches.map(({ id }) =>
        test.request('POST', `/v1/launches/${id}/resolve`, {
          token: worker.token,
          body: { publicKey: { kty, crv, x } },
        }),
      ),
    );
    await expect.poll(() => joined.mock.calls.length).toBe(launches.length * keys.length);
    answer();
    expect((await resolving).map(({ status }) => status)).toEqual(launches.map(() => 200));
    const reads = first.requests.slice(before).filter((request) => request.includes('/data/'));
    expect(reads.toSorted()).toEqual(keys.map((key) => `GET secret/data/app/${key}`).toSorted());
  });

  it('counts requests by type and outcome, and names nothing else', async () => {
    const { text } = await test.request('GET', '/metrics');
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith('strongroom_source_request_duration_seconds_count'));
    expect(lines).toContainEqual(expect.stringMatching(/\{type="vault",outcome="ok"\} \d+$/));
    expect(lines).toContainEqual(expect.stringMatching(/\{type="vault",outcome="backend_sealed"\} \d+$/));
    expect(text).not.toMatch(/storm-|app\/db/);
  });
});

describe('a reference to an integration', () => {
  it('is to nobody who may do nothing with it as one that is not there', async () => {
    await test.call('POST', `${base}/bundles`, { body: { name: 'closed', owner: 'user:member' } });
    await connect('hidden', first, { bundle: 'closed' });
    const creator = await test.createUser(freshName(), {
      grants: { finance: ['LIST_SECRETS', 'CREATE_SPARK_JOB'] as never },
    });
    const refusals = await Promise.all(
      ['hidden', 'absent'].map((source) => save(freshName(), { V: `secret://domain/${source}/db` }, ['true'], creator)),
    );
    const [hidden, absent] = refusals.map(({ status, text }) => [
      status,
      text.replaceAll(/"requestId":"[^"]*"/g, '').replaceAll('hidden', 'absent'),
    ]);
    expect(hidden).toEqual(absent);
    expect(codeOf(refusals[0] as Answer)).toBe('reference_unresolved');
  });

  it('does not outlive the USE of who put it there', async () => {
    const user = await test.createUser(freshName(), { domains: { finance: 'MEMBER' } });
    const name = freshName();
    expect((await save(name, { V: everywhere.DB }, ['true'], user)).status).toBe(201);
    await test.call('DELETE', `${base}/members/${encodeURIComponent(user.name)}`);
    const done = await run(name);
    const fixableBy = [expect.stringContaining('UPDATE on the configuration')];
    expect(done).toMatchObject({ state: 'failed', variables: [{ outcome: 'authoriser-gone', fixableBy }] });
  });

  it('in a storage configuration ends with CONSUME, of who starts it and of who saved it', async () => {
    const [lake, bundle, name] = [freshName(), freshName(), freshName()];
    await test.call('POST', `${base}/bundles`, { body: { name: bundle } });
    const place = { provider: 's3-compatible', endpoint: 'http://127.0.0.1:9', bucket: lake };
    await test.call('POST', `${base}/storage-configs`, {
      body: { name: lake, bundle, ...place, accessKey: { secret: everywhere.DB } },
    });
    const body = { name, command: ['true'], storageConfigs: [lake] };
    const save = () => test.request('POST', `${base}/spark-jobs`, { token: member.token, body });
    expect(codeOf(await save())).toBe('reference_unresolved');
    const granted = { principal: member.name, assetType: 'storage-config', permissions: ['CONSUME'] };
    const grants = `${base}/bundles/${bundle}/grants`;
    const { id } = await test.call<{ id: string }>('POST', grants, { body: granted });
    expect((await save()).status).toBe(201);
    expect(await run(name)).toMatchObject({ state: 'succeeded' });
    await test.call('DELETE', `${grants}/${id}`);
    const denied = {
      code: 'permission_missing',
      detail: expect.stringContaining(`no CONSUME on storage-config ${lake}`),
    };
    expect(await run(name)).toMatchObject({ state: 'failed', failure: denied });
    expect(await run(name, test.adminToken)).toMatchObject({ state: 'failed', failure: denied });
  });

  it('is not inherited by an integration made anew, and fails while there is none', async () => {
    await connect('passing', first);
    const job = await saved({ V: 'secret://domain/passing/db' });
    const refused = await test.request('DELETE', `${base}/integrations/passing`);
    expect(codeOf(refused)).toBe('in_use');
    await test.call('DELETE', `${base}/integrations/passing?force=true`);
    expect((await run(job)).variables).toMatchObject([{ outcome: 'source-unknown' }]);
    await connect('passing', first);
    expect((await run(job)).variables).toMatchObject([
      { outcome: 'source-changed', fixableBy: [expect.stringContaining('USE on the integration')] },
    ]);
    const shown = await test.call<{ revision: number; environment: object[] }>('GET', `${base}/spark-jobs/${job}`);
    await test.call('PUT', `${base}/spark-jobs/${job}`, {
      token: member.token,
      body: { name: job, command: ['true'], environment: shown.environment },
      headers: { 'if-match': `"${shown.revision}"` },
    });
    expect(await run(job)).toMatchObject({ state: 'succeeded' });
  });

  it('is saved with a warning where its key is doubtful, and says where it is used', async () => {
    await test.call('POST', `${base}/integrations/first/refresh`);
    const name = freshName();
    const unknown = await save(name, { V: 'secret://domain/first/gone' });
    expect(unknown.status).toBe(201);
    expect((unknown.body as Saved).warnings).toMatchObject([{ pointer: '/environment/0/secret', code: 'unknown-key' }]);
    expect((await save(freshName(), { V: everywhere.DB })).body).toMatchObject({ warnings: [] });
    second.trouble = 'sealed';
    await test.call('POST', `${base}/integrations/second/test`);
    const down = await save(freshName(), { V: everywhere.MAIL });
    expect((down.body as Saved).warnings).toMatchObject([{ code: 'source-unavailable' }]);
    const { items } = await test.call<{ items: readonly { configuration: string; name: string }[] }>(
      'GET',
      `${base}/used-by?reference=${encodeURIComponent('secret://domain/first/gone')}`,
    );
    expect(items).toMatchObject([{ configuration: name, name: 'V' }]);
  });
});

describe('in the end', () => {
  it('no value is anywhere, and every answer was inside its declaration', async () => {
    await expect(test.assertNoLeak()).resolves.toBeUndefined();
    expect(conformance.problems).toEqual([]);
    expect(test.logged.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
  });
});
