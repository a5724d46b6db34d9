import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { codeOf, startTestServer, type TestServer } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { freshName } from '../../testing/samples.ts';
import { withLease } from '../store/leases.ts';
import { maxAttempts, waitAfter } from './sender.ts';
import type { NoticeSettingsView, NoticeView } from './service.ts';
import { signatureOf, signingKey } from './webhook.ts';

const dayMilliseconds = 86_400_000;
const canaries = new Canaries();
const key = randomBytes(32);
const signingSecret = `whsec_${key.toString('base64')}`;
canaries.add('signing secret', signingSecret);
let test: TestServer;
let hook: Server;
let mail: SMTPServer;
let base: string;

interface Received {
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}
const received: Received[] = [];
const mails: { readonly to: string; readonly text: string }[] = [];
let status = 204;
/** What answers to requests of a path are held back by. */
const heldBack = new Map<string, Promise<void>>();

beforeAll(async () => {
  hook = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8') });
      const answer = () => response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end();
      void (heldBack.get(request.url ?? '') ?? Promise.resolve()).then(answer);
    });
  }).listen(0, '127.0.0.1');
  mail = new SMTPServer({
    logger: false,
    closeTimeout: 100,
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onRcptTo: ({ address }, _session, done) => done(address.startsWith('nobody@') ? new Error('5.1.1 no') : null),
    onData(stream, { envelope }, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const to = envelope.rcptTo.map(({ address }) => address).join();
        mails.push({ to, text: Buffer.concat(chunks).toString('utf8').replaceAll('\r\n', '\n') });
        done();
      });
    },
  });
  const smtp = mail.listen(0, '127.0.0.1');
  await Promise.all([once(hook, 'listening'), once(smtp, 'listening')]);
  test = await startTestServer({}, { canaries });
  await test.call('PUT', '/v1/platform/email', {
    body: {
      host: '127.0.0.1',
      port: (smtp.address() as AddressInfo).port,
      security: 'none',
      senderAddress: 'strongroom@example.org',
    },
  });
});
afterAll(async () => {
  await test.close();
  await new Promise<void>((resolve) => mail.close(resolve));
  hook.closeAllConnections();
  await new Promise((resolve) => hook.close(resolve));
});
beforeEach(async () => {
  status = 204;
  received.length = 0;
  mails.length = 0;
  const domain = freshName();
  await test.createDomain(domain);
  base = `/v1/domains/${domain}`;
  await secret('hook-key', {}, signingSecret);
});

async function secret(
  name: string,
  metadata: object,
  value = canaries.plain(`value of ${base} ${name}`),
): Promise<void> {
  await test.call('POST', `${base}/secrets`, { body: { key: name, value, ...metadata } });
}

const inDays = (days: number): string => new Date(Date.now() + days * dayMilliseconds).toISOString();
const webhook = () => ({
  url: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/hook`,
  signingSecret: 'secret://domain/managed/hook-key',
});
const put = (body: object): Promise<NoticeSettingsView> =>
  test.call<NoticeSettingsView>('PUT', `${base}/notices/settings`, { body });
/** What the webhook of this test's domain got: those of others may be tried again meanwhile. */
const hooks = (): Received[] => received.filter(({ body }) => body.includes(`"${base.split('/')[3] ?? ''}"`));
const told = async (): Promise<NoticeView[]> =>
  (await test.call<{ items: NoticeView[] }>('GET', `${base}/notices`)).items;

/** A round at some time, under the lease of the job, which may have it at the moment. */
async function round(now = Date.now()): Promise<void> {
  const { store, services } = test.server;
  for (let isHeld = false; !isHeld;) {
    const outcome = await withLease(store, 'job.send-notices', `test-${freshName()}`, 30_000, (lease) =>
      services.noticeSender.round(lease, now),
    );
    isHeld = outcome.held;
  }
}

describe('settings', () => {
  it('are put, shown, replaced and deleted', async () => {
    // Who may see that there is nothing is told so, and what to do; nobody else is.
    for (const [method, path] of [
      ['GET', 'settings'],
      ['DELETE', 'settings'],
      ['POST', 'settings/test'],
    ] as const) {
      const answer = await test.request(method, `${base}/notices/${path}`);
      expect(answer.status).toBe(404);
      expect(answer.body).toMatchObject({
        code: 'not_configured',
        detail: expect.stringContaining('Nobody is told of expiries and rotations in domain '),
      });
    }
    const made = await put({ recipients: ['ann@example.org'], webhook: webhook() });
    expect(made).toMatchObject({ scope: 'domain', recipients: ['ann@example.org'], webhook: webhook(), revision: 1 });
    expect(made.expiryLeadDays).toBe(14);
    expect(await put({ recipients: ['bob@example.org'] })).toMatchObject({
      recipients: ['bob@example.org'],
      revision: 2,
    });
    expect(await test.call('GET', `${base}/notices/settings`)).not.toHaveProperty('webhook');
    const stale = { body: { recipients: ['x@example.org'] }, headers: { 'if-match': '"1"' } };
    expect((await test.request('PUT', `${base}/notices/settings`, stale)).status).toBe(412);
    await test.call('DELETE', `${base}/notices/settings`);
    expect((await test.request('DELETE', `${base}/notices/settings`)).status).toBe(404);
  });

  it('take the address from a secret, which is shown nowhere, also when it is not reached', async () => {
    for (const [key, host, outcome] of [
      ['hook-address', new URL(webhook().url).host, 'ok'],
      ['closed-address', 'internal.example.invalid:1', 'failed'],
    ] as const) {
      const value = `http://${host}/${canaries.plain(`path of ${key}`)}`;
      await test.call('POST', `${base}/secrets`, { body: { key, value } });
      const { signingSecret } = webhook();
      const secret = { urlSecret: `secret://domain/managed/${key}`, signingSecret };
      expect((await put({ webhook: secret })).webhook).toEqual(secret);
      const tested = await test.request('POST', `${base}/notices/settings/test`);
      expect(tested.body).toMatchObject({ steps: [{ name: 'webhook', outcome }] });
      expect(tested.text).not.toContain(host);
    }
  });

  it.each([
    ['nobody', {}],
    ['no address', { recipients: ['not an address'] }],
    ['a line break in one', { recipients: ['ann@example.org\nBcc: x@example.org'] }],
    ['the same twice', { recipients: ['ann@example.org', 'ann@example.org'] }],
    ['21 addresses', { recipients: Array.from({ length: 21 }, (_, index) => `a${index}@example.org`) }],
    ['no signing secret', { webhook: { url: 'https://example.org' } }],
    ['an admin secret', { webhook: { url: 'https://example.org', signingSecret: 'secret://admin/managed/x' } }],
    [
      'a key that is not there',
      { webhook: { url: 'https://example.org', signingSecret: 'secret://domain/managed/x' } },
    ],
    [
      'a user in the address',
      { webhook: { url: 'https://ann:pw@example.org', signingSecret: 'secret://domain/managed/hook-key' } },
    ],
    [
      'plain http beyond this machine',
      { webhook: { url: 'http://example.org', signingSecret: 'secret://domain/managed/hook-key' } },
    ],
    [
      'an address within the network',
      { webhook: { url: 'https://169.254.169.254/', signingSecret: 'secret://domain/managed/hook-key' } },
    ],
    ['a lead of no days', { recipients: ['ann@example.org'], expiryLeadDays: 0 }],
  ])('refuse %s', async (_what, body) => {
    const answer = await test.request('PUT', `${base}/notices/settings`, { body });
    expect([answer.status, codeOf(answer)]).toEqual([
      expect.toSatisfy((code: number) => code === 422 || code === 403),
      expect.stringMatching(/validation_failed|reference_unresolved|egress_denied/),
    ]);
    expect((await test.request('GET', `${base}/notices/settings`)).status).toBe(404);
  });

  it('are for who manages secrets, and the signing secret takes USE', async () => {
    const [, , , domain = ''] = base.split('/');
    const member = await test.createUser(freshName(), { domains: { [domain]: 'MEMBER' } });
    const keeper = await test.createUser(freshName(), { grants: { [domain]: ['LIST_SECRETS', 'MANAGE_SECRETS'] } });
    const path = `${base}/notices/settings`;
    for (const [method, options] of [
      ['GET', {}],
      ['PUT', { body: { recipients: ['ann@example.org'] } }],
      ['DELETE', {}],
    ] as const)
      expect((await test.request(method, path, { token: member.token, ...options })).status).toBe(403);
    const body = { webhook: webhook() };
    expect((await test.request('PUT', path, { token: keeper.token, body })).status).toBe(403);
    const mailed = { token: keeper.token, body: { recipients: ['ann@example.org'] } };
    expect((await test.request('PUT', path, mailed)).status).toBe(200);
  });
});

describe('a notice', () => {
  it('goes once to each for each due date, with the key and no value', async () => {
    await put({ recipients: ['ann@example.org', 'bob@example.org'], webhook: webhook() });
    await secret('expiring', { expiresAt: inDays(10) });
    await secret('later', { expiresAt: inDays(20) });
    await secret('rotating', { rotateEveryDays: 30 });
    await round();
    await round();
    const [notice, ...others] = await told();
    expect(others).toEqual([]);
    expect(notice).toMatchObject({
      kind: 'expiry',
      key: 'expiring',
      deliveries: [
        { channel: 'mail', to: 'ann@example.org', state: 'delivered', attempts: 1 },
        { channel: 'mail', to: 'bob@example.org', state: 'delivered', attempts: 1 },
        { channel: 'webhook', state: 'delivered', attempts: 1 },
      ],
    });
    expect(mails.map(({ to }) => to).toSorted()).toEqual(['ann@example.org', 'bob@example.org']);
    expect(mails[0]?.text).toContain('- expiring expires on ');
    expect(hooks()).toHaveLength(1);
    const { headers, body } = hooks()[0] ?? { headers: {}, body: '' };
    const [, , , domain] = base.split('/');
    expect(JSON.parse(body)).toEqual({
      type: 'secret.expiring',
      timestamp: notice?.createdAt,
      data: { scope: 'domain', domain, key: 'expiring', dueAt: notice?.dueAt },
    });
    const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signature } = headers;
    const expected = createHmac('sha256', key)
      .update(`${String(id)}.${String(at)}.${body}`)
      .digest('base64');
    expect([id, signature]).toEqual([notice?.id, `v1,${expected}`]);
    expect(Math.abs(Number(at) - Date.now() / 1000)).toBeLessThan(60);
    // Another due date is another notice; a rotation that is due is one, too.
    await test.call('PATCH', `${base}/secrets/expiring`, { body: { expiresAt: inDays(12) } });
    await round(Date.now() + 31 * dayMilliseconds);
    expect((await told()).map(({ kind, key: name }) => `${kind} ${name}`).toSorted()).toEqual([
      'expiry expiring',
      'expiry expiring',
      'expiry later',
      'rotation rotating',
    ]);
  });

  it('is one mail for many secrets, and one webhook each', async () => {
    await put({ recipients: ['ann@example.org'], webhook: webhook() });
    for (const name of ['one', 'two', 'three']) await secret(name, { expiresAt: inDays(1) });
    await round();
    const pages: string[] = [];
    for (let cursor: string | undefined = ''; cursor !== undefined;) {
      const path: string = `${base}/notices?limit=1${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
      const page: { items: NoticeView[]; nextCursor?: string } = await test.call('GET', path);
      pages.push(...page.items.map(({ key: name }) => name));
      cursor = page.nextCursor;
    }
    expect(pages.toSorted()).toEqual(['one', 'three', 'two']);
    expect(mails).toHaveLength(1);
    for (const name of ['one', 'two', 'three']) expect(mails[0]?.text).toContain(`- ${name} expires on`);
    expect(new Set(hooks().map(({ headers }) => headers['webhook-id'])).size).toBe(3);
  });

  it('is kept waiting by no other scope whose webhook is slow to answer', async () => {
    const slow = base;
    const answer = Promise.withResolvers<void>();
    heldBack.set('/slow', answer.promise);
    await put({ recipients: [], webhook: { ...webhook(), url: webhook().url.replace('/hook', '/slow') } });
    await secret('expiring', { expiresAt: inDays(1) });
    base = `/v1/domains/${freshName()}`;
    await test.createDomain(base.split('/')[3] ?? '');
    await secret('hook-key', {}, signingSecret);
    await put({ recipients: [], webhook: webhook() });
    await secret('expiring', { expiresAt: inDays(2) });
    const done = round();
    while (hooks().length === 0) await Promise.race([done, once(hook, 'request')]);
    answer.resolve();
    await done;
    const [other] = await told();
    expect(other?.deliveries).toMatchObject([{ state: 'delivered', attempts: 1 }]);
    base = slow;
    const [notice] = await told();
    expect(notice?.deliveries).toMatchObject([{ state: 'delivered', attempts: 1 }]);
  });

  it('is tried again within a budget, with the same id; then it is given up', async () => {
    status = 503;
    await put({ recipients: ['nobody@example.org'], webhook: webhook() });
    await secret('expiring', { expiresAt: inDays(1) });
    let now = Date.now();
    for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
      await round(now);
      now += waitAfter(attempt) + 1;
    }
    await round(now);
    const [notice] = await told();
    expect(notice?.deliveries).toMatchObject([
      {
        channel: 'mail',
        state: 'failed',
        attempts: maxAttempts,
        problem: expect.stringContaining('recipient-refused'),
      },
      { channel: 'webhook', state: 'failed', attempts: maxAttempts, problem: 'The webhook answered with status 503.' },
    ]);
    expect(hooks()).toHaveLength(maxAttempts);
    expect(new Set(hooks().map(({ headers }) => headers['webhook-id']))).toEqual(new Set([notice?.id]));
  });

  it('follows no redirect, and takes another answer than 2xx as a failure', async () => {
    status = 302;
    await put({ webhook: webhook() });
    await secret('expiring', { expiresAt: inDays(1) });
    await round();
    expect(hooks()).toHaveLength(1);
    expect((await told())[0]?.deliveries).toMatchObject([{ state: 'pending', attempts: 1 }]);
  });

  it('that does not hold any more is not sent: rotated, changed, deleted, told to others', async () => {
    status = 503;
    await put({ recipients: ['nobody@example.org'], webhook: webhook() });
    for (const name of ['changed', 'deleted']) await secret(name, { expiresAt: inDays(1) });
    await secret('kept', { expiresAt: inDays(1) });
    await round();
    await test.call('PATCH', `${base}/secrets/changed`, { body: { expiresAt: inDays(100) } });
    await test.call('DELETE', `${base}/secrets/deleted`);
    await put({ webhook: webhook() });
    status = 204;
    await round(Date.now() + 2 * waitAfter(1));
    const states = Object.fromEntries(
      (await told()).map(({ key: name, deliveries }) => [name, deliveries.map(({ state }) => state)]),
    );
    expect(states).toEqual({
      changed: ['obsolete', 'obsolete'],
      deleted: ['obsolete', 'obsolete'],
      kept: ['obsolete', 'delivered'],
    });
    await put({ recipients: ['nobody@example.org'] });
    await secret('pending', { expiresAt: inDays(1) });
    await round();
    await test.call('DELETE', `${base}/notices/settings`);
    expect((await told())[0]?.deliveries).toMatchObject([{ state: 'obsolete' }]);
  });

  it('is not sent where the signing secret does not resolve, and says so', async () => {
    await put({ webhook: webhook() });
    await test.call('DELETE', `${base}/secrets/hook-key?force=true`);
    await secret('expiring', { expiresAt: inDays(1) });
    await round();
    expect(hooks()).toEqual([]);
    expect((await told())[0]?.deliveries).toMatchObject([
      { state: 'pending', attempts: 1, problem: expect.stringContaining('The secret is deleted') },
    ]);
  });

  it('of a holder that lost its lease changes nothing', async () => {
    await put({ webhook: webhook() });
    await secret('expiring', { expiresAt: inDays(1) });
    const lost = { name: 'job.send-notices', epoch: 0, signal: new AbortController().signal };
    await expect(test.server.services.noticeSender.round(lost)).rejects.toMatchObject({ code: 'version_conflict' });
    expect(hooks()).toEqual([]);
  });
});

it('a test goes to everybody, each a step, and is no notice', async () => {
  await put({ recipients: ['ann@example.org', 'nobody@example.org'], webhook: webhook() });
  const tested = await test.call('POST', `${base}/notices/settings/test`);
  expect(tested).toEqual({
    ok: false,
    steps: [
      { name: 'mail ann@example.org', outcome: 'ok' },
      { name: 'mail nobody@example.org', outcome: 'failed', message: expect.stringContaining('recipient-refused') },
      { name: 'webhook', outcome: 'ok' },
    ],
  });
  expect(JSON.parse(hooks()[0]?.body ?? '')).toMatchObject({ type: 'notices.test' });
  expect(await told()).toEqual([]);
});

it('the signing secret is found by where-used and impact, and is not deleted unless forced', async () => {
  await put({ webhook: webhook() });
  const [, , , domain] = base.split('/');
  const path = `${base}/secrets/hook-key`;
  expect(await test.call('GET', `${path}/used-by`)).toMatchObject({
    items: [{ surface: 'notices', configuration: domain, name: 'signing secret', pointer: '/webhook/signingSecret' }],
  });
  expect(await test.call('GET', path)).toMatchObject({ usedBy: 1 });
  expect(await test.call('GET', `${base}/secrets?q=hook-key`)).toMatchObject({ items: [{ usedBy: 1 }] });
  await test.call('DELETE', `${base}/notices/settings`);
  expect(await test.call('GET', path)).toMatchObject({ usedBy: 0 });
  await put({ webhook: webhook() });
  expect(await test.call('GET', `${path}/impact`)).toMatchObject({ platform: [{ kind: 'notices', name: domain }] });
  const refused = await test.request('DELETE', path);
  expect([refused.status, codeOf(refused)]).toEqual([409, 'in_use']);
  expect(refused.text).toContain(`notices of ${domain} uses it as signing secret`);
});

it('what was told is swept when it can not be told again', async () => {
  await put({ webhook: webhook() });
  await secret('expiring', { expiresAt: inDays(1) });
  await secret('moved', { expiresAt: inDays(1) });
  await round();
  await test.call('PATCH', `${base}/secrets/moved`, { body: { expiresAt: null } });
  const { signal } = new AbortController();
  await test.server.services.noticeSender.sweep(signal);
  expect(await told()).toHaveLength(2);
  await test.server.services.noticeSender.sweep(signal, Date.now() + 91 * dayMilliseconds);
  expect((await told()).map(({ key: name }) => name)).toEqual(['expiring']);
});

it('a signature is that of Standard Webhooks', async () => {
  const { SecretValue } = await import('@strongroom/crypto');
  const decoded = signingKey(SecretValue.fromText('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'));
  expect(signatureOf(decoded, 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330, '{"test": 2432232314}')).toBe(
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  );
  expect(() => signingKey(SecretValue.fromText('too-short'))).toThrow('fewer than 24 bytes');
  expect(() => signingKey(SecretValue.fromText('whsec_c2hvcnQ='))).toThrow('fewer than 24 bytes');
});

it('no value is in any answer, log or file of the server', async () => {
  await expect(test.assertNoLeak()).resolves.toBeUndefined();
});
