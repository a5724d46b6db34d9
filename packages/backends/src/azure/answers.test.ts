import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type AzureAnswer, azureClientId, azureTenant } from '../../testing/azure-key-vault.ts';
import { canServeTls } from '../../testing/certificate.ts';
import { type AzureWorld, startAzureWorld } from '../../testing/azure-double.ts';
import { refusalOf } from '../../testing/refusal.ts';
import { limited } from '../wrappers/limited.ts';

const canary = 'canary-2e90b7c1';
const signal = () => AbortSignal.timeout(60_000);

describe.skipIf(!canServeTls)('Azure Key Vault, of which this is a double', () => {
  let world: AzureWorld;
  beforeAll(async () => {
    world = await startAzureWorld();
    world.vault.set('db', canary);
  });
  afterEach(() => {
    world.vault.script = null;
    world.vault.resource = 'localhost';
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const errorOf = (call: () => Promise<unknown>) =>
    refusalOf(call, [canary, world.vault.clientSecret, 'canary-token', 'Bearer']);
  const ofSecrets = (answer: AzureAnswer) => (path: string) => (path.startsWith('/secrets') ? answer : null);
  const id = () => `https://vault.localhost:${new URL(world.proxy.url).port}/secrets/db/${'a'.repeat(32)}`;
  const failure = (status: number, code: string): AzureAnswer => ({
    status,
    body: { error: { code, message: canary } },
  });

  describe('an answer that is not the value', () => {
    const cases: Readonly<Record<string, readonly [() => AzureAnswer, string]>> = {
      'a page with status 200': [() => ({ status: 200, body: `<p>${canary}</p>` }), 'backend_malformed'],
      'JSON that is no object': [() => ({ status: 200, body: [canary] }), 'backend_malformed'],
      null: [() => ({ status: 200, body: 'null' }), 'backend_malformed'],
      'no id': [() => ({ status: 200, body: { value: canary } }), 'backend_malformed'],
      'a number as value': [() => ({ status: 200, body: { id: id(), value: 42 } }), 'backend_malformed'],
      'an object as value': [() => ({ status: 200, body: { id: id(), value: { canary } } }), 'backend_malformed'],
      'a lone surrogate': [
        () => ({ status: 200, body: `{"id":"${id()}","value":"${canary}\\ud800"}` }),
        'backend_malformed',
      ],
      'another secret': [
        () => ({ status: 200, body: { id: id().replace('/db/', '/other/'), value: canary } }),
        'backend_malformed',
      ],
      'another vault': [
        () => ({ status: 200, body: { id: id().replace('vault.', 'other.'), value: canary } }),
        'backend_malformed',
      ],
      'a page that is not there': [() => ({ status: 404, body: canary }), 'backend_malformed'],
      'another absence': [() => failure(404, 'VaultNotFound'), 'backend_malformed'],
      'a parameter that is not taken': [() => failure(400, 'BadParameter'), 'backend_malformed'],
      'a refusal': [() => failure(403, 'Forbidden'), 'backend_denied'],
      throttling: [() => failure(429, 'Throttled'), 'backend_throttled'],
      'a failure': [() => failure(500, 'InternalServerError'), 'backend_unavailable'],
      'a service that is away': [() => failure(503, 'ServiceUnavailable'), 'backend_unavailable'],
      'a redirect': [
        () => ({ status: 307, headers: { location: `https://169.254.169.254/${canary}` }, body: '' }),
        'backend_malformed',
      ],
      'a body of 2 MiB': [() => ({ status: 200, body: canary.padEnd(2 * 1024 * 1024, 'x') }), 'backend_malformed'],
    };
    it.each(Object.entries(cases))('is a typed error without a word of it: %s', async (_, [answer, code]) => {
      world.vault.script = ofSecrets(answer());
      expect((await errorOf(() => world.open().get('db', { signal: signal() }))).code).toBe(code);
    });
  });

  it('tells deleted, disabled and missing apart', async () => {
    const { vault } = world;
    const backend = world.open();
    for (const name of ['deleted', 'disabled']) vault.set(name, canary);
    vault.softDelete('deleted');
    vault.disable('disabled');
    for (const name of ['deleted', 'disabled'])
      expect((await errorOf(() => backend.get(name, { signal: signal() }))).code).toBe('backend_deleted');
    expect(await backend.get('missing', { signal: signal() })).toBeNull();
    vault.script = (path) => (path.startsWith('/deletedsecrets') ? failure(403, 'Forbidden') : null);
    expect(await backend.get('missing', { signal: signal() })).toBeNull();
    vault.script = (path) => (path.startsWith('/deletedsecrets') ? failure(500, 'Internal') : null);
    expect((await errorOf(() => backend.get('missing', { signal: signal() }))).code).toBe('backend_unavailable');
  });

  it('asks nothing for what can be no name, no version, no cursor', async () => {
    const backend = world.open();
    const before = world.vault.requests.length;
    for (const key of ['', 'a_b', 'a/b', '../x', 'x'.repeat(128), 'ä'])
      expect((await errorOf(() => backend.get(key, { signal: signal() }))).code).toBe('validation_failed');
    expect((await errorOf(() => backend.get('db', { signal: signal(), version: '../x' }))).code).toBe(
      'validation_failed',
    );
    for (const cursor of ['https://elsewhere.localhost/secrets?x=1', '//elsewhere/secrets?x', '/keys?x'])
      expect((await errorOf(() => backend.list({ signal: signal(), limit: 5, cursor }))).code).toBe('cursor_invalid');
    expect(world.vault.requests.length).toBe(before);
  });

  it.each(['https://elsewhere.localhost/secrets?a=1', '/secrets?a=1', 7, 'https://vault.localhost/secrets?a=1'])(
    'follows no link to a next page elsewhere: %s',
    async (nextLink) => {
      world.vault.script = ofSecrets({ status: 200, body: { value: [], nextLink } });
      const error = await errorOf(() => world.open().list({ signal: signal(), limit: 5 }));
      expect(error.code).toBe('backend_malformed');
    },
  );

  it('signs in once for many reads, and shows the vault no token before it asks', async () => {
    const before = world.vault.requests.length;
    const backend = world.open();
    await backend.getMany(['db', 'DB', 'none'], { signal: signal() });
    const answers = await backend.getMany(['db', 'DB'], { signal: signal() });
    expect(answers.get('DB')).toBeNull();
    const signIns = world.vault.requests.slice(before).filter((request) => request.startsWith('POST'));
    expect(signIns).toEqual([`POST /${azureTenant}/oauth2/v2.0/token`]);
  });

  it('signs in again once when Azure takes the token no more, and says so when it takes neither', async () => {
    const { vault } = world;
    const backend = world.open();
    await backend.get('db', { signal: signal() });
    vault.tokens.clear();
    const before = vault.requests.length;
    const isSignIn = (request: string) => request.startsWith('POST');
    expect((await backend.get('db', { signal: signal() }))?.value.revealText()).toBe(canary);
    expect(vault.requests.slice(before).filter(isSignIn)).toHaveLength(1);
    const add = vault.tokens.add.bind(vault.tokens);
    vault.tokens.clear();
    vault.tokens.add = () => vault.tokens;
    const then = vault.requests.length;
    expect(await errorOf(() => backend.get('db', { signal: signal() }))).toMatchObject({ code: 'backend_denied' });
    expect(vault.requests.slice(then).filter(isSignIn)).toHaveLength(1);
    vault.tokens.add = add;
    expect((await backend.getMany(['db', 'none'], { signal: signal() })).get('none')).toBeNull();
  });

  it('says of signing in what is wrong with it', async () => {
    const wrong = world.open({ clientSecret: `${canary}-wrong` });
    expect(await errorOf(() => wrong.get('db', { signal: signal() }))).toMatchObject({ code: 'backend_denied' });
    expect(await errorOf(() => wrong.getMany(['db', 'x'], { signal: signal() }))).toMatchObject({
      code: 'backend_denied',
    });
    const lines = await wrong.check({ signal: signal() });
    expect(lines.map(({ step, code, outcome }) => [step, code ?? outcome])).toEqual([
      ['address', 'ok'],
      ['reachable', 'ok'],
      ['tls', 'ok'],
      ['login', 'backend_denied'],
      ['list', 'skipped'],
      ['read', 'skipped'],
    ]);
    const ofSignIn = (answer: AzureAnswer) => (path: string) => (path.endsWith('/token') ? answer : null);
    for (const [answer, code] of [
      [{ status: 429, body: { error: canary } }, 'backend_throttled'],
      [{ status: 503, body: canary }, 'backend_unavailable'],
      [{ status: 200, body: `<p>${canary}</p>` }, 'backend_malformed'],
    ] as const) {
      world.vault.script = ofSignIn(answer);
      expect((await errorOf(() => world.open().get('db', { signal: signal() }))).code).toBe(code);
    }
  });

  it('shows no token to a vault whose challenge is for another domain', async () => {
    world.vault.resource = 'vault.azure.net';
    const before = world.vault.requests.length;
    expect((await errorOf(() => world.open().get('db', { signal: signal() }))).code).toBe('backend_malformed');
    expect(world.vault.requests.slice(before)).toEqual(['GET /secrets/db/']);
  });

  it('passes every step of a tried connection', async () => {
    const lines = await world.open().check({ signal: signal() });
    expect(lines.map(({ step, outcome }) => [step, outcome])).toEqual(
      ['address', 'reachable', 'tls', 'login', 'list', 'read'].map((step) => [step, 'ok']),
    );
  });

  it('meets throttling with at most one retry for five calls, and hands on the pause', async () => {
    world.vault.script = ofSecrets({ ...failure(429, 'Throttled'), headers: { 'retry-after': '3' } });
    expect(await errorOf(() => world.open().get('db', { signal: signal() }))).toMatchObject({ retryAfterSeconds: 3 });
    world.vault.script = ofSecrets({ ...failure(429, 'Throttled'), headers: { 'retry-after': '86400' } });
    expect(await errorOf(() => world.open().get('db', { signal: signal() }))).toMatchObject({
      retryAfterSeconds: 3600,
    });
    world.vault.script = ofSecrets(failure(429, 'Throttled'));
    const backend = limited(world.open(), { backoffMs: 1 });
    const before = world.vault.requests.length;
    for (let call = 0; call < 20; call += 1) await errorOf(() => backend.get('db', { signal: signal() }));
    expect(world.vault.requests.length - before).toBeLessThanOrEqual(24);
    expect(world.vault.requests.length - before).toBeGreaterThan(20);
  });

  it('goes nowhere that the guard does not allow', async () => {
    for (const vaultUrl of [
      'https://169.254.169.254',
      'https://2130706433',
      'https://10.0.0.1',
      'https://[::ffff:a9fe:a9fe]',
    ]) {
      const backend = world.open({ settings: { vaultUrl } });
      expect((await errorOf(() => backend.get('db', { signal: signal() }))).code).toBe('egress_denied');
    }
  });

  it('uses the identity of the server only when a profile lends it, and for vaults only', async () => {
    for (const method of ['managed-identity', 'workload-identity'] as const) {
      const authentication = { method, clientId: azureClientId };
      expect((await errorOf(async () => world.open({ settings: { authentication } }))).code).toBe('state_conflict');
      const settings = { authentication, vaultUrl: 'https://vault.example.com' };
      const lent = { externalId: 'strongroom-1' };
      expect((await errorOf(async () => world.open({ settings, lent }))).code).toBe('validation_failed');
    }
  });

  it('ends with its signal, and after closing', async () => {
    const backend = world.open();
    const aborted = AbortSignal.abort();
    expect((await errorOf(() => backend.get('db', { signal: aborted }))).code).toBe('deadline_exceeded');
    await backend.close();
    expect((await errorOf(() => backend.get('db', { signal: signal() }))).code).toBe('shutting_down');
  });
});
