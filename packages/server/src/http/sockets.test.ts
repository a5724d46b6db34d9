import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { StrongroomError } from '@strongroom/contract';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  exchange,
  sampleApp,
  sampleCaller,
  sampleSettings,
  type SampleState,
  sampleToken,
} from '../../testing/http-app.ts';
import type { App } from './app.ts';

let app: App;
let state: SampleState;
let port: number;

async function listen(which: App): Promise<number> {
  await which.fastify.listen({ host: '127.0.0.1', port: 0 });
  return (which.fastify.server.address() as AddressInfo).port;
}

beforeAll(async () => {
  ({ app, state } = sampleApp());
  port = await listen(app);
});
afterAll(() => app.stop(0));

const things = '/v1/domains/finance/things';
const auth = `Host: localhost\r\nAuthorization: Bearer ${sampleToken}\r\n`;

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
}

function answers(text: string): Answer[] {
  return text
    .split(/(?=HTTP\/1\.1 \d{3})/)
    .filter((part) => part.startsWith('HTTP/1.1'))
    .map((part) => ({ status: Number(part.slice(9, 12)), code: /"code":"([a-z_]+)"/.exec(part)?.[1] }));
}

describe('what Node’s parser refuses', () => {
  const post = (headers: string, body: string): string =>
    `POST ${things} HTTP/1.1\r\n${auth}Content-Type: application/json\r\n${headers}\r\n${body}`;
  const smuggled = 'GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n';

  it.each([
    [
      'two lengths',
      post('Content-Length: 12\r\nContent-Length: 13\r\n', `{"name":"a"}${smuggled}`),
      'request_malformed',
    ],
    [
      'the same length twice',
      post('Content-Length: 12\r\nContent-Length: 12\r\n', `{"name":"a"}${smuggled}`),
      'request_malformed',
    ],
    ['a list of lengths', post('Content-Length: 12, 12\r\n', `{"name":"a"}${smuggled}`), 'request_malformed'],
    [
      'length and chunks',
      post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${smuggled}`),
      'request_malformed',
    ],
    ['an unknown coding', post('Transfer-Encoding: xchunked\r\n', `0\r\n\r\n${smuggled}`), 'request_malformed'],
    ['chunked not last', post('Transfer-Encoding: chunked, identity\r\n', `0\r\n\r\n${smuggled}`), 'request_malformed'],
    ['a bad chunk size', post('Transfer-Encoding: chunked\r\n', `zz\r\n\r\n${smuggled}`), 'request_malformed'],
    ['a negative length', post('Content-Length: -1\r\n', ''), 'request_malformed'],
    ['a folded header', `GET /open HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\n 2\r\n\r\n`, 'request_malformed'],
    ['a blank before the colon', `GET /open HTTP/1.1\r\nHost : localhost\r\n\r\n`, 'request_malformed'],
    ['a bare line feed', `GET /open HTTP/1.1\nHost: localhost\n\n`, 'request_malformed'],
    ['a NUL in a header', `GET /open HTTP/1.1\r\nHost: localhost\r\nX-A: a\0b\r\n\r\n`, 'request_malformed'],
    ['something else altogether', '\x16\x03\x01\x02\x00\x01\x00', 'request_malformed'],
    [
      'headers over 16 KiB',
      `GET /open HTTP/1.1\r\nHost: localhost\r\nX-A: ${'a'.repeat(20_000)}\r\n\r\n`,
      'headers_too_large',
    ],
  ])('answers one problem to %s and closes', async (_name, text, code) => {
    state.seen.length = 0;
    const all = answers(await exchange(port, [text]));
    expect(all.map((answer) => answer.code)).toEqual([code]);
    expect(state.seen).toEqual([]);
  });

  it.each([
    ['no Host', 'GET /open HTTP/1.1\r\nConnection: close\r\n\r\n', 'request_malformed'],
    [
      'two Hosts',
      'GET /open HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
      'request_malformed',
    ],
    [
      'two credentials',
      `GET ${things} HTTP/1.1\r\n${auth}Authorization: Bearer srt_other\r\nConnection: close\r\n\r\n`,
      'request_malformed',
    ],
    ['an unknown expectation', `GET /open HTTP/1.1\r\nHost: localhost\r\nExpect: tea\r\n\r\n`, 'request_malformed'],
    [
      'an absolute address of another host',
      'GET http://evil.example/open HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
      'host_not_allowed',
    ],
  ])('answers a problem to %s', async (_name, text, code) => {
    expect(answers(await exchange(port, [text])).map((answer) => answer.code)).toEqual([code]);
  });

  it('takes chunks split anywhere', async () => {
    const text = post('Transfer-Encoding: chunked\r\nConnection: close\r\n', '5\r\n{"nam\r\n7\r\ne":"a"}\r\n0\r\n\r\n');
    expect(answers(await exchange(port, [text.slice(0, 60), text.slice(60)]))).toEqual([
      { status: 201, code: undefined },
    ]);
  });

  it('answers pipelined requests in order', async () => {
    const text = `GET /open HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    expect(answers(await exchange(port, [text])).map((answer) => answer.status)).toEqual([200, 404]);
  });
});

describe('slow and large clients', () => {
  const timeouts = { headersMilliseconds: 300, requestMilliseconds: 600, checkMilliseconds: 100 };
  const impatient = sampleApp({ settings: { ...sampleSettings, timeouts } });
  let impatientPort: number;
  beforeAll(async () => {
    impatientPort = await listen(impatient.app);
  });
  afterAll(() => impatient.app.stop(0));

  it('ends headers that drip', async () => {
    const text = await exchange(
      impatientPort,
      ['GET /open HTTP/1.1\r\n', 'Host: localhost\r\n', ...Array.from({ length: 20 }, () => 'X-A: 1\r\n')],
      { pauseMilliseconds: 60 },
    );
    expect(answers(text)).toEqual([{ status: 408, code: 'request_timeout' }]);
  });

  it('ends a body that drips', async () => {
    const head = `POST ${things} HTTP/1.1\r\n${auth}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n`;
    const text = await exchange(impatientPort, [head, ...Array.from({ length: 25 }, () => ' ')], {
      pauseMilliseconds: 60,
    });
    expect(answers(text)).toEqual([{ status: 408, code: 'request_timeout' }]);
  });

  it('does not read a large body it has refused', async () => {
    const head = `POST ${things} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n`;
    const text = await exchange(port, [head, 'x'.repeat(1000)]);
    expect(answers(text)).toEqual([{ status: 401, code: 'unauthenticated' }]);
    expect(text.toLowerCase()).toContain('connection: close');
  });

  it('refuses a body over the limit by its announced length, and by what arrives', async () => {
    const head = `POST ${things} HTTP/1.1\r\n${auth}Content-Type: application/json\r\n`;
    expect(answers(await exchange(port, [`${head}Content-Length: 70000\r\n\r\n`]))).toEqual([
      { status: 413, code: 'limit_exceeded' },
    ]);
    const chunk = `8000\r\n${' '.repeat(0x8000)}\r\n`;
    expect(answers(await exchange(port, [`${head}Transfer-Encoding: chunked\r\n\r\n`, chunk, chunk, chunk]))).toEqual([
      { status: 413, code: 'limit_exceeded' },
    ]);
  });

  it('decides again when the body comes late: who is locked out meanwhile changes nothing', async () => {
    let [isKnown, isAllowed, asked] = [true, true, 0];
    using clock = vi.spyOn(performance, 'now');
    const unauthenticated = new StrongroomError('unauthenticated');
    const missing = new StrongroomError('permission_missing');
    const changing = sampleApp({
      settings: { ...sampleSettings, limits: { ...sampleSettings.limits, requestsPerMinute: 3 } },
      authentication: {
        byBearer: async () => {
          asked += 1;
          if (asked === 1) {
            await new Promise((wake) => setTimeout(wake, 150));
            // Nothing after it takes any time.
            clock.mockReturnValue(performance.now());
          }
          if (!isKnown) throw unauthenticated;
          return sampleCaller;
        },
        byCookie: () => Promise.reject(unauthenticated),
      },
      access: {
        findScope: (_snapshot, kind, name) => ({ id: 'dom_finance', kind, name }),
        configurationAsset: () => Promise.resolve(null),
        decide: () => ({ allow: isAllowed, because: [] }),
        require: () => Promise.reject(missing),
        refuseAbsent: () => Promise.reject(missing),
      },
    });
    const changingPort = await listen(changing.app);
    const head = `POST ${things} HTTP/1.1\r\n${auth}Connection: close\r\nContent-Type: application/json\r\n`;
    const codeWhen = async (change: () => void): Promise<Answer | undefined> => {
      const answer = exchange(changingPort, [`${head}Content-Length: 12\r\n\r\n`, '{"name":"a"}'], {
        pauseMilliseconds: 200,
      });
      setTimeout(change, 100);
      return answers(await answer)[0];
    };
    // What takes time to find out who asks is not the body's lateness.
    const whole = `${head}Content-Length: 12\r\n\r\n{"name":"a"}`;
    expect([answers(await exchange(changingPort, [whole]))[0]?.status, asked]).toEqual([201, 1]);
    clock.mockRestore();
    changing.state.seen.length = 0;
    expect(await codeWhen(() => void (isAllowed = false))).toMatchObject({ code: 'permission_missing' });
    isAllowed = true;
    expect(await codeWhen(() => void (isKnown = false))).toMatchObject({ code: 'unauthenticated' });
    expect(changing.state.seen).toEqual([]);
    await changing.app.stop(0);
  });

  it('survives clients that leave in the middle', async () => {
    const head = `POST ${things} HTTP/1.1\r\n${auth}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"na`;
    await exchange(port, [head], { limitMilliseconds: 50 });
    expect(
      answers(await exchange(port, ['GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'])),
    ).toEqual([{ status: 200, code: undefined }]);
    await expect.poll(() => app.inFlight.size).toBe(0);
    expect(state.logged.filter((line) => line['level'] === 'error')).toEqual([]);
  });

  it.each([
    ['without a body', `GET ${things} HTTP/1.1\r\n${auth}\r\n`],
    [
      'with one',
      `POST ${things} HTTP/1.1\r\n${auth}Content-Type: application/json\r\nContent-Length: 12\r\n\r\n{"name":"a"}`,
    ],
  ])('keeps nothing of a request %s whose client is gone before its turn', async (_which, text) => {
    app.fastify.server.once('request', (request: IncomingMessage) => request.destroy());
    state.seen.length = 0;
    expect(await exchange(port, [text])).toBe('');
    expect(state.seen).toEqual([]);
    await expect.poll(() => app.inFlight.size).toBe(0);
  });

  it('has room for a limited number of connections', async () => {
    const small = sampleApp({ settings: { ...sampleSettings, limits: { ...sampleSettings.limits, connections: 1 } } });
    const smallPort = await listen(small.app);
    const taken = once(small.app.fastify.server, 'connection');
    const held = connect(smallPort, '127.0.0.1');
    await taken;
    // Whom there is no room for finds the connection closed.
    expect(await exchange(smallPort, ['GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n'])).toBe('');
    held.destroy();
    await small.app.stop(0);
  });
});

describe('streams and stopping', () => {
  const follow = (which: number): Promise<{ first: string; ended: Promise<void>; leave: () => void }> =>
    new Promise((resolve, reject) => {
      const call = httpRequest(
        { host: '127.0.0.1', port: which, path: '/v1/watch', headers: { authorization: `Bearer ${sampleToken}` } },
        (answer) => {
          const ended = new Promise<void>((end) => void answer.once('close', end));
          answer.once('data', (chunk: Buffer) => resolve({ first: String(chunk), ended, leave: () => call.destroy() }));
        },
      );
      call.once('error', reject).end();
    });

  it('tells the handler of a stream that its reader left', async () => {
    state.signals.length = 0;
    const { first, leave } = await follow(port);
    expect(first).toBe('first\n');
    expect(state.signals[0]?.aborted).toBe(false);
    leave();
    await expect.poll(() => state.signals[0]?.aborted).toBe(true);
    await expect.poll(() => app.inFlight.size).toBe(0);
  });

  it('lets go of a stream that HEAD asks about, which nobody reads', async () => {
    state.streams.length = 0;
    const head = await exchange(port, [`HEAD /v1/watch HTTP/1.1\r\n${auth}Connection: close\r\n\r\n`]);
    expect(head).toMatch(/^HTTP\/1\.1 200 /);
    expect(head.toLowerCase()).toContain('content-type: text/plain; charset=utf-8');
    expect(head.endsWith('\r\n\r\n')).toBe(true);
    expect(state.streams.map(({ destroyed }) => destroyed)).toEqual([true]);
    await expect.poll(() => app.inFlight.size).toBe(0);
  });

  it('lets go of a stream that comes when the request is answered already', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const hasty = sampleApp({ settings: { ...sampleSettings, timeouts: { handlerMilliseconds: 100 } } });
    hasty.state.watchFrom = promise;
    const text = await exchange(await listen(hasty.app), [
      `GET /v1/watch HTTP/1.1\r\n${auth}Connection: close\r\n\r\n`,
    ]);
    expect(answers(text)).toEqual([{ status: 503, code: 'deadline_exceeded' }]);
    resolve();
    await expect.poll(() => hasty.state.streams.map(({ destroyed }) => destroyed)).toEqual([true]);
    await hasty.app.stop(0);
  });

  it('stops: ends streams, lets answers finish, refuses new requests', async () => {
    const started = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const slow = sampleApp({
      features: {
        isEnabled: async () => {
          started.resolve();
          await release.promise;
          return true;
        },
      },
    });
    const slowPort = await listen(slow.app);
    const watcher = await follow(slowPort);
    const body = '{"name":"a"}';
    const head = `POST ${things} HTTP/1.1\r\n${auth}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    const pending = exchange(slowPort, [head + body]);
    await started.promise;
    const stopped = slow.app.stop(60_000);
    await watcher.ended;
    release.resolve();
    expect(answers(await pending)).toEqual([{ status: 201, code: undefined }]);
    await stopped;
    await expect(follow(slowPort)).rejects.toThrow('ECONNREFUSED');
  });

  it('answers deadline_exceeded when a handler takes too long, and lets streams go on', async () => {
    const never = { isEnabled: () => new Promise<boolean>(() => undefined) };
    const hasty = sampleApp({
      features: never,
      settings: { ...sampleSettings, timeouts: { handlerMilliseconds: 2_000 } },
    });
    const hastyPort = await listen(hasty.app);
    const watcher = await follow(hastyPort);
    const text = await exchange(hastyPort, [`POST ${things} HTTP/1.1\r\n${auth}Connection: close\r\n\r\n`]);
    expect(answers(text)).toEqual([{ status: 503, code: 'deadline_exceeded' }]);
    // It began before what has ended, so that its own time is over as well.
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(hasty.state.signals[0]?.aborted).toBe(false);
    watcher.leave();
    await hasty.app.stop(0);
  });

  it('answers shutting_down on connections that are still open', async () => {
    const stopping = sampleApp();
    await stopping.app.fastify.ready();
    await stopping.app.inFlight.stop(0);
    const answer = await stopping.app.fastify.inject({ url: '/open', headers: { host: 'localhost' } });
    expect([answer.statusCode, answer.json<{ code: string }>().code, answer.headers['connection']]).toEqual([
      503,
      'shutting_down',
      'close',
    ]);
    await stopping.app.stop(0);
  });
});
