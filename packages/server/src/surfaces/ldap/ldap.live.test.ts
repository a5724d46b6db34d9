// @needs ldap
import { Client } from 'ldapts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Ldap, startLdap } from '../../../../../servers/ldap.ts';
import { startTestServer, type TestServer } from '../../../testing/app.ts';
import { Canaries } from '../../../testing/canaries.ts';
import { loopbackCertificate } from '../../../testing/certificate.ts';

const path = '/v1/platform/ldap';
const canaries = new Canaries();
const passwords = { ann: canaries.plain('password of ann'), bob: canaries.plain('password of bob') };
const certificate = loopbackCertificate();
let test: TestServer;
let directory: Ldap;
let bindPassword: string;

const person = (uid: string, more = '', password = 'unused') =>
  `dn: uid=${uid},dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: ${uid}\ncn: ${uid} of Example\nsn: ${uid}\nmail: ${uid}@example.org\nuserPassword: ${password}\n${more}\n`;
const people = Array.from({ length: 1200 }, (_, index) => person(`many-${index}`)).join('');
const entries = [
  person('ann', '', passwords.ann),
  person('bob', '', passwords.bob),
  person('local'),
  person('no name'),
  people,
  'dn: cn=analysts,dc=example,dc=org\nobjectClass: groupOfNames\ncn: analysts\nmember: uid=ann,dc=example,dc=org\nmember: UID=bob, dc=example,dc=org\n\n',
  'dn: cn=Data Team,dc=example,dc=org\nobjectClass: groupOfNames\ncn: Data Team\nmember: uid=ann,dc=example,dc=org\n\n',
].join('');

beforeAll(async () => {
  test = await startTestServer({}, { canaries });
  test.server.services.ldapSync.start();
  await test.createUser('local');
  directory = await startLdap({ entries, tls: certificate });
  bindPassword = directory.adminPassword;
}, 120_000);
afterAll(async () => {
  await directory.stop();
  await test.assertNoLeak();
  await test.close();
});

const form = (more: object = {}) => ({
  url: directory.secureUrl,
  caCertificate: certificate.certificate,
  bindDn: directory.adminDn,
  bindCredential: { set: bindPassword },
  baseDn: 'dc=example,dc=org',
  syncPeriodSeconds: 3600,
  ...more,
});
interface Synced {
  readonly outcome: string;
  readonly cause?: string;
  readonly users: number;
  readonly groups: number;
  readonly changed: number;
  readonly conflicts: readonly { kind: string; name: string; reason: string }[];
}
/** Also while the first one that comes by itself is under way. */
async function sync(): Promise<Synced> {
  let answer = await test.request('POST', `${path}/sync`);
  for (; answer.status === 409; answer = await test.request('POST', `${path}/sync`))
    await new Promise((resolve) => setTimeout(resolve, 100));
  expect(answer.status).toBe(200);
  return answer.body as Synced;
}
const signIn = (name: string, password: string) =>
  test.request('POST', '/v1/auth/login', { token: null, body: { name, password } });
const userNamed = async (name: string) => {
  const { items } = await test.call<{ items: { id: string; isDisabled: boolean; email?: string }[] }>(
    'GET',
    `/v1/users?name=${name}`,
  );
  return items[0];
};
const failureOf = async (body: object): Promise<string> => {
  const { steps } = await test.call<{ steps: { name: string; outcome: string; cause?: string }[] }>(
    'POST',
    `${path}/test`,
    { body },
  );
  return steps.flatMap(({ name, outcome, cause }) => (outcome === 'failed' ? [`${name} ${cause}`] : [])).join();
};
/** Changes the directory as its administrator. */
async function change(work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ url: directory.url });
  await client.bind(directory.adminDn, directory.adminPassword);
  await work(client);
  await client.unbind();
}

it('is tried by its connection and by its bind apart, over ldaps, StartTLS and, here, plain', async () => {
  const plain = { url: directory.url, caCertificate: undefined };
  const startTls = { url: directory.url, startTls: true };
  for (const more of [{}, startTls, plain])
    for (const what of ['connection', 'authentication']) expect(await failureOf({ ...form(more), what })).toBe('');
  const other = loopbackCertificate('ldap.example.org').certificate;
  for (const more of [{}, startTls])
    expect(await failureOf({ ...form({ ...more, caCertificate: other }), what: 'connection' })).toBe(
      'tls certificate-untrusted',
    );
  const wrong = { bindCredential: { set: canaries.plain('a wrong credential') } };
  expect(await failureOf({ ...form(wrong), what: 'connection' })).toBe('');
  expect(await failureOf({ ...form(wrong), what: 'authentication' })).toBe('bind authentication-refused');
  const { bindCredential: _none, ...without } = form();
  expect(await failureOf({ ...without, what: 'authentication' })).toBe('bind authentication-refused');
  const elsewhere = form({ baseDn: 'dc=example,dc=com' });
  expect(await failureOf({ ...elsewhere, what: 'authentication' })).toBe('search users target-missing');
  const refused = await test.request('POST', `${path}/test`, {
    body: { ...form({ filter: '(uid=' }), what: 'connection' },
  });
  expect([refused.status, refused.body]).toMatchObject([422, { errors: [{ pointer: '/filter' }] }]);
});

it('syncs users and groups page by page, reports clashes, and changes nothing the second time', async () => {
  await test.call('PUT', path, { body: form() });
  const first = await sync();
  expect(first).toMatchObject({ outcome: 'ok', users: 1203, groups: 1 });
  expect(first.conflicts).toEqual(
    expect.arrayContaining([
      { kind: 'user', name: 'local', reason: 'name-taken' },
      { kind: 'user', name: 'no?name', reason: 'name-invalid' },
      { kind: 'group', name: 'Data?Team', reason: 'name-invalid' },
    ]),
  );
  expect(await userNamed('ann')).toMatchObject({ email: 'ann@example.org', isDisabled: false });
  expect(await sync()).toMatchObject({ outcome: 'ok', changed: 0 });
});

it('lets its users sign in by bind alone, with what their groups may do', async () => {
  await test.createDomain('finance');
  await test.call('POST', '/v1/domains/finance/members', { body: { principal: 'group:analysts', preset: 'VIEWER' } });
  const { status, body } = await signIn('ann', passwords.ann);
  expect(status).toBe(200);
  const { token } = body as { token: string };
  expect((await test.request('GET', '/v1/domains/finance', { token })).status).toBe(200);
  const own = await test.request('PUT', '/v1/auth/password', {
    token,
    body: { newPassword: 'a long enough password' },
  });
  expect([404, 405, 409]).toContain(own.status);
  for (const wrong of [canaries.plain('not the password'), ' '])
    expect([(await signIn('ann', wrong)).status]).toEqual([401]);
  expect([401, 422]).toContain((await signIn('ann', '')).status);
  expect((await signIn('*', passwords.ann)).status).toBe(401);
  expect((await signIn('local', 'unused')).status).toBe(401);
});

it('syncs by itself at its period, and when that has changed', async () => {
  const at = async () =>
    (await test.call<{ sync?: { startedAt: string; outcome: string; changed: number } }>('GET', path)).sync;
  const before = await at();
  await change((client) =>
    client.add('uid=carl,dc=example,dc=org', { objectClass: 'inetOrgPerson', uid: 'carl', cn: 'Carl', sn: 'Carl' }),
  );
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  // Of an hour; it is looked at every two seconds.
  expect(await at()).toEqual(before);
  await test.call('PUT', path, { body: form({ syncPeriodSeconds: 5 }) });
  await expect.poll(() => userNamed('carl'), { timeout: 20_000 }).toMatchObject({ isDisabled: false });
  await change((client) => client.del('uid=carl,dc=example,dc=org'));
  await expect.poll(() => userNamed('carl'), { timeout: 20_000 }).toMatchObject({ isDisabled: true });
  const [first, second] = [await at(), await test.call('PUT', path, { body: form() })];
  expect([first, second]).toMatchObject([{ outcome: 'ok' }, { syncPeriodSeconds: 3600 }]);
  const tooOften = await test.request('PUT', path, { body: form({ syncPeriodSeconds: 4 }) });
  expect(tooOften.status).toBe(422);
});

it('disables who is gone, enables who is back, and deletes nobody; an outage is no absence', async () => {
  const token = ((await signIn('bob', passwords.bob)).body as { token: string }).token;
  await change((client) => client.del('uid=bob,dc=example,dc=org'));
  expect(await sync()).toMatchObject({ outcome: 'ok' });
  expect(await userNamed('bob')).toMatchObject({ isDisabled: true });
  expect((await test.request('GET', '/v1/auth/me', { token })).status).toBe(401);
  expect((await signIn('bob', passwords.bob)).status).toBe(401);
  // Somebody else of that name gets nothing of the first one's.
  await change((client) =>
    client.add('uid=bob,dc=example,dc=org', {
      objectClass: 'inetOrgPerson',
      uid: 'bob',
      cn: 'another bob',
      sn: 'bob',
      userPassword: passwords.bob,
    }),
  );
  const again = await sync();
  expect(again.conflicts).toContainEqual({ kind: 'user', name: 'bob', reason: 'name-taken' });
  expect((await signIn('bob', passwords.bob)).status).toBe(401);
  await test.call('PUT', path, { body: form({ filter: '(uid=nobody)', bindCredential: undefined }) });
  expect(await sync()).toMatchObject({ outcome: 'ok', cause: 'truncated' });
  expect(await userNamed('ann')).toMatchObject({ isDisabled: false });
  await directory.stop();
  expect(await sync()).toMatchObject({ outcome: 'failed', cause: 'unreachable' });
  expect(await userNamed('ann')).toMatchObject({ isDisabled: false });
  expect((await signIn('ann', passwords.ann)).status).toBe(503);
});
