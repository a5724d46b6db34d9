import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../../testing/app.ts';
import { Canaries } from '../../../testing/canaries.ts';
import { loopbackCertificate, type SelfSigned } from '../../../testing/certificate.ts';
import { openLoopbackVault } from '../../../testing/loopback-vault.ts';

const path = '/v1/platform/email';
const canaries = new Canaries();
const password = canaries.plain('password of the mail server');
let test: TestServer;
const trusted = loopbackCertificate();
const other = loopbackCertificate('mail.example.org');

beforeAll(async () => {
  test = await startTestServer({}, { canaries });
});
afterAll(async () => {
  await test.assertNoLeak();
  await test.close();
});

interface Mailbox {
  readonly port: number;
  readonly messages: {
    readonly from: string;
    readonly to: string;
    readonly text: string;
    readonly isSecure: boolean;
  }[];
  readonly signIns: string[];
}
const open: { close: (done: () => void) => unknown }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => new Promise<void>((resolve) => each.close(resolve))));
});

/** A real SMTP server that takes `mailer` with the password, and nothing for `nobody@…`. */
async function startMailbox(options: SMTPServerOptions = {}): Promise<Mailbox> {
  const messages: Mailbox['messages'] = [];
  const signIns: string[] = [];
  const server = new SMTPServer({
    logger: false,
    closeTimeout: 100,
    authOptional: true,
    onAuth(auth, _session, done) {
      signIns.push(auth.username ?? '');
      if (auth.username === 'mailer' && auth.password === password) done(null, { user: 'mailer' });
      else done(new Error(`5.7.8 no, ${auth.password} is wrong`));
    },
    onMailFrom({ address }, _session, done) {
      done(address.startsWith('blocked@') ? new Error('5.1.0 SERVER TEXT') : null);
    },
    onRcptTo({ address }, _session, done) {
      done(address.startsWith('nobody@') ? new Error('5.1.1 SERVER TEXT') : null);
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        messages.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address).join(),
          text: Buffer.concat(chunks).toString('utf8'),
          isSecure: session.secure,
        });
        done();
      });
    },
    ...options,
  });
  server.on('error', () => undefined);
  const listening = server.listen(0, '127.0.0.1');
  open.push(server);
  await once(listening, 'listening');
  return { port: (listening.address() as AddressInfo).port, messages, signIns };
}

const tls = ({ key, certificate }: SelfSigned) => ({ key, cert: certificate });
const form = (port: number, security: 'starttls' | 'tls' | 'none', more: object = {}) => ({
  host: 'localhost',
  port,
  security,
  senderAddress: 'strongroom@example.org',
  senderName: 'Strongroom',
  recipient: 'ann@example.org',
  ...(security === 'none'
    ? {}
    : { username: 'mailer', password: { set: password }, caCertificate: trusted.certificate }),
  ...more,
});

interface Tested {
  readonly ok: boolean;
  readonly steps: readonly { name: string; outcome: string; cause?: string; message?: string }[];
}
const tryForm = (body: object): Promise<Tested> => test.call<Tested>('POST', `${path}/test`, { body });
const failureOf = async (body: object): Promise<string> => {
  const { ok, steps } = await tryForm(body);
  expect(ok).toBe(false);
  expect(JSON.stringify(steps)).not.toMatch(/SERVER TEXT|5\.[17]/);
  return steps.flatMap(({ name, outcome, cause }) => (outcome === 'failed' ? [`${name} ${cause}`] : [])).join();
};

describe('placeholders', () => {
  beforeAll(async () => {
    const global = {
      'smtp-user': 'mail',
      'smtp-start': password.slice(0, 4),
      'smtp-end': password.slice(4),
      team: 'Räte',
    };
    for (const [key, value] of Object.entries(global))
      await test.call('POST', '/v1/global/secrets', { body: { key, value } });
    await test.call('POST', '/v1/global/secrets', { body: { key: 'two-lines', value: 'x\r\nBcc: bob@example.org' } });
  });
  const texts = {
    username: '${secrets.smtp-user}er',
    senderAddress: '${secrets.smtp-user}@example.org',
    senderName: '${secrets.team}, $${secrets.team} & ${secrets.team}',
  };

  it('are resolved in every text, in a test and in use, and shown as they are', async () => {
    const mailbox = await startMailbox({ ...tls(trusted), authOptional: false });
    const value = '${secrets.smtp-start}${secrets.smtp-end}';
    const body = form(mailbox.port, 'starttls', { ...texts, password: { value } });
    expect(await tryForm(body)).toMatchObject({ ok: true });
    const shown = { ...texts, password: { isSet: true, placeholder: value }, warnings: [] };
    expect(await test.call('PUT', path, { body: saved(body) })).toMatchObject(shown);
    expect(await test.call('GET', path)).toMatchObject(shown);
    const uses = await test.call<{ items: { name: string; kind: string }[] }>(
      'GET',
      '/v1/global/secrets/smtp-user/used-by',
    );
    expect(uses.items.map(({ name, kind }) => `${name} ${kind}`).toSorted()).toEqual([
      'senderAddress placeholder',
      'username placeholder',
    ]);
    await test.server.services.mailer.send({ to: 'ann@example.org', subject: 'Hello', text: 'Hello' });
    expect([mailbox.signIns, mailbox.messages.length]).toEqual([['mailer', 'mailer'], 2]);
    for (const { from, text } of mailbox.messages) {
      const name = Buffer.from(/From: =\?UTF-8\?B\?([^?]+)/i.exec(text)?.[1] ?? '', 'base64').toString();
      expect([from, name === '' ? decodeQ(text) : name]).toEqual(['mail@example.org', 'Räte, ${secrets.team} & Räte']);
    }
    await test.call('DELETE', path);
  });

  it('stop a test and a use where a value does not fit, and say nothing of it', async () => {
    const { port, messages } = await startMailbox({ ...tls(trusted), authOptional: false });
    for (const [name, text] of [
      ['senderName', '${secrets.two-lines}'],
      ['senderAddress', '${secrets.two-lines}@example.org'],
      ['username', '${secrets.two-lines}'],
    ] as const) {
      const body = form(port, 'starttls', { [name]: text });
      const { ok, steps } = await tryForm(body);
      expect([ok, steps]).toMatchObject([false, [{ name: `resolve ${name}`, outcome: 'failed', cause: 'unresolved' }]]);
      await test.call('PUT', path, { body: saved(body) });
      const sent = test.server.services.mailer.send({ to: 'ann@example.org', subject: 'Hello', text: 'Hello' });
      await expect(sent).rejects.toMatchObject({ code: 'reference_unresolved', errors: [{ pointer: `/${name}` }] });
    }
    expect(messages).toEqual([]);
    await test.call('DELETE', path);
  });

  it('of a key that is not there are a warning at the save, and stop the use', async () => {
    const body = form(9, 'starttls', { senderName: 'x ${secrets.nowhere}', password: { value: '${secrets.nowhere}' } });
    const codes = [{ pointer: '/password/value' }, { pointer: '/senderName' }];
    expect(await test.call('PUT', path, { body: saved(body) })).toMatchObject({
      warnings: codes.map((each) => ({ ...each, code: 'unknown-placeholder' })),
    });
    expect(await tryForm(body)).toMatchObject({ ok: false, steps: [{ cause: 'unresolved' }, { cause: 'unresolved' }] });
    const sent = test.server.services.mailer.send({ to: 'ann@example.org', subject: 'Hello', text: 'Hello' });
    await expect(sent).rejects.toMatchObject({ code: 'reference_unresolved', errors: [{}, {}] });
    await test.call('DELETE', path);
  });

  it('are refused where nothing would resolve them, and where they would go without TLS', async () => {
    for (const [security, more, pointer] of [
      ['starttls', { host: '${secrets.smtp-user}' }, '/host'],
      ['none', { senderName: '${secrets.team}' }, '/senderName'],
      ['none', { senderAddress: '${secrets.smtp-user}@example.org' }, '/senderAddress'],
    ] as const) {
      const body = form(9, security, more);
      for (const [method, where, sent] of [
        ['POST', `${path}/test`, body],
        ['PUT', path, saved(body)],
      ] as const)
        expect((await test.request(method, where, { body: sent })).body).toMatchObject({
          code: 'validation_failed',
          errors: [{ pointer }],
        });
    }
    expect((await test.request('GET', path)).status).toBe(404);
  });
});

describe('the test of a form', () => {
  it.each(['starttls', 'tls'] as const)('really sends over %s, signed in, and keeps nothing', async (security) => {
    const mailbox = await startMailbox({ ...tls(trusted), secure: security === 'tls', authOptional: false });
    const { ok, steps } = await tryForm(form(mailbox.port, security));
    expect([ok, steps.map(({ name, outcome }) => `${name} ${outcome}`)]).toEqual([
      true,
      ['connect ok', 'tls ok', 'sign-in ok', 'send ok'],
    ]);
    expect(mailbox.messages).toMatchObject([{ from: 'strongroom@example.org', to: 'ann@example.org', isSecure: true }]);
    expect(mailbox.messages[0]?.text).toContain('From: Strongroom <strongroom@example.org>');
    expect((await test.request('GET', path)).status).toBe(404);
    const rows = await test.server.store.db
      .selectFrom('secrets')
      .select('id')
      .where('owned_by', 'is not', null)
      .execute();
    expect(rows).toEqual([]);
  });

  it('says which certificate doesn’t fit, and sends nothing', async () => {
    for (const security of ['starttls', 'tls'] as const) {
      const elsewhere = await startMailbox({ ...tls(other), secure: security === 'tls' });
      const mismatched = form(elsewhere.port, security, { caCertificate: other.certificate });
      expect(await failureOf(mismatched)).toBe('tls certificate-mismatch');
      expect(await failureOf(form(elsewhere.port, security))).toBe('tls certificate-untrusted');
      expect([elsewhere.messages, elsewhere.signIns]).toEqual([[], []]);
    }
  });

  it('never falls back to plain text where STARTTLS was chosen', async () => {
    const stripped = await startMailbox({ ...tls(trusted), hideSTARTTLS: true, disabledCommands: ['STARTTLS'] });
    expect(await failureOf(form(stripped.port, 'starttls'))).toBe('tls tls-refused');
    expect([stripped.messages, stripped.signIns]).toEqual([[], []]);
    const plain = await startMailbox({ secure: false });
    expect(await failureOf(form(plain.port, 'tls'))).toBe('tls tls-refused');
  });

  it('names what is refused without a word of the server', async () => {
    const { port } = await startMailbox(tls(trusted));
    const wrong = { password: { set: canaries.plain('a wrong password') } };
    expect(await failureOf(form(port, 'starttls', wrong))).toBe('sign-in authentication-refused');
    expect(await failureOf(form(port, 'starttls', { senderAddress: 'blocked@example.org' }))).toBe(
      'send sender-refused',
    );
    expect(await failureOf(form(port, 'starttls', { recipient: 'nobody@example.org' }))).toBe('send recipient-refused');
  });

  it('gives up where something else answers, or nothing', async () => {
    const silent = createServer((socket) =>
      socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    );
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    expect(await failureOf(form(port, 'none'))).toMatch(/^connect (?:malformed|unreachable)$/);
    silent.close();
    await once(silent, 'close');
    // A port that nobody is given who asks for any.
    expect(await failureOf(form(1, 'none'))).toBe('connect unreachable');
    const { status, body } = await test.request('PUT', path, {
      body: saved({ ...form(25, 'none'), host: '169.254.169.254' }),
    });
    expect([status, body]).toMatchObject([422, { code: 'egress_denied' }]);
  });
});

/** The display name of `From`, which is written as RFC 2047 says. */
function decodeQ(text: string): string {
  const words = [.../=\?UTF-8\?Q\?([^?]*)\?=/gi[Symbol.matchAll](/From:[^<]*/.exec(text)?.[0] ?? '')];
  return decodeURIComponent(words.map(([, word = '']) => word.replaceAll('_', ' ').replaceAll('=', '%')).join(''));
}

function saved({ recipient: _recipient, ...rest }: ReturnType<typeof form>) {
  return rest;
}

describe('the mail server of the platform', () => {
  it('is one, keeps its password apart, and sends with it', async () => {
    const mailbox = await startMailbox({ ...tls(trusted), authOptional: false });
    const { password: _typed, ...rest } = saved(form(mailbox.port, 'starttls'));
    const secret = { scope: 'admin', source: 'managed', key: 'email.email.password' };
    const made = await test.call(`PUT`, path, { body: { ...rest, password: { set: password } } });
    expect(made).toMatchObject({ revision: 1, host: 'localhost', password: { isSet: true, isOwned: true, secret } });
    expect(await test.call('PUT', path, { body: rest })).toMatchObject({ revision: 1, password: { isSet: true } });
    const stale = await test.request('PUT', path, { body: { ...rest, port: 2525 }, headers: { 'if-match': '"7"' } });
    expect([412, 422]).toContain(stale.status);
    const kept = { ...rest, recipient: 'ann@example.org', useSaved: true };
    expect((await tryForm(kept)).ok).toBe(true);
    const moved = await test.request('POST', `${path}/test`, { body: { ...kept, host: '127.0.0.1' } });
    expect([moved.status, moved.body]).toMatchObject([422, { errors: [{ pointer: '/password' }] }]);
    const { mailer } = test.server.services;
    await mailer.send({ to: 'bob@example.org', subject: 'A notice', text: 'Something is due.\n' });
    expect(mailbox.messages.map(({ to }) => to)).toEqual(['ann@example.org', 'bob@example.org']);
    const { items } = await test.call<{ items: { action: string }[] }>('GET', '/v1/audit?limit=50');
    expect(items.map(({ action }) => action)).toEqual(
      expect.arrayContaining(['surface.use', 'surface.test', 'email.manage']),
    );
    await test.call('DELETE', path);
    await expect(mailer.send({ to: 'bob@example.org', subject: 'x', text: 'y' })).rejects.toThrow('No mail server');
    const owned = await test.server.store.db
      .selectFrom('secrets')
      .select('id')
      .where('owned_by', 'is not', null)
      .execute();
    expect(owned).toEqual([]);
  });

  it('takes secrets of Admin and Global alone, and fixes where an admin secret goes', async () => {
    for (const key of ['smtp-password', 'elsewhere'])
      await test.call('POST', '/v1/admin/secrets', { body: { key, value: password } });
    const { port } = await startMailbox({ ...tls(trusted), authOptional: false });
    const refer = (reference: string, more: object = {}) => ({
      ...saved(form(port, 'starttls')),
      password: { secret: reference },
      ...more,
    });
    const foreign = await test.request('PUT', path, { body: refer('secret://domain/managed/x') });
    expect(foreign.status).toBe(422);
    await test.call('PUT', path, { body: refer('secret://admin/managed/smtp-password') });
    const shown = await test.call('GET', '/v1/admin/secrets/smtp-password');
    expect(shown).toMatchObject({ destinations: [{ scheme: 'smtp', host: 'localhost', port }] });
    const elsewhere = refer('secret://admin/managed/smtp-password', { host: '127.0.0.1' });
    for (const [method, at, body] of [
      ['PUT', path, elsewhere],
      ['POST', `${path}/test`, { ...elsewhere, recipient: 'ann@example.org' }],
    ] as const) {
      const refused = await test.request(method, at, { body });
      expect([refused.status, refused.body]).toMatchObject([403, { code: 'destination_refused' }]);
    }
    await test.server.services.mailer.send({ to: 'bob@example.org', subject: 'x', text: 'y' });
    await test.call('DELETE', path);
  });

  it('takes its password from an integration of Admin, in a test and in use', async () => {
    const vault = await openLoopbackVault({
      token: canaries.plain('the token of Vault'),
      secrets: { 'mail/smtp': { password } },
    });
    try {
      await test.call('POST', '/v1/admin/integrations', {
        body: {
          name: 'vault-ops',
          type: 'VAULT',
          settings: { address: vault.url, path: '/v1/secret/data/mail', authentication: { method: 'token' } },
          credentials: { token: vault.token },
        },
      });
      const reference = 'secret://admin/vault-ops/smtp#password';
      const mailbox = await startMailbox({ ...tls(trusted), authOptional: false });
      const body = form(mailbox.port, 'starttls', { password: { secret: reference } });
      expect(await tryForm(body)).toMatchObject({ ok: true });
      expect(await test.call('PUT', path, { body: saved(body) })).toMatchObject({ warnings: [] });
      await test.server.services.mailer.send({ to: 'bob@example.org', subject: 'x', text: 'y' });
      expect(mailbox.signIns).toEqual(['mailer', 'mailer']);
      const uses = await test.call<{ items: object[] }>(
        'GET',
        `/v1/admin/used-by?reference=${encodeURIComponent(reference)}`,
      );
      expect(uses.items).toMatchObject([{ surface: 'email', name: 'password' }]);
      await test.call('DELETE', path);
    } finally {
      await vault.close();
    }
  });

  it('sends nothing secret without TLS', async () => {
    const { port, messages } = await startMailbox();
    const plain = form(port, 'none');
    expect((await tryForm(plain)).steps.map(({ name }) => name)).toEqual(['connect', 'send']);
    expect(messages).toMatchObject([{ isSecure: false }]);
    const withPassword = { ...plain, username: 'mailer', password: { set: password } };
    const { status, body } = await test.request('POST', `${path}/test`, { body: withPassword });
    expect([status, body]).toMatchObject([422, { errors: [{ pointer: '/password' }, { pointer: '/username' }] }]);
  });

  it.each([
    ['a port', { port: 0 }],
    ['a port', { port: 65_536 }],
    ['a host', { host: 'mail.example.org/x' }],
    ['a sender', { senderAddress: 'a@b\r\nBcc: c@d' }],
    ['a name', { senderName: 'x\r\nBcc: c@d' }],
    ['a certificate', { caCertificate: 'none' }],
    ['mass assignment', { createdBy: 'x' }],
  ])('refuses %s that is none', async (_what, wrong) => {
    const body = { ...saved(form(25, 'none')), ...wrong };
    expect((await test.request('PUT', path, { body })).status).toBe(422);
  });
});
