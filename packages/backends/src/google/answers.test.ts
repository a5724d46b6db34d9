import { once } from 'node:events';
import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import { grpc } from 'google-gax';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { canServeTls } from '../../testing/certificate.ts';
import { type GoogleWorld, startGoogleWorld } from '../../testing/google-double.ts';
import type { GoogleAnswer } from '../../testing/google-secret-manager.ts';
import { refusalOf } from '../../testing/refusal.ts';
import { startRawServer } from '../../testing/servers.ts';
import { createEgress } from '../egress/index.ts';
import { limited } from '../wrappers/limited.ts';
import { crc32c } from './crc32c.ts';

const canary = 'canary-51d0a7e3';
const bytes = Buffer.from(canary);
const signal = () => AbortSignal.timeout(60_000);

describe.skipIf(!canServeTls)('Google Secret Manager, of which this is a double', () => {
  let world: GoogleWorld;
  beforeAll(async () => {
    world = await startGoogleWorld();
    world.manager.set('db', bytes);
  });
  afterEach(() => {
    world.manager.script = null;
    world.tokens.script = null;
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const errorOf = (call: () => Promise<unknown>) =>
    refusalOf(call, [canary, 'canary-token', 'canary-key-id', 'Bearer', 'PRIVATE KEY', 'message of Google']);
  const name = 'projects/123456789012/secrets/db/versions/1';
  const secret = (change: object): GoogleAnswer => ({
    message: { name, payload: { data: bytes, dataCrc32c: String(crc32c(bytes)) }, ...change },
  });
  const failing = (code: grpc.status): GoogleAnswer => ({ code, details: canary });

  describe('an answer that is not the value', () => {
    const payload = { data: bytes, dataCrc32c: String(crc32c(bytes)) };
    const cases: Readonly<Record<string, readonly [GoogleAnswer, string]>> = {
      'bytes that are no message': [{ bytes }, 'backend_malformed'],
      'a message that ends too early': [{ bytes: Buffer.from([0x12, 0xff, 0x01]) }, 'backend_malformed'],
      'no bytes': [{ bytes: Buffer.alloc(0) }, 'backend_malformed'],
      'a message of 17 MiB': [{ bytes: Buffer.alloc(17 * 1024 * 1024) }, 'backend_malformed'],
      'no payload': [secret({ payload: null }), 'backend_malformed'],
      'an empty payload': [secret({ payload: {} }), 'backend_malformed'],
      'another checksum': [secret({ payload: { ...payload, dataCrc32c: '1' } }), 'backend_malformed'],
      'a negative checksum': [secret({ payload: { ...payload, dataCrc32c: '-1' } }), 'backend_malformed'],
      'another secret': [secret({ name: name.replace('/db/', '/other/') }), 'backend_malformed'],
      'a name in other letters': [secret({ name: name.replace('/db/', '/DB/') }), 'backend_malformed'],
      'a secret of a location': [
        secret({ name: name.replace('/secrets', '/locations/x/secrets') }),
        'backend_malformed',
      ],
      'no name': [secret({ name: '' }), 'backend_malformed'],
      'no version': [secret({ name: name.replace(/\/versions.*/, '') }), 'backend_malformed'],
      'a version that is none': [secret({ name: `${name}${canary}` }), 'backend_malformed'],
      'a refusal': [failing(grpc.status.PERMISSION_DENIED), 'backend_denied'],
      throttling: [failing(grpc.status.RESOURCE_EXHAUSTED), 'backend_throttled'],
      'a service that is away': [failing(grpc.status.UNAVAILABLE), 'backend_unavailable'],
      'a failure': [failing(grpc.status.INTERNAL), 'backend_unavailable'],
      'something unknown': [failing(grpc.status.UNKNOWN), 'backend_unavailable'],
      'its own deadline': [failing(grpc.status.DEADLINE_EXCEEDED), 'backend_unavailable'],
      'a call that it gave up': [failing(grpc.status.CANCELLED), 'backend_unavailable'],
      'an argument that is not taken': [failing(grpc.status.INVALID_ARGUMENT), 'backend_malformed'],
      'a method that it does not have': [failing(grpc.status.UNIMPLEMENTED), 'backend_malformed'],
      'a status that there is none of': [failing(99 as grpc.status), 'backend_unavailable'],
    };
    it.each(Object.entries(cases))('is a typed error without a word of it: %s', async (_, [answer, code]) => {
      world.manager.script = () => answer;
      expect((await errorOf(() => world.open().get('db', { signal: signal() }))).code).toBe(code);
    });

    it.each<readonly [string, GoogleAnswer]>([
      ['bytes', { bytes }],
      ['a secret without a name', { message: { secrets: [{}] } }],
      ['a secret of another kind', { message: { secrets: [{ name: `projects/1/things/${canary}` }] } }],
      ['a name that can be none', { message: { secrets: [{ name: `projects/1/secrets/${canary}\n` }] } }],
      ['a token that is none', { message: { nextPageToken: `a\n${canary}` } }],
      ['no such project', failing(5)],
    ])('is a listing that is none: %s', async (_, answer) => {
      world.manager.script = () => answer;
      const error = await errorOf(() => world.open().list({ signal: signal(), limit: 10 }));
      expect(error.code).toBe('backend_malformed');
    });

    const html = `<!doctype html><p>${canary}</p>`;
    it.each<readonly [number, string, string]>([
      [200, html, 'backend_malformed'],
      [307, '', 'backend_malformed'],
      [401, html, 'backend_denied'],
      [403, html, 'backend_denied'],
      [404, html, 'backend_malformed'],
      [500, html, 'backend_malformed'],
    ])('is a page of something that speaks HTTP/2: %s', async (status, body, code) => {
      await using page = await startPage((stream) => {
        stream.respond({
          ':status': status,
          'content-type': 'text/html',
          location: `https://169.254.169.254/${canary}`,
        });
        stream.end(body);
      });
      const backend = world.open({ settings: { endpoint: page.url } });
      expect((await errorOf(() => backend.get('db', { signal: signal() }))).code).toBe(code);
    });

    it('is an answer that ends without a status', async () => {
      await using page = await startPage((stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
        stream.end(Buffer.from([0, 0, 0, 0, 5, 1]));
      });
      const backend = world.open({ settings: { endpoint: page.url } });
      expect((await errorOf(() => backend.get('db', { signal: signal() }))).code).toBe('backend_unavailable');
    });
  });

  async function startPage(answer: (stream: ServerHttp2Stream) => void) {
    const { key, certificate } = world.certificate;
    const server = createSecureServer({ key, cert: certificate });
    server.on('stream', answer);
    server.on('sessionError', () => undefined);
    const sessions = new Set<{ destroy(): void }>();
    server.on('session', (session) => sessions.add(session));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    return {
      url: `https://secretmanager.localhost:${typeof address === 'object' ? address?.port : ''}`,
      async [Symbol.asyncDispose]() {
        for (const session of sessions) session.destroy();
        server.close();
        await once(server, 'close');
      },
    };
  }

  it('tells disabled, destroyed, missing and a key that it may not use apart', async () => {
    const { manager } = world;
    const backend = world.open();
    for (const state of ['DISABLED', 'DESTROYED'] as const) {
      manager.set(state, bytes);
      manager.setState(state, state);
      const error = await errorOf(() => backend.get(state, { signal: signal() }));
      expect([error.code, error.message]).toEqual(['backend_deleted', expect.stringContaining(state.toLowerCase())]);
    }
    expect(await backend.get('missing', { signal: signal() })).toBeNull();
    expect(await backend.get('db', { signal: signal(), version: '77' })).toBeNull();
    const mayNotAsk = failing(grpc.status.PERMISSION_DENIED);
    manager.script = ({ method }) => (method === 'getSecretVersion' ? mayNotAsk : null);
    const error = await errorOf(() => backend.get('DISABLED', { signal: signal() }));
    expect([error.code, error.message]).toEqual(['backend_deleted', expect.stringContaining('disabled or destroyed')]);
    manager.script = ({ method }) => (method === 'getSecretVersion' ? failing(grpc.status.INTERNAL) : null);
    expect((await errorOf(() => backend.get('DISABLED', { signal: signal() }))).code).toBe('backend_unavailable');
    manager.script = ({ method }) => (method === 'accessSecretVersion' ? failing(9) : null);
    expect((await errorOf(() => backend.get('db', { signal: signal() }))).code).toBe('backend_denied');
  });

  it('asks nothing for what can be no name, no version, no cursor', async () => {
    const backend = world.open({ settings: { prefix: 'prod-' } });
    const before = world.manager.requests.length;
    for (const key of ['', 'prod-a.b', 'prod-a/b', '../x', `prod-${'x'.repeat(255)}`, 'prod-ä', 'dev-x', 'prod-x\n'])
      expect((await errorOf(() => backend.get(key, { signal: signal() }))).code).toBe('validation_failed');
    for (const version of ['latest', '0', '-1', '1/../2', '01', '1'.repeat(19)])
      expect((await errorOf(() => backend.get('prod-x', { signal: signal(), version }))).code).toBe(
        'validation_failed',
      );
    for (const cursor of ['', 'a b', 'ä', 'x'.repeat(5000)])
      expect((await errorOf(() => backend.list({ signal: signal(), limit: 5, cursor }))).code).toBe('cursor_invalid');
    expect(world.manager.requests.length).toBe(before);
  });

  it('reads the version or the alias that the settings name', async () => {
    const { manager } = world;
    manager.set('many', Buffer.from('one'));
    manager.set('many', Buffer.from('two'));
    manager.alias('many', 'stable', 1);
    for (const [version, text] of [
      [undefined, 'two'],
      ['latest', 'two'],
      ['stable', 'one'],
      ['1', 'one'],
    ] as const) {
      const backend = world.open({ settings: version === undefined ? {} : { version } });
      const entry = await backend.get('many', { signal: signal() });
      expect([entry?.value.revealText(), entry?.version]).toEqual([text, text === 'two' ? '2' : '1']);
      expect((await backend.versions?.(['many'], { signal: signal() }))?.get('many')).toEqual({
        version: entry?.version,
      });
    }
  });

  it('asks the location, the project and the labels that the settings name', async () => {
    const backend = world.open({
      settings: { location: 'europe-west3', prefix: 'team-', labels: ['team:finance', 'stage:prod'] },
    });
    world.manager.set('team-a', bytes, { team: 'finance', stage: 'prod' });
    world.manager.set('team-b', bytes, { team: 'finance' });
    world.manager.set('other-team-c', bytes, { team: 'finance', stage: 'prod' });
    const page = await backend.list({ signal: signal(), limit: 100 });
    expect(page).toEqual({ items: [{ key: 'team-a' }], nextCursor: null });
    expect((await backend.get('team-b', { signal: signal() }))?.value.revealText()).toBe(canary);
    expect(world.manager.requests.at(-1)).toMatchObject({
      name: 'projects/finance-prod/locations/europe-west3/secrets/team-b/versions/latest',
      authority: `secretmanager.localhost:${new URL(world.proxy.url).port}`,
    });
  });

  it('signs in once for many reads', async () => {
    const before = world.tokens.requests.length;
    const backend = world.open();
    await backend.getMany(['db', 'DB', 'none'], { signal: signal() });
    const answers = await backend.getMany(['db', 'DB'], { signal: signal() });
    expect(answers.get('DB')).toBeNull();
    expect(world.tokens.requests.slice(before)).toEqual(['POST /token']);
  });

  it('has another token once when Google takes the first no more, and says so when it takes neither', async () => {
    const backend = world.open();
    await backend.get('db', { signal: signal() });
    const before = world.tokens.requests.length;
    world.manager.tokens.clear();
    expect((await backend.get('db', { signal: signal() }))?.value.revealText()).toBe(canary);
    expect(world.tokens.requests.length).toBe(before + 1);
    world.manager.script = () => failing(grpc.status.UNAUTHENTICATED);
    const asked = world.manager.requests.length;
    expect((await errorOf(() => backend.get('db', { signal: signal() }))).code).toBe('backend_denied');
    expect(world.manager.requests.length).toBe(asked + 2);
    expect((await errorOf(() => backend.getMany(['db', 'x'], { signal: signal() }))).code).toBe('backend_denied');
  });

  it('names the reason of a refusal where Google names one', async () => {
    world.manager.script = () => ({
      ...failing(grpc.status.PERMISSION_DENIED),
      metadata: {
        'grpc-status-details-bin': statusWith('google.rpc.ErrorInfo', field(1, Buffer.from('SERVICE_DISABLED'))),
      },
    });
    const error = await errorOf(() => world.open().get('db', { signal: signal() }));
    expect([error.code, error.hint]).toEqual(['backend_denied', 'Enable the Secret Manager API in the project.']);
  });

  it('meets throttling with at most one retry for five calls, and hands on the pause', async () => {
    const delay = statusWith('google.rpc.RetryInfo', field(1, Buffer.from([0x08, 3])));
    const throttled = failing(grpc.status.RESOURCE_EXHAUSTED);
    world.manager.script = () => ({ ...throttled, metadata: { 'grpc-status-details-bin': delay } });
    expect(await errorOf(() => world.open().get('db', { signal: signal() }))).toMatchObject({ retryAfterSeconds: 3 });
    // 86,400 seconds as a varint.
    const day = statusWith('google.rpc.RetryInfo', field(1, Buffer.from([0x08, 0x80, 0xa3, 0x05])));
    world.manager.script = () => ({ ...throttled, metadata: { 'grpc-status-details-bin': day } });
    expect(await errorOf(() => world.open().get('db', { signal: signal() }))).toMatchObject({
      retryAfterSeconds: 3600,
    });
    world.manager.script = () => throttled;
    const backend = limited(world.open(), { backoffMs: 1 });
    const before = world.manager.requests.length;
    for (let call = 0; call < 20; call += 1) await errorOf(() => backend.get('db', { signal: signal() }));
    expect(world.manager.requests.length - before).toBeLessThanOrEqual(24);
    expect(world.manager.requests.length - before).toBeGreaterThan(20);
  });

  it('passes every step of a tried connection, also where the first secret is disabled', async () => {
    world.manager.set('0-disabled', bytes);
    world.manager.setState('0-disabled', 'DISABLED');
    const lines = await world.open().check({ signal: signal() });
    world.manager.delete('0-disabled');
    expect(lines.map(({ step, outcome }) => [step, outcome])).toEqual(
      ['address', 'reachable', 'tls', 'login', 'list', 'read'].map((step) => [step, 'ok']),
    );
  });

  it('says which step of a tried connection fails', async () => {
    const failed = async (backend: ReturnType<typeof world.open>) =>
      (await backend.check({ signal: signal() })).filter(({ outcome }) => outcome === 'failed');
    world.manager.script = ({ method }) => (method === 'listSecrets' ? failing(grpc.status.PERMISSION_DENIED) : null);
    expect(await failed(world.open())).toMatchObject([{ step: 'list', code: 'backend_denied' }]);
    world.manager.script = ({ method }) =>
      method === 'accessSecretVersion' ? failing(grpc.status.PERMISSION_DENIED) : null;
    expect(await failed(world.open())).toMatchObject([{ step: 'read', code: 'backend_denied' }]);
    world.manager.script = () => failing(grpc.status.UNAUTHENTICATED);
    expect(await failed(world.open())).toMatchObject([{ step: 'login', code: 'backend_denied' }]);
    const port = new URL(world.proxy.url).port;
    const elsewhere = world.open({ settings: { endpoint: `https://other.localhost:${port}` } });
    expect(await failed(elsewhere)).toMatchObject([{ step: 'tls', code: 'backend_unavailable' }]);
    const denied = world.open({ settings: { endpoint: 'https://0x7f.1' } });
    expect(await failed(denied)).toMatchObject([{ step: 'address', code: 'egress_denied' }]);
  });

  it('goes nowhere that the guard does not allow', async () => {
    for (const endpoint of ['https://0x7f.1', 'https://localhost.:1', 'https://127.0.0.1.nip.io\\@x']) {
      const backend = world.open({ settings: { endpoint } });
      expect((await errorOf(() => backend.get('db', { signal: signal() }))).code).toBe('egress_denied');
    }
    const egress = createEgress({ allow: [], allowLoopback: true, resolve: async () => ['169.254.169.254'] });
    const backend = world.open({ settings: { endpoint: 'https://secretmanager.example' }, egress });
    for (const call of [
      () => backend.get('db', { signal: signal() }),
      () => backend.list({ signal: signal(), limit: 1 }),
    ])
      expect((await errorOf(call)).code).toBe('egress_denied');
    await backend.close();
    await egress.close();
  });

  it('goes by the proxy of the guard, and by no other', async () => {
    await using proxy = await startRawServer((socket) => {
      socket.once('data', () => {
        const other = connect(Number(new URL(world.proxy.url).port), '127.0.0.1', () => {
          socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
          socket.pipe(other).pipe(socket);
        });
        other.on('error', () => socket.destroy());
      });
    });
    const guard = createEgress({
      allow: ['secretmanager.example:443'],
      allowLoopback: true,
      proxy: new URL(`http://127.0.0.1:${proxy.port}`),
      resolve: () => Promise.reject(new Error('Behind a proxy nothing is looked up here')),
    });
    const backend = world.open({ settings: { endpoint: 'https://secretmanager.example' }, egress: guard });
    expect((await backend.get('db', { signal: signal() }))?.value.revealText()).toBe(canary);
    expect(proxy.received()).toMatch(/^CONNECT secretmanager\.example:443 HTTP\/1\.1\r\n/);
    await backend.close();
    await guard.close();
  });

  it('leaves a connection on which nothing comes any more', async () => {
    let isDead = false;
    // Later than what is silence, counted from when the call is under way.
    const givenUp = new AbortController();
    await using relay = await startRawServer((socket) => {
      const other = connect(Number(new URL(world.proxy.url).port), '127.0.0.1');
      const isOld = !isDead;
      other.on('error', () => socket.destroy());
      other.on('data', (data) => void (isOld && isDead ? undefined : socket.write(data)));
      socket.on('data', (data) => {
        if (isOld && isDead) setTimeout(() => givenUp.abort(), 2_050);
        else other.write(data);
      });
      socket.on('close', () => other.destroy());
    });
    const backend = world.open({ settings: { endpoint: `https://secretmanager.localhost:${relay.port}` } });
    await backend.get('db', { signal: signal() });
    isDead = true;
    const error = await errorOf(() => backend.get('db', { signal: givenUp.signal }));
    expect(error.code).toBe('deadline_exceeded');
    expect((await backend.get('db', { signal: signal() }))?.value.revealText()).toBe(canary);
    expect(relay.connections()).toBe(2);
    await backend.close();
  });

  it('says what is wrong with the temporary folder, and is closed all the same', async () => {
    const backend = world.open();
    vi.stubEnv('TMPDIR', `/nowhere/${canary}`);
    const error = await errorOf(() => backend.get('db', { signal: signal() }));
    vi.unstubAllEnvs();
    expect([error.code, error.hint]).toEqual(['internal', expect.stringContaining('TMPDIR')]);
    expect((await backend.get('db', { signal: signal() }))?.value.revealText()).toBe(canary);
    await backend.close();
  });

  it('opens nothing any more when it is closed meanwhile', async () => {
    const backend = world.open();
    const before = world.manager.requests.length;
    const reading = errorOf(() => backend.get('db', { signal: signal() }));
    await backend.close();
    expect((await reading).code).toBe('shutting_down');
    expect(world.manager.requests.length).toBe(before);
  });

  it('ends with its signal, and after closing', async () => {
    const backend = world.open();
    const aborted = AbortSignal.abort();
    expect((await errorOf(() => backend.get('db', { signal: aborted }))).code).toBe('deadline_exceeded');
    await backend.close();
    await backend.close();
    expect((await errorOf(() => backend.get('db', { signal: signal() }))).code).toBe('shutting_down');
  });
});

/** A field of bytes of a message of Protocol Buffers. */
function field(number: number, value: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2, value.length]), value]);
}

/** google.rpc.Status with one detail. */
function statusWith(type: string, detail: Uint8Array): Buffer {
  const any = [field(1, Buffer.from(`type.googleapis.com/${type}`)), field(2, detail)];
  return field(3, Buffer.concat(any));
}
