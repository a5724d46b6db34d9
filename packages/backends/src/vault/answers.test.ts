import { SecretValue } from '@strongroom/crypto';
import { describe, expect, it } from 'vitest';
import { assertHidden, refusalOf } from '../../testing/refusal.ts';
import {
  type Script,
  type ScriptedAnswer,
  scriptedSecretId,
  scriptedToken,
  secretAnswer,
  startScriptedVault,
} from '../../testing/scripted-vault.ts';

const canary = 'canary-8f21c07e';
const signal = () => AbortSignal.timeout(60_000);

/** Answers requests for values and nothing else. */
const forData =
  (answer: ScriptedAnswer): Script =>
  ({ path }) =>
    path.startsWith('/v1/secret/') ? answer : {};

const hidden = [canary, scriptedToken, scriptedSecretId];
const errorOf = (call: () => Promise<unknown>) => refusalOf(call, hidden);

const html = { headers: { 'content-type': 'text/html' }, body: `<!doctype html><p>${canary}</p>` };

describe('an answer that is not the value', () => {
  const cases: Readonly<Record<string, readonly [ScriptedAnswer, string]>> = {
    'a page with status 200': [html, 'backend_malformed'],
    'a page with status 403': [{ ...html, status: 403 }, 'backend_denied'],
    'a page with status 404': [{ ...html, status: 404 }, 'backend_malformed'],
    'a page with status 502': [{ ...html, status: 502 }, 'backend_unavailable'],
    'JSON that is no object': [{ body: [canary] }, 'backend_malformed'],
    'a text': [{ body: JSON.stringify(canary) }, 'backend_malformed'],
    null: [{ body: 'null' }, 'backend_malformed'],
    'JSON that ends too early': [{ body: `{"data":{"data":{"value":"${canary}` }, 'backend_malformed'],
    'a number as value': [secretAnswer({ value: 42, note: canary }), 'backend_malformed'],
    'an object as value': [secretAnswer({ value: { nested: canary } }), 'backend_malformed'],
    'a list as value': [secretAnswer({ value: [canary] }), 'backend_malformed'],
    'null as value': [secretAnswer({ value: null }), 'backend_malformed'],
    'a lone surrogate': [
      { body: `{"data":{"data":{"value":"${canary}\\ud800"},"metadata":{"version":1,"created_time":""}}}` },
      'backend_malformed',
    ],
    'data that is a text': [secretAnswer(canary), 'backend_malformed'],
    'data that is null with status 200': [secretAnswer(null), 'backend_malformed'],
    'no metadata, as of KV version 1': [{ body: { data: { value: canary } } }, 'backend_malformed'],
    'a version that is no number': [secretAnswer({ value: canary }, { version: canary }), 'backend_malformed'],
    'custom metadata that is no text': [
      secretAnswer({ value: canary }, { custom_metadata: { a: { b: canary } } }),
      'backend_malformed',
    ],
    'an absence with a reason': [{ status: 404, body: { errors: [canary] } }, 'backend_malformed'],
    'an absence without errors': [{ status: 404, body: { message: canary } }, 'backend_malformed'],
    'status 400': [{ status: 400, body: { errors: [canary] } }, 'backend_malformed'],
    'status 401': [{ status: 401, body: { errors: [canary] } }, 'backend_denied'],
    'status 405': [{ status: 405, body: { errors: [canary] } }, 'backend_malformed'],
    'status 412': [{ status: 412, body: { errors: [canary] } }, 'backend_unavailable'],
    'status 413': [{ status: 413, body: { errors: [canary] } }, 'backend_limit'],
    'status 429': [{ status: 429, body: { errors: [canary] } }, 'backend_throttled'],
    'status 472': [{ status: 472, body: {} }, 'backend_sealed'],
    'status 500': [{ status: 500, body: { errors: [canary] } }, 'backend_unavailable'],
    'status 503 of something before an active Vault': [{ status: 503, body: canary }, 'backend_unavailable'],
    'status 299': [{ status: 299, body: { errors: [canary] } }, 'backend_malformed'],
    'status 418': [{ status: 418, body: { errors: [canary] } }, 'backend_malformed'],
    'a redirect': [{ status: 307, headers: { location: `http://169.254.169.254/${canary}` } }, 'backend_malformed'],
    'a compressed body': [{ headers: { 'content-encoding': 'gzip' }, body: canary }, 'backend_malformed'],
    'a body of 9 MiB': [{ body: canary.padEnd(9 * 1024 * 1024, 'x') }, 'backend_malformed'],
  };

  it.each(Object.entries(cases))('is a typed error without a word of it: %s', async (_, [answer, code]) => {
    await using vault = await startScriptedVault(forData(answer));
    for (const layout of ['secret-per-key', 'fields'] as const) {
      const backend = await vault.open({ layout });
      const error = await errorOf(() => backend.get('value', { signal: signal() }));
      expect(error.code).toBe(code);
    }
  });

  it('is a field beside others that is no text', async () => {
    await using vault = await startScriptedVault(forData(secretAnswer({ password: canary, port: 5432 })));
    const error = await errorOf(async () => (await vault.open()).get('db', { signal: signal() }));
    expect(error.code).toBe('backend_malformed');
  });

  it('reads one field beside others that are no text, in the layout of fields', async () => {
    await using vault = await startScriptedVault(forData(secretAnswer({ password: canary, port: 5432 })));
    const backend = await vault.open({ layout: 'fields' });
    expect((await backend.get('password', { signal: signal() }))?.value.revealText()).toBe(canary);
    const answers = await backend.getMany(['password', 'port', 'none', '../x'], { signal: signal() });
    expect(answers.get('port')).toMatchObject({ code: 'backend_malformed' });
    expect(answers.get('none')).toBeNull();
    expect(answers.get('../x')).toMatchObject({ code: 'reference_malformed' });
    expect(vault.requests.filter(({ path }) => path === '/v1/secret/data/app')).toHaveLength(2);
  });

  it('names the time to wait, by the server’s own clock', async () => {
    const headers = { 'retry-after': 'Wed, 21 Oct 2015 07:28:07 GMT', date: 'Wed, 21 Oct 2015 07:28:00 GMT' };
    await using vault = await startScriptedVault(forData({ status: 429, headers, body: {} }));
    const error = await errorOf(async () => (await vault.open()).get('db', { signal: signal() }));
    expect(error).toMatchObject({ code: 'backend_throttled', retryAfterSeconds: 7 });
  });

  it('is not followed to another host with the token', async () => {
    await using other = await startScriptedVault(() => ({}));
    await using vault = await startScriptedVault(
      forData({ status: 302, headers: { location: `http://127.0.0.1:${other.server.port}/v1/secret/data/app/db` } }),
    );
    await errorOf(async () => (await vault.open()).get('db', { signal: signal() }));
    expect(other.server.connections()).toBe(0);
  });

  it('that comes a byte at a time ends with its caller', async () => {
    await using vault = await startScriptedVault(({ path }, socket) => {
      if (!path.startsWith('/v1/secret/')) return {};
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n`);
      const timer = setInterval(() => socket.write('x'), 50);
      socket.once('close', () => clearInterval(timer));
      return null;
    });
    const backend = await vault.open();
    const startedAt = performance.now();
    const error = await errorOf(() => backend.get('db', { signal: AbortSignal.timeout(200) }));
    expect(error.code).toBe('deadline_exceeded');
    expect(performance.now() - startedAt).toBeLessThan(40_000);
  });

  it.each([
    ['no keys', { data: {} }],
    ['keys that are no texts', { data: { keys: [1, { canary }] } }],
    ['an empty key', { data: { keys: [''] } }],
    ['keys that are a text', { data: { keys: canary } }],
  ])('is no list: %s', async (_, body) => {
    await using vault = await startScriptedVault(forData({ body }));
    const error = await errorOf(async () => (await vault.open()).list({ signal: signal(), limit: 10 }));
    expect(error.code).toBe('backend_malformed');
  });
});

describe('a log-in that is not one', () => {
  it.each<[string, ScriptedAnswer, string]>([
    ['a page', html, 'backend_malformed'],
    ['no token', { body: { auth: { lease_duration: 1 } } }, 'backend_malformed'],
    [
      'a token with a line break',
      { body: { auth: { client_token: `${canary}\nx`, lease_duration: 1 } } },
      'backend_malformed',
    ],
    [
      'a lease that is no number',
      { body: { auth: { client_token: canary, lease_duration: canary } } },
      'backend_malformed',
    ],
    ['a second factor', { body: { auth: { client_token: '', mfa_requirement: { canary } } } }, 'backend_denied'],
    ['a refusal', { status: 400, body: { errors: [canary] } }, 'backend_denied'],
    ['a failure', { status: 500, body: { errors: [canary] } }, 'backend_unavailable'],
    ['a redirect', { status: 307, headers: { location: `/${canary}` } }, 'backend_malformed'],
  ])('is a typed error without a word of it: %s', async (_, answer, code) => {
    await using vault = await startScriptedVault(({ path }) => (path.endsWith('/login') ? answer : {}));
    const error = await errorOf(async () => (await vault.open()).get('db', { signal: signal() }));
    expect(error.code).toBe(code);
  });
});

describe('what is sent', () => {
  const keys = [
    '',
    '.',
    '..',
    'a/../b',
    'a//b',
    '/a',
    'a/',
    '%2e%2e',
    'a%2fb',
    String.raw`a\b`,
    'a\r\nb',
    'a\0',
    'a\u200b',
    '\ud800',
  ];

  it.each(keys)('is nothing for a key that is no name: %j', async (key) => {
    await using vault = await startScriptedVault(() => ({}));
    const error = await errorOf(async () => (await vault.open()).get(key, { signal: signal() }));
    expect(error.code).toBe('reference_malformed');
    expect(vault.requests).toHaveLength(0);
  });

  it('has each segment encoded, and the credential where it belongs', async () => {
    await using vault = await startScriptedVault(forData(secretAnswer({ value: canary })));
    const backend = await vault.open({ namespace: 'teams/a' });
    await backend.get('a b/#?ö', { signal: signal(), version: '12' });
    const [login, read] = vault.requests;
    expect(login).toMatchObject({ method: 'POST', path: '/v1/auth/approle/login' });
    expect(JSON.parse(login?.body ?? '')).toEqual({ role_id: 'role', secret_id: scriptedSecretId });
    expect(login?.headers).toMatchObject({ 'x-vault-namespace': 'teams/a', 'x-vault-request': 'true' });
    expect(login?.headers).not.toHaveProperty('x-vault-token');
    expect(read).toMatchObject({ method: 'GET', path: '/v1/secret/data/app/a%20b/%23%3F%C3%B6?version=12', body: '' });
    expect(read?.headers).toMatchObject({ 'x-vault-token': scriptedToken, 'x-vault-namespace': 'teams/a' });
  });

  it('goes on below an address with a path', async () => {
    await using vault = await startScriptedVault(() => ({}));
    const backend = await vault.open({ address: `http://127.0.0.1:${vault.server.port}/gateway/vault/` });
    await backend.check({ signal: signal() });
    expect(vault.requests.map(({ path }) => path)[0]).toBe('/gateway/vault/v1/sys/health');
  });

  it('is no write, whatever is called', async () => {
    await using vault = await startScriptedVault(() => ({}));
    const backend = await vault.open();
    const options = { signal: signal(), expect: { kind: 'any' }, intentId: 'i' } as const;
    const content = SecretValue.fromText('x');
    await expect(backend.put('a', { value: content, shape: 'text' }, options)).rejects.toMatchObject({
      code: 'not_supported',
    });
    await expect(backend.delete('a', options)).rejects.toMatchObject({ code: 'not_supported' });
    expect(vault.requests).toHaveLength(0);
  });
});

describe('a tried connection', () => {
  it('to something else than Vault says so', async () => {
    await using vault = await startScriptedVault(() => html);
    const lines = await (await vault.open()).check({ signal: signal() });
    expect(lines.map(({ outcome }) => outcome).join(' ')).toBe('ok ok ok failed skipped skipped skipped skipped');
    assertHidden(lines, hidden);
  });

  it('to an address that is not allowed opens nothing', async () => {
    await using vault = await startScriptedVault(() => ({}));
    const lines = await (await vault.open({ address: 'http://169.254.169.254' })).check({ signal: signal() });
    expect(lines[0]).toMatchObject({ step: 'address', outcome: 'failed', code: 'egress_denied' });
    expect(lines.slice(1).every(({ outcome }) => outcome === 'skipped')).toBe(true);
  });
});
