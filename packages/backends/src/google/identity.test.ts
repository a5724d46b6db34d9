import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { canServeTls } from '../../testing/certificate.ts';
import { type GoogleWorld, startGoogleWorld } from '../../testing/google-double.ts';
import { type GoogleMetadata, startGoogleMetadata } from '../../testing/google-metadata.ts';
import { actedAs } from '../../testing/google-tokens.ts';
import { refusalOf } from '../../testing/refusal.ts';

const canary = 'canary-93f2bb10';
const signal = () => AbortSignal.timeout(60_000);
const lent = { externalId: 'strongroom-1' };

describe.skipIf(!canServeTls)('an identity at Google, of which these are doubles', () => {
  let world: GoogleWorld;
  beforeAll(async () => {
    world = await startGoogleWorld();
    world.manager.set('db', Buffer.from(canary));
  });
  afterEach(() => {
    world.tokens.script = null;
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const errorOf = (call: () => Promise<unknown>) =>
    refusalOf(call, [canary, 'canary-token', 'canary-key-id', 'Bearer', 'PRIVATE KEY', 'eyJ']);
  const read = (backend: ReturnType<typeof world.open>) => backend.get('db', { signal: signal() });
  const changed = (change: object): string =>
    JSON.stringify({ ...(JSON.parse(world.tokens.serviceAccountKey) as object), ...change });

  describe('by the key of a service account', () => {
    it.each<readonly [string, () => string]>([
      ['no JSON', () => `{"private_key": "${canary}`],
      ['no object', () => JSON.stringify([canary])],
      ['an external account, which says where tokens come from', () => changed({ type: 'external_account' })],
      ['a user', () => changed({ type: 'authorized_user' })],
      ['another token endpoint', () => changed({ token_uri: 'https://oauth2.googleapis.com.example.com/token' })],
      ['another path of it', () => changed({ token_uri: 'https://oauth2.googleapis.com/token?x' })],
      ['no token endpoint', () => changed({ token_uri: undefined })],
      ['another universe', () => changed({ universe_domain: 'example.com' })],
      ['no mail address', () => changed({ client_email: `a b@${canary}` })],
      ['no private key', () => changed({ private_key: canary })],
      [
        'a private key that is none',
        () => changed({ private_key: `-----BEGIN PRIVATE KEY-----\n${btoa(canary)}\n-----END PRIVATE KEY-----\n` }),
      ],
      ['an id that breaks out of the header', () => changed({ private_key_id: `a"\r\n${canary}` })],
    ])('takes no other credential: %s', async (_, key) => {
      const before = world.tokens.requests.length;
      const error = await errorOf(() => read(world.open({ serviceAccountKey: key() })));
      expect(error.code).toBe('validation_failed');
      const many = await errorOf(() => world.open({ serviceAccountKey: key() }).getMany(['db'], { signal: signal() }));
      expect(many.code).toBe('validation_failed');
      expect(world.tokens.requests.length).toBe(before);
    });

    it('says what is wrong when Google does not take it', async () => {
      const backend = () => world.open({ serviceAccountKey: changed({ private_key_id: 'deleted' }) });
      expect((await errorOf(() => read(backend()))).code).toBe('backend_denied');
      expect((await errorOf(() => backend().getMany(['db', 'x'], { signal: signal() }))).code).toBe('backend_denied');
      const lines = await backend().check({ signal: signal() });
      expect(lines.map(({ step, code, outcome }) => [step, code ?? outcome])).toEqual([
        ['address', 'ok'],
        ['reachable', 'ok'],
        ['tls', 'ok'],
        ['login', 'backend_denied'],
        ['list', 'skipped'],
        ['read', 'skipped'],
      ]);
    });

    it.each<readonly [number, unknown, string]>([
      [400, { error: 'invalid_grant', error_description: canary }, 'backend_denied'],
      [429, canary, 'backend_throttled'],
      [503, canary, 'backend_unavailable'],
      [307, canary, 'backend_malformed'],
      [200, `<p>${canary}</p>`, 'backend_malformed'],
      [200, [canary], 'backend_malformed'],
      [200, { access_token: `${canary}\r\nx: y`, expires_in: 60 }, 'backend_malformed'],
      [200, { access_token: 7, expires_in: 60 }, 'backend_malformed'],
      [200, { access_token: canary, expires_in: '60' }, 'backend_malformed'],
      [200, { access_token: canary, expires_in: -1 }, 'backend_malformed'],
      [200, canary.padEnd(100_000, 'x'), 'backend_malformed'],
    ])('takes nothing for a token that is none: %s', async (status, body, code) => {
      world.tokens.script = () => ({ status, body });
      expect((await errorOf(() => read(world.open()))).code).toBe(code);
    });
  });

  describe('that the server has', () => {
    let metadata: GoogleMetadata;
    let home: string;
    const authentication = { method: 'application-default' } as const;
    beforeEach(async () => {
      metadata = await startGoogleMetadata(world.manager.tokens);
      home = mkdtempSync(join(tmpdir(), 'strongroom-home-'));
      vi.stubEnv('GCE_METADATA_HOST', metadata.host);
      vi.stubEnv('METADATA_SERVER_DETECTION', 'assume-present');
      vi.stubEnv('CLOUDSDK_CONFIG', home);
      vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', '');
    });
    afterEach(async () => {
      vi.unstubAllEnvs();
      rmSync(home, { recursive: true });
      await metadata[Symbol.asyncDispose]();
    });

    it('is used only when a profile lends it, and for Google only', async () => {
      expect((await errorOf(async () => world.open({ settings: { authentication } }))).code).toBe('state_conflict');
      const settings = { authentication, endpoint: 'https://secretmanager.example.com' };
      expect((await errorOf(async () => world.open({ settings, lent }))).code).toBe('validation_failed');
      expect(metadata.requests).toEqual([]);
    });

    it('reads as the machine', async () => {
      const backend = world.open({ settings: { authentication }, lent });
      await backend.getMany(['db', 'x'], { signal: signal() });
      expect((await read(backend))?.value.revealText()).toBe(canary);
      expect(metadata.requests.filter((path) => path.endsWith('/token'))).toHaveLength(1);
      await backend.close();
    });

    it('acts as a service account', async () => {
      const before = world.tokens.requests.length;
      const settings = { authentication: { ...authentication, serviceAccount: actedAs } };
      const backend = world.open({ settings, lent });
      expect((await read(backend))?.value.revealText()).toBe(canary);
      expect(world.tokens.requests.slice(before)).toEqual([
        `POST /v1/projects/-/serviceAccounts/${actedAs}:generateAccessToken`,
      ]);
      await backend.close();
      const other = { authentication: { ...authentication, serviceAccount: `other-${actedAs}` } };
      expect((await errorOf(() => read(world.open({ settings: other, lent })))).code).toBe('backend_denied');
      world.tokens.script = () => ({ status: 200, body: { accessToken: canary, expireTime: canary } });
      expect((await errorOf(() => read(world.open({ settings, lent })))).code).toBe('backend_malformed');
    });

    it('is missing where the operator gave none', async () => {
      writeFileSync(join(home, 'broken.json'), `{"type": "${canary}`);
      vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', join(home, 'broken.json'));
      const error = await errorOf(() => read(world.open({ settings: { authentication }, lent })));
      expect(error.code).toBe('key_unavailable');
      expect(error.message).not.toContain(home);
    });
  });

  it('and what is read appear in no log, and go by no proxy, whatever the environment says', async () => {
    const child = fileURLToPath(new URL('../../testing/google-child.ts', import.meta.url));
    const environment = {
      PATH: process.env['PATH'],
      GOOGLE_SDK_NODE_LOGGING: '*',
      GOOGLE_SDK_NODE_ENABLE_TRACING: 'true',
      GRPC_VERBOSITY: 'DEBUG',
      GRPC_TRACE: 'all',
      NODE_DEBUG: 'gaxios',
      DEBUG: '*',
      HTTPS_PROXY: 'http://127.0.0.1:9',
      grpc_proxy: 'http://127.0.0.1:9',
      GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: '/nowhere/roots.pem',
      GOOGLE_API_USE_CLIENT_CERTIFICATE: 'true',
      GOOGLE_API_USE_MTLS_ENDPOINT: 'always',
      GOOGLE_CLOUD_UNIVERSE_DOMAIN: 'example.com',
      GOOGLE_APPLICATION_CREDENTIALS: '/nowhere/key.json',
    };
    const run = spawn(process.execPath, [child, canary], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    const [out, said] = await Promise.all([text(run.stdout), text(run.stderr), once(run, 'close')]);
    expect(out).toBe('read it');
    for (const secret of [canary, Buffer.from(canary).toString('base64'), 'canary-token', 'PRIVATE KEY'])
      expect(said).not.toContain(secret);
  });
});
