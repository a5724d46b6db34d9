import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createToken } from '@strongroom/crypto';
import { compactDecrypt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, codeOf, startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { Conformance } from '../../testing/conformance.ts';
import { backupSqlite } from '../store/backup.ts';

/** Every value that goes in is unique, and whatever the server produces is searched for all of them in the end. */
const canaries = new Canaries();
const conformance = new Conformance();
const base = '/v1/domains/finance';
const backups = mkdtempSync(join(tmpdir(), 'strongroom-leaks-'));
let test: TestServer;
let workload: TestUser;

beforeAll(async () => {
  test = await startTestServer({}, { canaries, onAnswer: conformance.see });
  canaries.add('the bootstrap token', test.adminToken);
  await test.createDomain('finance');
  workload = await test.createServiceAccount('finance', 'etl', { preset: 'MEMBER', grants: ['RESOLVE'] });
});
afterAll(async () => {
  await test.close();
  rmSync(backups, { recursive: true, force: true });
});

const secretOf = (key: string, scope = 'domain') => ({ scope, source: 'managed', key }) as const;

async function put(key: string, value: object, scope = base): Promise<void> {
  await test.call('POST', `${scope}/secrets`, { body: { key, ...value } });
}

describe('the life of a secret', () => {
  it('leaves its value nowhere, from creating to purging, in every scope and form', async () => {
    for (const scope of [base, '/v1/global', '/v1/admin']) {
      const at = `${scope}/secrets`;
      await put('text', { value: canaries.text(`text in ${scope}`) }, scope);
      const bytes = Buffer.from(canaries.text(`bytes in ${scope}`));
      await put('bytes', { valueBase64: bytes.toString('base64') }, scope);
      await put('fields', { fields: { user: 'ann', password: canaries.text(`a field in ${scope}`) } }, scope);
      await test.call('PUT', `${at}/text/value`, { body: { value: canaries.text(`rotated in ${scope}`) } });
      await test.call('POST', `${at}/text/rollback`, { body: { version: '1.1' } });
      await test.call('PATCH', `${at}/text`, { body: { description: 'described', tags: ['a:b'] } });
      for (const path of ['', '/text', '/text/versions', '/text/used-by', '/text/drift', '/text/access', '?q=te'])
        await test.call('GET', `${at}${path}`);
      await test.call('GET', `${scope}/inventory`);
      await test.call('DELETE', `${at}/text`);
      await test.call('POST', `${at}/text/restore`);
      await test.call('DELETE', `${at}/bytes`);
      await test.call('POST', `${at}/bytes/purge`);
    }
    expect(canaries.leaks()).toEqual([]);
  });

  it('nor does a file that is imported, rightly or not', async () => {
    const value = (name: string): string => canaries.plain(`imported ${name}`);
    const encoded = (name: string): string => Buffer.from(value(name)).toString('base64');
    const manifest = (data: string): string => `apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n${data}`;
    const files: (readonly [string, string, number])[] = [
      ['env', `ENV_KEY=${value('env')}\nexport ENV_TWO="${value('quoted')}"\n`, 200],
      ['json', JSON.stringify({ json: value('json'), both: { a: value('json field') } }), 200],
      [
        'kubernetes',
        manifest(`data:\n  k8s: ${encoded('data')}\nstringData:\n  k8s-two: ${value('stringData')}\n`),
        200,
      ],
      ['env', `ENV_KEY=${value('again')}\n`, 422],
      ['env', `no assignment ${value('in a line that is none')}\n`, 422],
      ['json', `{"a":"${value('in broken json')}"`, 422],
      ['json', `{"a":"x","a":"${value('under a key that is there twice')}"}`, 422],
      ['json', JSON.stringify({ ok: value('beside what is wrong'), '-bad': value('of a bad key') }), 422],
      ['json', JSON.stringify([value('in a list')]), 422],
      ['kubernetes', manifest(`data:\n  bad: "${value('that is not base64')}!"\n`), 422],
      ['kubernetes', `kind: Secret\n\t${value('in broken yaml')}: [`, 422],
      ['kubernetes', manifest(`data: &${value('anchor')} {a: *${value('alias')}}\n`), 422],
    ];
    for (const [format, content, status] of files) {
      const answer = await test.request('POST', `${base}/secrets/import`, { body: { format, content } });
      expect([format, content.length, answer.status]).toEqual([format, content.length, status]);
      await test.request('POST', `${base}/secrets/import`, { body: { format, content, dryRun: true } });
    }
  });
});

describe('a value in the wrong place', () => {
  it('is nowhere afterwards, wherever it was put', async () => {
    const at = `${base}/secrets`;
    const send = (method: string, path: string, options: Parameters<TestServer['request']>[2] = {}): Promise<Answer> =>
      test.request(method, path, options);
    const value = (name: string): string => canaries.text(name);
    const plain = (name: string): string => canaries.plain(name);
    const refused: Promise<Answer>[] = [
      send('POST', at, { body: { key: value('key'), value: 'x' } }),
      send('POST', at, { body: { key: 'k', value: value('beside an undeclared field'), scope: 'admin' } }),
      send('POST', at, { body: { key: 'k', [value('name of a field')]: 'x' } }),
      send('POST', at, { body: { key: 'k', value: { nested: value('nested') } } }),
      send('POST', at, { body: { key: 'k', value: value('value'), valueBase64: value('and base64') } }),
      send('POST', at, { body: { key: 'k', valueBase64: value('not base64') } }),
      send('POST', at, { body: { key: 'k', fields: { [`${value('name of one of its fields')}\n`]: 'x' } } }),
      send('POST', at, { body: { key: 'k', value: 'x', tags: [value('tag')] } }),
      send('POST', at, { body: { key: 'k', value: 'x', folder: value('folder') } }),
      send('POST', at, { body: { key: 'k', value: 'x', expiresAt: value('date') } }),
      send('POST', at, { body: value('whole body') }),
      send('POST', at, { rawBody: `{"key":"k","value":"${plain('broken')}"` }),
      send('POST', at, { rawBody: `{"key":"k","value":"${plain('first')}","value":"${plain('second')}"}` }),
      send('POST', at, {
        rawBody: `{"key":"k","${plain('a key twice')}":1,"${plain('a key twice too')}":2,"a":1,"a":1}`,
      }),
      send('POST', at, { rawBody: `{"key":"k","value":"${plain('in a large body')}${'x'.repeat(3 * 1024 * 1024)}"}` }),
      send('POST', at, { body: { key: 'k', value: `${value('too large a value')}${'x'.repeat(1_100_000)}` } }),
      send('POST', at, {
        rawBody: `key=k&value=${plain('form')}`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      }),
      send('POST', at, { rawBody: '{}', headers: { 'content-type': `application/json; ${plain('media type')}=1` } }),
      send('POST', at, { rawBody: Buffer.from(`{"key":"k","value":"${plain('not utf-8')}\u00ff"}`, 'latin1') }),
      send('POST', at, { rawBody: `{"key":"k","value":"${plain('lone surrogate')}\\ud800"}` }),
      send('POST', at, {
        body: { key: 'k', value: 'x' },
        headers: { 'idempotency-key': `${plain('key of a repeat')} blank` },
      }),
      send('POST', `${at}?value=${encodeURIComponent(value('query'))}`, { body: { key: 'k', value: 'x' } }),
      send('PUT', `${at}/text/value`, { body: { value: 'x' }, headers: { 'if-match': plain('If-Match') } }),
      send('GET', `${at}?cursor=${encodeURIComponent(value('cursor'))}`),
      send('GET', `${at}?state=${encodeURIComponent(value('state'))}`),
      send('GET', `${at}/${encodeURIComponent(value('path'))}`),
      send('GET', `${at}/${plain('path of a key')}`),
      send('GET', `/v1/domains/${encodeURIComponent(value('domain'))}/secrets`, { token: workload.token }),
      send('GET', `${base}/spark-jobs/${encodeURIComponent(value('job'))}`, { token: workload.token }),
      send('DELETE', `/v1/${encodeURIComponent(value('no route'))}`),
      send('GET', '/v1/domains', { token: plain('token') }),
      send('GET', '/v1/domains', { token: null, headers: { authorization: `Basic ${plain('basic')}` } }),
      send('GET', '/v1/domains', {
        token: null,
        headers: { cookie: `strongroom=${plain('cookie')}`, 'x-strongroom-tab': plain('tab') },
      }),
      send('GET', '/v1/domains', { headers: { host: `${plain('host')}.example.org` } }),
      send('POST', '/v1/explain', { body: { action: 'use', domain: 'finance', reference: value('reference') } }),
      send('POST', '/v1/explain', { body: { action: value('action') } }),
      send('POST', `${base}/spark-jobs`, { body: { name: value('name of a job'), command: ['true'] } }),
      send('POST', `${base}/spark-jobs`, {
        body: { name: 'j', command: ['true'], environment: [{ name: value('variable'), value: 'x' }] },
      }),
      send('POST', `${base}/launches`, {
        token: workload.token,
        body: { references: [{ name: 'A', reference: `secret://${plain('scope')}` }] },
      }),
      send('POST', '/v1/auth/login', { token: null, body: { name: 'ann', password: value('wrong password') } }),
      send('POST', '/v1/auth/login', { token: null, body: { name: value('password as a name'), password: 'x' } }),
      send('POST', '/v1/auth/link', { token: null, body: { token: plain('token of a link') } }),
      send('POST', '/v1/users', { body: { name: 'ann', password: canaries.plain('short').slice(0, 8) } }),
    ];
    const answers = await Promise.all(refused);
    expect(
      answers.map(({ status }, index) => [index, status]).filter(([, status = 0]) => status < 400 || status >= 500),
    ).toEqual([]);
    const searched = await send('GET', `${at}?q=${encodeURIComponent(value('search'))}`);
    expect(searched.body).toEqual({ items: [], sources: [] });
    // What the client calls its request is not taken up.
    await send('GET', '/v1/auth/me', {
      headers: { 'x-request-id': plain('request id'), 'user-agent': plain('agent'), traceparent: plain('trace') },
    });
  });
});

describe('a run', () => {
  /** Prints what it was given in every way that is masked, and says that it did. */
  const script = `
    const value = process.env.PASSWORD;
    const file = require('node:fs').readFileSync('conf/secret.txt', 'utf8');
    for (const text of [value, file]) {
      const bytes = Buffer.from(text);
      for (const form of [text, bytes.toString('base64'), bytes.toString('hex'), encodeURIComponent(text), JSON.stringify(text)]) {
        console.log('out ' + form);
        console.error('err ' + form);
      }
      process.stdout.write('split ' + text.slice(0, 9));
      process.stdout.write(text.slice(9) + '\\n');
    }
    require('node:fs').writeFileSync('copy.txt', value + file);
    console.log('printed');
  `;

  async function finish(name: string): Promise<{ readonly state: string; readonly log: string }> {
    const { id } = await test.call<{ id: string }>('POST', `${base}/spark-jobs/${name}/runs`);
    const log = await test.request('GET', `${base}/runs/${id}/log?follow=true`);
    for (;;) {
      const run = await test.call<{ state: string }>('GET', `${base}/runs/${id}`);
      if (!['queued', 'running'].includes(run.state)) return { state: run.state, log: log.text };
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  it('prints its values, and neither the log nor any file has them', async () => {
    await put('printed', { value: canaries.text('a variable that is printed') });
    await put('in-a-file', { value: canaries.text('a file that is printed') }, '/v1/global');
    await put('in-spark', { value: canaries.text('a property') });
    await test.call('POST', `${base}/spark-jobs`, {
      body: {
        name: 'prints',
        command: [process.execPath, '-e', script],
        environment: [{ name: 'PASSWORD', secret: secretOf('printed') }],
        files: [{ name: 'conf/secret.txt', secret: secretOf('in-a-file', 'global') }],
        sparkConfig: [{ name: 'spark.password', secret: secretOf('in-spark') }],
      },
    });
    expect(await test.call('POST', `${base}/spark-jobs/prints/preflight`)).toMatchObject({ ok: true });
    const { state, log } = await finish('prints');
    // Not by lines: what is written in two pieces may have some of the other stream between them.
    expect([state, log.includes('printed'), log.match(/\b(?:out|err|split) /g)?.length]).toEqual([
      'succeeded',
      true,
      22,
    ]);
    for (const path of ['/spark-jobs/prints', '/spark-jobs', '/runs', '/secrets/printed/used-by', '/drift'])
      await test.call('GET', `${base}${path}`);
  });

  it('that can’t start says why without them', async () => {
    await put('with-nul', { value: `${canaries.text('with NUL')}\0${canaries.text('after NUL')}` });
    await put('too-large', { value: `${canaries.text('too large')}${'x'.repeat(140_000)}` });
    await put('no-command', { value: canaries.text('of no command') });
    const jobs = { 'with-nul': ['true'], 'too-large': ['true'], 'no-command': ['/does/not/exist'] };
    for (const [name, command] of Object.entries(jobs)) {
      const environment = [{ name: 'A', secret: secretOf(name) }];
      await test.call('POST', `${base}/spark-jobs`, { body: { name, command, environment } });
      await test.request('POST', `${base}/spark-jobs/${name}/preflight`);
      const { state } = await finish(name);
      expect([name, state]).toEqual([name, 'failed']);
    }
  });
});

describe('a delivery', () => {
  it('is sealed: the workload reads exactly what went in, and nothing on the way does', async () => {
    const value = `${canaries.text('delivered')}\0\r\n\ufeff\u2028${canaries.text('delivered, after what is special')}`;
    await put('delivered', { value });
    const bytes = Buffer.concat([Buffer.from([0, 255, 254]), Buffer.from(canaries.text('delivered bytes'))]);
    await put('delivered-bytes', { valueBase64: bytes.toString('base64') });
    const references = ['delivered', 'delivered-bytes'].map((key) => ({ name: key, reference: secretOf(key) }));
    const { token } = workload;
    const { id } = await test.call<{ id: string }>('POST', `${base}/launches`, { token, body: { references } });
    const { privateKey, publicKey } = generateKeyPairSync('x25519');
    const { kty, crv, x } = publicKey.export({ format: 'jwk' });
    const { jwe } = await test.call<{ jwe: string }>('POST', `/v1/launches/${id}/resolve`, {
      token,
      body: { publicKey: { kty, crv, x } },
    });
    const { plaintext } = await compactDecrypt(jwe, privateKey);
    const { values } = JSON.parse(Buffer.from(plaintext).toString('utf8')) as {
      values: { name: string; valueBase64: string }[];
    };
    expect(values.map(({ name, valueBase64 }) => [name, Buffer.from(valueBase64, 'base64')])).toEqual([
      ['delivered', Buffer.from(value)],
      ['delivered-bytes', bytes],
    ]);
    // With another key, a private one, a broken one; and by somebody else.
    const other = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
    canaries.add('a private key', other.d ?? '');
    const answers = await Promise.all([
      test.request('POST', `/v1/launches/${id}/resolve`, { token, body: { publicKey: { kty, crv, x: other.x } } }),
      test.request('POST', `/v1/launches/${id}/resolve`, { token, body: { publicKey: other } }),
      test.request('POST', `/v1/launches/${id}/resolve`, {
        token,
        body: { publicKey: { kty, crv, x: 'A'.repeat(43) } },
      }),
      test.request('POST', `/v1/launches/${id}/resolve`, { body: { publicKey: { kty, crv, x } } }),
    ]);
    expect(answers.map((answer) => codeOf(answer))).toEqual([
      'delivery_bound',
      'validation_failed',
      'delivery_bound',
      'not_found',
    ]);
  });
});

describe('credentials', () => {
  it('are shown once, where they are issued, and kept nowhere', async () => {
    const password = canaries.text('a password');
    const { user } = await test.call<{ user: { id: string } }>('POST', '/v1/users', {
      body: { name: 'bob', password },
    });
    const link = await test.call<{ token: string }>('POST', `/v1/users/${user.id}/sign-in-link`, { body: {} });
    canaries.add('a link', link.token);
    canaries.allow('a link', `the answer of POST /v1/users/${user.id}/sign-in-link 201`);
    const signedIn = await test.call<{ token: string }>('POST', '/v1/auth/login', {
      token: null,
      body: { name: 'bob', password },
    });
    canaries.add('a session', signedIn.token);
    canaries.allow('a session', 'the answer of POST /v1/auth/login 200');
    const cookie = await test.request('POST', '/v1/auth/login', {
      token: null,
      body: { name: 'bob', password, transport: 'cookie' },
    });
    const value = /strongroom=([^;]+)/.exec(cookie.headers.get('set-cookie') ?? '')?.[1] ?? '';
    expect(value.length).toBeGreaterThan(20);
    canaries.add('a cookie', value);
    canaries.allow('a cookie', 'the headers of POST /v1/auth/login 200');
    const accounts = `${base}/service-accounts`;
    const issued = await test.call<{ token: string }>('POST', `${accounts}/${workload.id}/tokens`, { body: {} });
    canaries.add('an issued token', issued.token);
    canaries.allow('an issued token', `the answer of POST ${accounts}/${workload.id}/tokens 201`);
    await test.call('GET', '/v1/auth/me', { token: signedIn.token });
    await test.call('GET', '/v1/auth/sessions', { token: signedIn.token });
    const newPassword = canaries.text('a new password');
    const wrong = { currentPassword: canaries.text('not the password'), newPassword };
    expect(codeOf(await test.request('PUT', '/v1/auth/password', { token: signedIn.token, body: wrong }))).toBe(
      'credentials_invalid',
    );
    await test.call('PUT', '/v1/auth/password', {
      token: signedIn.token,
      body: { currentPassword: password, newPassword },
    });
    await test.request('GET', '/v1/auth/me', { token: createToken('srt_') });
  });
});

describe('what stays', () => {
  it('has no value: answers, log, metrics, audit, database, backup, folders of runs, before a restart and after', async () => {
    await test.assertNoLeak();
    await test.call('POST', '/v1/keys/rotate', { body: { what: 'terms' } });
    const target = join(backups, 'backup');
    await backupSqlite(test.dataDir, target);
    canaries.watchDirectory(target);
    await test.restart();
    await test.call('DELETE', `${base}?force=true`);
    await expect(test.assertNoLeak()).resolves.toBeUndefined();
  });

  it('is one JSON object a line in the log, whatever was sent', async () => {
    for (const text of ['\u001b[31mred', 'a\u2028b', '{"level":"error"}'])
      await test.request('GET', `/v1/domains/${encodeURIComponent(text)}/secrets`, {
        token: workload.token,
        headers: { 'user-agent': 'x", "level":"fatal' },
      });
    // Each line was parsed when it was written.
    expect(test.logged.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
    expect(JSON.stringify(test.logged)).not.toMatch(/\\u001b|\u2028/);
    expect(conformance.problems).toEqual([]);
  });
});
