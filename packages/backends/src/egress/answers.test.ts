import { gzipSync } from 'node:zlib';
import type { Socket } from 'node:net';
import { inspect } from 'node:util';
import { SecretValue } from '@strongroom/crypto';
import { StrongroomError } from '@strongroom/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRawServer } from '../../testing/servers.ts';
import { createEgress, type RequestOptions } from './egress.ts';
import type { EgressError } from './errors.ts';

const canary = 'canary-answer-77d1';
const token = SecretValue.fromText('canary-token-0c3b');
const egress = createEgress({ allow: [], allowLoopback: true });
// The first request loads the client, which the short deadlines below are not for.
beforeAll(() => ask((socket) => socket.end(head('content-length: 0'))));
afterAll(() => egress.close());

/** Asks a server that does this with each connection once the request is there. */
async function ask(serve: (socket: Socket) => void, options: RequestOptions = {}) {
  await using server = await startRawServer((socket) => socket.once('data', () => serve(socket)));
  const started = performance.now();
  const outcome = await egress
    .request(`http://127.0.0.1:${server.port}/v1/${canary}`, {
      headers: { 'X-Vault-Token': token },
      maxBytes: 64 * 1024,
      deadlineMilliseconds: 60_000,
      ...options,
    })
    .catch((error: unknown) => error as EgressError);
  return { outcome, milliseconds: performance.now() - started, received: server.received() };
}

const head = (...lines: string[]) => `${['HTTP/1.1 200 OK', ...lines].join('\r\n')}\r\n\r\n`;
const chunk = (bytes: Buffer | string) => {
  const body = Buffer.from(bytes);
  return Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')]);
};

/** Writes as fast as it is read, until the other side has enough. */
function flood(socket: Socket, piece: Buffer | string, limitBytes = 2 ** 30): void {
  let sent = 0;
  const more = (): void => {
    while (!socket.destroyed && sent < limitBytes) {
      sent += piece.length;
      if (!socket.write(piece)) return;
    }
  };
  socket.on('drain', more);
  more();
}

function drip(socket: Socket, piece: string): void {
  const timer = setInterval(() => socket.write(piece), 20);
  socket.on('close', () => clearInterval(timer));
}

describe('what is sent', () => {
  it('asks for no compression, and keeps the credential out of what prints', async () => {
    const { outcome, received } = await ask((socket) => socket.end(`${head('content-length: 2')}{}`));
    expect(received).toMatch(/^GET \/v1\//);
    expect(received).toContain('\r\naccept-encoding: identity\r\n');
    expect(received).toContain('\r\nx-vault-token: canary-token-0c3b\r\n');
    expect(inspect(outcome, { depth: 9, showHidden: true })).not.toContain('canary-token');
  });

  it('sends a body of a secret value once, with its length', async () => {
    const { received, outcome } = await ask((socket) => socket.end(head('content-length: 0')), {
      method: 'POST',
      body: SecretValue.fromText('{"password":"é"}'),
    });
    expect(outcome).toMatchObject({ status: 200 });
    expect(received).toContain('content-length: 17\r\n');
    expect(Buffer.from(received, 'latin1').toString('utf8')).toMatch(/\r\n\r\n\{"password":"é"\}$/);
  });

  it.each([
    ['a line end', 'canary-x\r\nx-evil: 1'],
    ['a NUL', 'canary-x\0'],
    ['a letter beyond ASCII', 'canary-é'],
    ['nothing at all', ''],
  ])('refuses a credential with %s before it connects, naming the header only', async (_what, text) => {
    const { outcome, received } = await ask((socket) => socket.end(), {
      headers: { 'x-vault-token': SecretValue.fromText(text) },
    });
    expect(outcome).toBeInstanceOf(StrongroomError);
    expect(outcome).toMatchObject({ code: 'validation_failed' });
    expect(inspect(outcome)).not.toContain('canary-');
    expect(received).toBe('');
  });

  it.each(['Host', 'accept-encoding', 'Transfer-Encoding', 'content-length', 'connection', 'x\r\ny'])(
    'leaves the header %j to the guard',
    async (name) => {
      const { outcome, received } = await ask((socket) => socket.end(), { headers: { [name]: '1' } });
      expect(outcome).toBeInstanceOf(TypeError);
      expect(received).toBe('');
    },
  );
});

describe('answers', () => {
  it('of any status but redirects come whole', async () => {
    for (const status of [200, 204, 400, 403, 404, 429, 503]) {
      const length = status === 204 ? '' : 'content-length: 11\r\n';
      const { outcome } = await ask((socket) =>
        socket.end(
          `HTTP/1.1 ${status} X\r\n${length}X-Twice: a\r\nx-twice: b\r\n\r\n${status === 204 ? '' : '{"a":"b\u00e9"}'}`,
        ),
      );
      if (outcome instanceof Error) throw outcome;
      expect(outcome.status).toBe(status);
      expect(outcome.headers.get('x-twice')).toBe('a, b');
      if (status !== 204) expect(outcome.json()).toEqual({ a: 'b\u00e9' });
    }
  });

  it('with hostile header names change nothing', async () => {
    const { outcome } = await ask((socket) =>
      socket.end(`${head('__proto__: a', '__proto__: b', 'constructor: c', 'toString: d', 'content-length: 2')}{}`),
    );
    expect(outcome).toMatchObject({ status: 200 });
    expect(({} as Record<string, unknown>)['a']).toBeUndefined();
  });

  it.each([300, 301, 302, 303, 304, 307, 308])('%i is an error, and nothing goes where it points', async (status) => {
    await using elsewhere = await startRawServer((socket) => socket.end(head('content-length: 0')));
    const location = `http://localhost:${elsewhere.port}/${canary}`;
    const { outcome } = await ask((socket) =>
      socket.end(`HTTP/1.1 ${status} X\r\nlocation: ${location}\r\ncontent-length: 0\r\n\r\n`),
    );
    expect(outcome).toMatchObject({ code: 'backend_malformed', step: 'answer' });
    expect(elsewhere.connections()).toBe(0);
    expect(inspect(outcome, { depth: 9 })).not.toContain(canary);
  });

  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  const page = `<!doctype html><title>Sign in</title>${canary}`;

  it.each<[string, string, (socket: Socket) => void]>([
    [
      'a gzip bomb',
      'backend_malformed',
      (s) =>
        s.end(Buffer.concat([Buffer.from(head('content-encoding: gzip', `content-length: ${bomb.length}`)), bomb])),
    ],
    ['another encoding', 'backend_malformed', (s) => s.end(`${head('Content-Encoding: br', 'content-length: 2')}{}`)],
    [
      'two encodings',
      'backend_malformed',
      (s) => s.end(`${head('Content-Encoding: identity', 'content-encoding: gzip', 'content-length: 2')}{}`),
    ],
    [
      '1 GiB with its length',
      'backend_malformed',
      (s) => {
        s.write(head(`content-length: ${2 ** 30}`));
        flood(s, Buffer.alloc(65_536));
      },
    ],
    [
      '1 GiB in chunks',
      'backend_malformed',
      (s) => {
        s.write(head('transfer-encoding: chunked'));
        flood(s, chunk(Buffer.alloc(65_000)));
      },
    ],
    [
      '1 GiB up to the end of the connection',
      'backend_malformed',
      (s) => {
        s.write(head());
        flood(s, Buffer.alloc(65_536));
      },
    ],
    [
      'headers without end',
      'backend_malformed',
      (s) => {
        s.write('HTTP/1.1 200 OK\r\n');
        flood(s, `x-a: ${canary.repeat(40)}\r\n`);
      },
    ],
    [
      'one header without end',
      'backend_malformed',
      (s) => {
        s.write('HTTP/1.1 200 OK\r\nx-a: ');
        flood(s, canary.repeat(1000));
      },
    ],
    ['not HTTP', 'backend_malformed', (s) => s.end(`220 ${canary} ESMTP\r\n`)],
    ['HTTP/0.9', 'backend_malformed', (s) => s.end(page)],
    ['two lengths', 'backend_unavailable', (s) => s.end(`${head('content-length: 2', 'content-length: 3')}{} `)],
    [
      'a length and chunks',
      'backend_unavailable',
      (s) => s.end(`${head('content-length: 2', 'transfer-encoding: chunked')}0\r\n\r\n`),
    ],
    ['a broken chunk', 'backend_malformed', (s) => s.end(`${head('transfer-encoding: chunked')}zz\r\n`)],
    [
      'an upgrade nobody asked for',
      'backend_unavailable',
      (s) => s.end(`HTTP/1.1 101 Switching Protocols\r\nupgrade: ${canary}\r\nconnection: upgrade\r\n\r\n`),
    ],
    ['less than its length', 'backend_unavailable', (s) => s.end(`${head('content-length: 900')}${canary}`)],
    [
      'chunks without an end',
      'backend_unavailable',
      (s) => s.end(Buffer.concat([Buffer.from(head('transfer-encoding: chunked')), chunk(canary)])),
    ],
    ['the connection closed', 'backend_unavailable', (s) => s.destroy()],
    ['the connection reset', 'backend_unavailable', (s) => s.resetAndDestroy()],
  ])('%s: %s', async (_what, code, serve) => {
    // Noticed long before the deadline.
    const { outcome, milliseconds } = await ask(serve, { deadlineMilliseconds: 90_000 });
    expect(outcome).toMatchObject({ code, step: 'answer' });
    expect(milliseconds).toBeLessThan(60_000);
    expect(inspect(outcome, { depth: 9, showHidden: true })).not.toMatch(/canary/);
  });

  // Together, as each takes until its deadline, which is long enough to connect before it.
  it.concurrent.each<[string, (socket: Socket) => void]>([
    ['nothing: half open', () => undefined],
    [
      'a byte now and then',
      (s) => {
        s.write(head('content-length: 60000'));
        drip(s, 'x');
      },
    ],
    [
      'a byte of headers now and then',
      (s) => {
        s.write('HTTP/1.1 200 OK\r\nx: ');
        drip(s, 'x');
      },
    ],
    [
      'small chunks without end',
      (s) => {
        s.write(head('transfer-encoding: chunked'));
        drip(s, '1\r\nx\r\n');
      },
    ],
    ['empty 1xx without end', (s) => drip(s, 'HTTP/1.1 103 Early Hints\r\n\r\n')],
  ])('%s ends with the deadline', async (_what, serve) => {
    const { outcome, milliseconds } = await ask(serve, { deadlineMilliseconds: 2_000 });
    expect(outcome).toMatchObject({ code: 'backend_unavailable', step: 'answer' });
    expect(milliseconds).toBeLessThan(60_000);
    expect(inspect(outcome, { depth: 9, showHidden: true })).not.toMatch(/canary/);
  });

  it('without end are dropped early: memory stays where it was', async () => {
    const before = process.memoryUsage().rss;
    const endless: ((socket: Socket) => void)[] = [
      (s) => {
        s.write(head('transfer-encoding: chunked'));
        flood(s, chunk(Buffer.alloc(65_000)));
      },
      (s) => {
        s.write(`${head('transfer-encoding: chunked')}1;x=`);
        flood(s, 'y'.repeat(65_536));
      },
      (s) => {
        s.write(`${head('transfer-encoding: chunked')}0\r\n`);
        flood(s, `x-a: ${'y'.repeat(1000)}\r\n`);
      },
      (s) => flood(s, 'HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n'.repeat(1000)),
      (s) => {
        s.write(head('content-length: 65536'));
        flood(s, Buffer.alloc(65_536));
      },
    ];
    for (const serve of endless) {
      const { milliseconds } = await ask(serve, { deadlineMilliseconds: 400 });
      expect(milliseconds).toBeLessThan(60_000);
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
  });

  it.each([
    ['HTML', page],
    ['nothing', ''],
    ['half of it', `{"a": "${canary}`],
    ['two documents', `{"a":1}{"b":"${canary}"}`],
    ['a name that is no JSON', canary],
    ['invalid UTF-8', Buffer.from([0x22, 0xff, 0x22])],
  ])('in another form than JSON are never quoted: %s', async (_what, body) => {
    const { outcome } = await ask((socket) =>
      socket.end(Buffer.concat([Buffer.from(head(`content-length: ${body.length}`)), Buffer.from(body)])),
    );
    if (outcome instanceof Error) throw outcome;
    expect(inspect(outcome)).not.toContain(canary);
    let error: unknown;
    try {
      outcome.json();
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ code: 'backend_malformed' });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(canary);
  });

  it('exactly as large as they may be are taken; one byte more is not', async () => {
    const send = (bytes: number) => (socket: Socket) =>
      socket.end(`${head('transfer-encoding: chunked')}${chunk('x'.repeat(bytes)).toString()}0\r\n\r\n`);
    expect((await ask(send(100), { maxBytes: 100 })).outcome).toMatchObject({ status: 200 });
    expect((await ask(send(101), { maxBytes: 100 })).outcome).toMatchObject({ code: 'backend_malformed' });
  });
});

describe('the caller’s signal', () => {
  it('ends a request, with the caller’s own error where it gives one', async () => {
    for (const reason of [undefined, new StrongroomError('shutting_down')]) {
      const controller = new AbortController();
      const { outcome } = await ask(() => controller.abort(reason), { signal: controller.signal });
      expect(outcome).toMatchObject({ code: reason === undefined ? 'deadline_exceeded' : 'shutting_down' });
    }
  });

  it('that ended before: nothing is sent', async () => {
    const { outcome, received } = await ask(() => undefined, { signal: AbortSignal.abort() });
    expect(outcome).toMatchObject({ code: 'deadline_exceeded' });
    expect(received).toBe('');
  });

  it('close ends what is under way', async () => {
    await using server = await startRawServer();
    const own = createEgress({ allow: [], allowLoopback: true });
    const pending = own.request(`http://127.0.0.1:${server.port}/`).catch((error: unknown) => error);
    const tls = own.connectTcp({ host: '127.0.0.1', port: server.port, tls: {} }).catch((error: unknown) => error);
    await expect.poll(() => server.connections()).toBe(2);
    await own.close();
    expect(await pending).toMatchObject({ code: 'shutting_down' });
    expect(await tls).toMatchObject({ code: 'shutting_down' });
    await expect(own.request(`http://127.0.0.1:${server.port}/`)).rejects.toMatchObject({ code: 'shutting_down' });
  });
});
