import type { Socket } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRawServer } from '../../testing/servers.ts';
import { createEgress } from './egress.ts';
import type { EgressError } from './errors.ts';
import type { StreamLimits } from './stream.ts';

const canary = 'canary-stream-2f90';
const egress = createEgress({ allow: [], allowLoopback: true });
const patient: StreamLimits = { beginMilliseconds: 60_000, idleMilliseconds: 60_000 };
beforeAll(() => read((socket) => socket.end(whole('x'))));
afterAll(() => egress.close());

const begin = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';
const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const whole = (text: string): string => `${begin}${chunk(text)}0\r\n\r\n`;

/** What comes until it ends or fails. */
async function read(serve: (socket: Socket) => void, limits = patient, signal?: AbortSignal) {
  await using server = await startRawServer((socket) => socket.once('data', () => serve(socket)));
  const seen: string[] = [];
  let error: EgressError | undefined;
  try {
    const stream = await egress.stream(
      `http://127.0.0.1:${server.port}/${canary}`,
      limits,
      signal === undefined ? {} : { signal },
    );
    for await (const piece of stream.chunks) seen.push(Buffer.from(piece).toString());
  } catch (thrown) {
    error = thrown as EgressError;
  }
  expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(canary);
  return { text: seen.join(''), pieces: seen.length, code: error?.code, reason: error?.reason };
}

describe('an answer that is read while it comes', () => {
  it('gives each chunk as it comes, before the answer ends', async () => {
    let goOn: () => void = () => undefined;
    await using server = await startRawServer((socket) =>
      socket.once('data', () => {
        socket.write(begin + chunk('one'));
        goOn = () => socket.end(`${chunk('two')}0\r\n\r\n`);
      }),
    );
    const stream = await egress.stream(`http://127.0.0.1:${server.port}/`, patient);
    const seen: string[] = [];
    for await (const piece of stream.chunks) {
      seen.push(Buffer.from(piece).toString());
      goOn();
    }
    expect([stream.status, seen]).toEqual([200, ['one', 'two']]);
  });

  it('is an answer with any status but a redirect', async () => {
    expect(await read((socket) => socket.end('HTTP/1.1 410 Gone\r\ncontent-length: 4\r\n\r\ngone'))).toMatchObject({
      text: 'gone',
    });
    const redirect = 'HTTP/1.1 302 Found\r\nlocation: http://x/\r\ncontent-length: 0\r\n\r\n';
    expect(await read((socket) => socket.end(redirect))).toMatchObject({ code: 'backend_malformed' });
  });

  it.each<[string, (socket: Socket) => void, StreamLimits]>([
    ['does not begin', () => undefined, { beginMilliseconds: 50, idleMilliseconds: 60_000 }],
    ['falls silent', (socket) => socket.write(begin + chunk('one')), { ...patient, idleMilliseconds: 50 }],
  ])('ends when it %s', async (_name, serve, limits) => {
    expect(await read(serve, limits)).toMatchObject({ code: 'backend_unavailable', reason: 'ETIMEDOUT' });
  });

  it('tells a cut connection from the end', async () => {
    const { text, code } = await read((socket) => socket.write(begin + chunk('one'), () => socket.destroy()));
    expect([text, code]).toEqual(['one', 'backend_unavailable']);
  });

  it('loses nothing when the reader is slower than the connection', async () => {
    const megabyte = 'x'.repeat(1024 * 1024);
    await using server = await startRawServer((socket) =>
      socket.once('data', () => socket.end(`${begin}${chunk(megabyte).repeat(8)}0\r\n\r\n`)),
    );
    // A reader's slowness is no silence of the server.
    const stream = await egress.stream(`http://127.0.0.1:${server.port}/`, { ...patient, idleMilliseconds: 2_000 });
    let bytes = 0;
    for await (const piece of stream.chunks) {
      if (bytes === 0) await new Promise((resolve) => setTimeout(resolve, 2_500));
      bytes += piece.length;
    }
    expect(bytes).toBe(8 * megabyte.length);
  });

  it('ends with its caller, and without error when it is canceled', async () => {
    const caller = new AbortController();
    const asked = read((socket) => socket.write(begin + chunk('one'), () => caller.abort()), patient, caller.signal);
    expect(await asked).toMatchObject({ code: 'deadline_exceeded' });
    await using server = await startRawServer((socket) => socket.once('data', () => socket.write(begin)));
    const stream = await egress.stream(`http://127.0.0.1:${server.port}/`, patient);
    stream.cancel();
    for await (const piece of stream.chunks) expect.unreachable(String(piece));
  });
});
