import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { type LoopbackVault, openLoopbackVault } from '../../testing/loopback-vault.ts';

const canaries = new Canaries();
const path = '/v1/domains/finance/integrations/vault/conformance';
let test: TestServer;
let vault: LoopbackVault;

interface Report {
  readonly ok: boolean;
  readonly isComplete: boolean;
  readonly keys: number;
  readonly checks: readonly { readonly name: string; readonly outcome: string; readonly reason?: string }[];
}

beforeAll(async () => {
  vault = await openLoopbackVault({
    token: canaries.plain('the token'),
    secrets: Object.fromEntries(
      Array.from({ length: 25 }, (_, index) => [`app/key-${index + 10}`, { value: canaries.text(`value ${index}`) }]),
    ),
  });
  test = await startTestServer({}, { canaries });
  await test.createDomain('finance');
  await test.call('POST', '/v1/domains/finance/integrations', {
    body: {
      name: 'vault',
      type: 'VAULT',
      settings: { address: vault.url, path: '/v1/secret/data/app', authentication: { method: 'token' } },
      credentials: { token: vault.token },
    },
  });
});
afterAll(async () => {
  await test.close();
  await vault.close();
});
afterEach(() => {
  vault.trouble = 'none';
});

it('runs the suite where the credential is, with few keys, each on record before', async () => {
  const before = vault.requests.length;
  const report = await test.call<Report>('POST', path, { body: {} });
  expect(report.checks.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
  expect([report.ok, report.keys, report.isComplete]).toEqual([true, 20, true]);
  const outcomes = Map.groupBy(report.checks, ({ outcome }) => outcome);
  expect(outcomes.get('passed')?.length).toBeGreaterThan(10);
  expect(outcomes.get('not-applicable')?.every(({ reason }) => reason !== undefined)).toBe(true);
  const requests = vault.requests.slice(before);
  expect(requests.filter((request) => !/^(GET|LIST) /.test(request))).toEqual([]);
  const read = requests.filter((request) => request.startsWith('GET secret/data/app/key-'));
  expect(new Set(read).size).toBeLessThanOrEqual(20);
  const { items } = await test.call<{ items: { because: string[]; reference?: string }[] }>(
    'GET',
    '/v1/audit?action=integration.test&limit=100',
  );
  expect(items.filter(({ because }) => because[1] === 'read')).toHaveLength(20);
  expect(items.at(-1)?.because).toEqual(['conformance', 'begin']);
  expect(items[0]?.because.slice(0, 2)).toEqual(['conformance', 'end']);
});

it('names the checks that a backend fails, and tries only one run at a time', async () => {
  const keys = ['key-10', 'key-11', 'nothing-of-this-name'];
  const [first, second] = await Promise.all([
    test.request('POST', path, { body: { keys } }),
    test.request('POST', path, { body: { keys } }),
  ]);
  expect([first.status, second.status].toSorted()).toEqual([200, 409]);
  const report = (first.status === 200 ? first : second).body as Report;
  expect([report.ok, report.keys]).toEqual([false, 3]);
  const failed = report.checks.filter(({ outcome }) => outcome === 'failed');
  expect(failed.length).toBeGreaterThan(0);
  expect(failed.every(({ reason }) => (reason ?? '') !== '')).toBe(true);
});

it('says what keeps it from beginning', async () => {
  vault.trouble = 'sealed';
  expect(await test.call<Report>('POST', path, { body: {} })).toMatchObject({
    ok: false,
    isComplete: false,
    keys: 0,
    checks: [{ name: 'keys-to-read', outcome: 'failed', reason: 'listing its keys: backend_sealed' }],
  });
  vault.trouble = 'forbidden';
  const { checks } = await test.call<Report>('POST', path, { body: {} });
  expect(checks[0]?.reason).toBe('listing its keys: backend_denied; name keys that are there');
  const tooMany = { keys: Array.from({ length: 21 }, (_, index) => `key-${index}`) };
  expect((await test.request('POST', path, { body: tooMany })).status).toBe(422);
});

it('is for who may change the integration', async () => {
  const member = await test.createUser('member', { domains: { finance: 'MEMBER' } });
  expect((await test.request('POST', path, { body: {}, token: member.token })).status).toBe(403);
  await expect(test.assertNoLeak()).resolves.toBeUndefined();
});
