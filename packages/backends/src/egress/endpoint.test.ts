import type { Socket } from 'node:net';
import { inspect } from 'node:util';
import { SecretValue } from '@strongroom/crypto';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { startRawServer } from '../../testing/servers.ts';
import { createEgress } from './egress.ts';
import { EgressError } from './errors.ts';
import { checkPath } from './target.ts';

const canary = 'canary-endpoint-61c0';
const egress = createEgress({ allow: [], allowLoopback: true });
afterAll(() => egress.close());

const answer = (body: string): string => `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
/** Answers each request of a connection. */
const serve = (socket: Socket, body = '{}') => socket.on('data', () => socket.write(answer(body)));
const codeOf = (error: unknown): unknown => (error instanceof EgressError ? error.code : error);

describe('an endpoint', () => {
  it('sends each request below its path, with the headers of both, over one connection', async () => {
    await using server = await startRawServer((socket) => serve(socket));
    const endpoint = egress.endpoint(`http://127.0.0.1:${server.port}/vault/v1/`, { headers: { Accept: 'a/b' } });
    for (const path of ['secret/data/x?version=1', 'sys/health', '']) {
      const response = await endpoint.request(path, { headers: { 'X-Vault-Token': SecretValue.fromText(canary) } });
      expect([response.status, response.json()]).toEqual([200, {}]);
      expect(inspect(response, { depth: 9, showHidden: true })).not.toContain(canary);
    }
    const lines = server.received().split('\r\n');
    expect(lines.filter((line) => line.startsWith('GET'))).toEqual([
      'GET /vault/v1/secret/data/x?version=1 HTTP/1.1',
      'GET /vault/v1/sys/health HTTP/1.1',
      'GET /vault/v1/ HTTP/1.1',
    ]);
    for (const line of ['accept: a/b', 'accept-encoding: identity', `x-vault-token: ${canary}`])
      expect(lines.filter((one) => one === line)).toHaveLength(3);
    expect(server.connections()).toBe(1);
  });

  it.each([
    ['http://127.0.0.1:1/v1', /does not end with a slash/],
    ['http://127.0.0.1:1/?/', /does not end with a slash/],
    ['http://127.1/', /neither a host name nor an address/],
    ['http://10.0.0.1/', /without TLS/],
    ['https://169.254.169.254/', /not allowed/],
    ['https://user@vault.example/', /a user or a password/],
  ])('is refused by its text: %s', (url, detail) => {
    expect(() => egress.endpoint(url)).toThrow(detail);
  });

  it.each(['../sys/seal', '%2e%2e/sys/seal', 'a/..', 'a/./b', 'a\\b', 'a b', 'a#b', 'a%zz', 'a\r\nx: y', 'é', 'a\0'])(
    'refuses the path %j, and opens no socket',
    async (path) => {
      await using server = await startRawServer((socket) => serve(socket));
      const endpoint = egress.endpoint(`http://127.0.0.1:${server.port}/v1/`);
      expect(codeOf(await endpoint.request(path).catch((error: unknown) => error))).toBe('egress_denied');
      expect(server.connections()).toBe(0);
    },
  );

  it('refuses the headers that are the guard’s', async () => {
    expect(() => egress.endpoint('http://127.0.0.1:1/', { headers: { host: 'x' } })).toThrow(TypeError);
    const endpoint = egress.endpoint('http://127.0.0.1:1/');
    await expect(endpoint.request('', { headers: { Connection: 'close' } })).rejects.toThrow(TypeError);
  });

  it('checks what its name leads to with each connection', async () => {
    const answers = [['127.0.0.1'], ['10.0.0.1']];
    const own = createEgress({ allow: [], allowLoopback: true, resolve: async () => answers.shift() ?? [] });
    const last = answer('{}').replace('\r\n', '\r\nconnection: close\r\n');
    await using server = await startRawServer((socket) => socket.once('data', () => socket.end(last)));
    const endpoint = own.endpoint(`http://vault.example:${server.port}/`);
    expect((await endpoint.request('')).status).toBe(200);
    expect(await endpoint.request('').catch(codeOf)).toBe('egress_denied');
    expect(server.connections()).toBe(1);
    await own.close();
  });

  it('ends with the guard', async () => {
    await using server = await startRawServer();
    const own = createEgress({ allow: [], allowLoopback: true });
    const endpoint = own.endpoint(`http://127.0.0.1:${server.port}/`);
    const asked = endpoint.request('', { deadlineMilliseconds: 90_000 }).catch(codeOf);
    await expect.poll(() => server.received()).not.toBe('');
    await own.close();
    expect([await asked, await endpoint.request('').catch(codeOf)]).toEqual(['shutting_down', 'shutting_down']);
  });
});

describe('the body of an answer', () => {
  it('is the same however it is cut', async () => {
    const text = JSON.stringify({ value: `${'é'.repeat(20_000)}${canary}` });
    const bytes = Buffer.from(text);
    for (const size of [1000, 16_384, bytes.length]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      await using server = await startRawServer((socket) =>
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
          for (const piece of pieces)
            socket.write(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]));
          socket.end('0\r\n\r\n');
        }),
      );
      const response = await egress.request(`http://127.0.0.1:${server.port}/`);
      expect(response.byteLength).toBe(bytes.length);
      expect(response.body.revealText()).toBe(text);
      expect(response.json()).toEqual(JSON.parse(text));
    }
  });

  it('is gone when the answer is destroyed', async () => {
    await using server = await startRawServer((socket) => serve(socket, `{"a":"${canary}"}`));
    const response = await egress.request(`http://127.0.0.1:${server.port}/`);
    const { body } = response;
    response.destroy();
    expect(() => body.reveal()).toThrow(TypeError);
    expect(() => response.json()).toThrow(EgressError);
  });
});

describe('a path', () => {
  const accepts = (check: () => unknown): boolean => {
    try {
      check();
      return true;
    } catch (error) {
      expect(codeOf(error)).toBe('egress_denied');
      expect(inspect(error)).not.toContain(canary);
      return false;
    }
  };

  it('is taken exactly when a URL with it is, and then every parser reads it as it is written', () => {
    const unit = fc.constantFrom(...Array.from('a.%2eE/?#\\ \t\r\n"\'<>[]^`{|}~!*;é\0'), '..', '%2e', '%2E.', '/');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 12 }), (text) => {
        const path = `/${text}`;
        const isTaken = accepts(() => checkPath(path));
        expect(isTaken).toBe(accepts(() => egress.checkUrl(`https://vault.example${path}`, { schemes: ['https'] })));
        if (!isTaken) return;
        // WHATWG escapes the apostrophe of a query.
        const { href, origin } = new URL(`https://vault.example${path}`);
        expect(href.slice(origin.length).replaceAll('%27', "'")).toBe(path);
      }),
      { numRuns: 500 },
    );
  });

  it('begins with a slash, and is not longer than a URL may be', () => {
    expect(accepts(() => checkPath(`x${canary}`))).toBe(false);
    expect(accepts(() => checkPath(''))).toBe(false);
    expect(accepts(() => checkPath(`/${'x'.repeat(8192)}`))).toBe(false);
  });
});
