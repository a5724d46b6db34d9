import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { afterAll, describe, expect, it } from 'vitest';
import { startRawServer } from '../../testing/servers.ts';
import { createEgress } from './egress.ts';

const canary = 'canary-tls-20be';
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}';
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const directory = mkdtempSync(join(tmpdir(), 'strongroom-egress-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A self-signed certificate for these names. */
function certificate(name: string, alternative: string, ...more: string[]) {
  const [cert, key] = [join(directory, `${name}.pem`), join(directory, `${name}.key`)];
  const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=${canary} -keyout ${key} -out ${cert}`;
  const days = more.length === 0 ? ['-days', '2'] : more;
  execFileSync('openssl', [...words.split(' '), ...days, '-addext', `subjectAltName=${alternative}`], {
    stdio: 'ignore',
  });
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

describe.skipIf(!hasOpenssl)('TLS (certificates made by openssl)', () => {
  const egress = createEgress({
    allow: [],
    allowLoopback: true,
    resolve: async () => ['127.0.0.1'],
  });
  afterAll(() => egress.close());

  /** A server with this certificate that says which name it was asked for. */
  async function startTlsServer(pair: { cert: string; key: string }, answer: (socket: TLSSocket) => void) {
    const names: (string | false | null)[] = [];
    const server = await startRawServer((raw: Socket) => {
      const socket = new TLSSocket(raw, { isServer: true, ...pair, ALPNProtocols: ['h2', 'http/1.1'] });
      socket.on('error', () => raw.destroy());
      socket.on('secure', () => {
        names.push((socket as TLSSocket & { servername: string | false | null }).servername);
        answer(socket);
      });
    });
    return { ...server, names, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  }
  const http = (socket: TLSSocket) => socket.once('data', () => socket.end(ok));
  const ask = (url: string, ca?: string) =>
    egress
      .request(url, {
        ...(ca === undefined ? {} : { ca }),
        headers: { 'x-vault-token': canary },
        deadlineMilliseconds: 60_000,
      })
      .catch((error: unknown) => error);

  const named = hasOpenssl ? certificate('named', 'DNS:vault.example') : { cert: '', key: '' };
  const numbered = hasOpenssl ? certificate('numbered', 'IP:127.0.0.1') : { cert: '', key: '' };

  it('is for the name that was typed, at the address that was checked', async () => {
    await using server = await startTlsServer(named, http);
    expect(await ask(`https://vault.example:${server.port}/`, named.cert)).toMatchObject({ status: 200 });
    expect(server.names).toEqual(['vault.example']);
  });

  it('is for the address where one was typed, and no name is sent', async () => {
    await using server = await startTlsServer(numbered, http);
    expect(await ask(`https://127.0.0.1:${server.port}/`, numbered.cert)).toMatchObject({ status: 200 });
    expect(server.names).toEqual([false]);
  });

  it('with a certificate for another name, or one nobody trusts, carries nothing', async () => {
    await using server = await startTlsServer(named, http);
    const outcomes = [
      [await ask(`https://other.example:${server.port}/`, named.cert), 'the certificate is for another name'],
      [await ask(`https://127.0.0.1:${server.port}/`, named.cert), 'the certificate is for another name'],
      [await ask(`https://vault.example:${server.port}/`), 'not signed by a trusted authority'],
      [await ask(`https://vault.example:${server.port}/`, numbered.cert), 'not signed by a trusted authority'],
      [await ask(`https://vault.example:${server.port}/`, 'no certificate'), 'not signed by a trusted authority'],
    ] as const;
    for (const [outcome, words] of outcomes) {
      expect(outcome).toMatchObject({ code: 'backend_unavailable', step: 'tls' });
      expect((outcome as Error).message).toContain(words);
      expect(JSON.stringify(outcome) + String((outcome as Error).stack)).not.toContain(canary);
    }
    expect(server.received()).not.toContain('GET');
  });

  it('is verified whatever NODE_TLS_REJECT_UNAUTHORIZED says', async () => {
    await using server = await startTlsServer(named, http);
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      expect(await ask(`https://vault.example:${server.port}/`)).toMatchObject({ step: 'tls' });
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    }
  });

  it('shares connections only among those who trust the same', async () => {
    await using server = await startTlsServer(named, (socket) =>
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')),
    );
    const url = `https://vault.example:${server.port}/`;
    expect(await ask(url, named.cert)).toMatchObject({ status: 200 });
    expect(await ask(url, named.cert)).toMatchObject({ status: 200 });
    expect(server.connections()).toBe(1);
    expect(await ask(url)).toMatchObject({ step: 'tls' });
    expect(await ask(url, numbered.cert)).toMatchObject({ step: 'tls' });
  });

  it('can begin at the first byte or later, for other protocols', async () => {
    await using server = await startTlsServer(named, (socket) => socket.end('220 ready\r\n'));
    const target = { host: 'vault.example', port: server.port };
    const open = await egress.connectTcp({ ...target, tls: { ca: named.cert } });
    expect(String(await open.setEncoding('latin1').toArray())).toBe('220 ready\r\n');
    const plain = await egress.connectTcp(target);
    const secured = await egress.startTls(plain, { ...target, ca: named.cert });
    expect(String(await secured.setEncoding('latin1').toArray())).toBe('220 ready\r\n');
    const wrong = await egress.connectTcp(target);
    await expect(egress.startTls(wrong, { ...target, host: 'other.example', ca: named.cert })).rejects.toMatchObject({
      step: 'tls',
    });
    expect(wrong.destroyed).toBe(true);
  });

  it.each(['the first byte', 'later', 'a library'])(
    'from %s on counts to what may come over a connection',
    async (by) => {
      await using server = await startTlsServer(named, (socket) => {
        const piece = Buffer.alloc(64 * 1024, 'a');
        const goOn = (): void => {
          while (!socket.destroyed && socket.write(piece));
        };
        socket.on('drain', goOn);
        goOn();
      });
      const target = { host: 'vault.example', port: server.port, maxBytes: 300_000 };
      const tls = { ca: named.cert };
      const outer = await egress.connectTcp({ ...target, ...(by === 'the first byte' ? { tls } : {}) });
      let inner: Socket = outer;
      if (by === 'later') inner = await egress.startTls(outer, { ...target, ...tls });
      if (by === 'a library') inner = connectTls({ socket: outer, servername: target.host, ...tls });
      inner.on('error', () => undefined);
      let bytes = 0;
      inner.on('data', (piece: Buffer) => (bytes += piece.length));
      if (!inner.closed) await new Promise((resolve) => inner.on('close', resolve));
      expect([outer.destroyed, egress.isCutOff(outer)]).toEqual([true, true]);
      // Where somebody else reads, it is looked at from time to time.
      expect(bytes).toBeLessThan(by === 'a library' ? 64 * 1024 * 1024 : 300_000);
      if (by !== 'a library') expect([egress.isCutOff(inner), inner.errored]).toMatchObject([true, { step: 'answer' }]);
    },
  );
});

describe('TLS that never comes about', () => {
  const egress = createEgress({ allow: [], allowLoopback: true });
  afterAll(() => egress.close());
  const refusal = (port: number) =>
    egress
      .connectTcp({ host: '127.0.0.1', port, tls: {}, deadlineMilliseconds: 2_000 })
      .catch((error: unknown) => error);

  it('ends with the deadline where nobody speaks', async () => {
    await using server = await startRawServer();
    expect(await refusal(server.port)).toMatchObject({ code: 'backend_unavailable', step: 'tls', reason: 'ETIMEDOUT' });
    await expect
      .poll(() =>
        egress
          .request(`https://127.0.0.1:${server.port}/`, { deadlineMilliseconds: 300 })
          .catch((error: unknown) => error),
      )
      .toMatchObject({ code: 'backend_unavailable' });
  });

  it.each<[string, (socket: Socket) => void]>([
    ['plaintext', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['an end', (socket) => socket.end()],
    ['a reset', (socket) => socket.once('data', () => socket.resetAndDestroy())],
  ])('ends with an answer of %s', async (_what, serve) => {
    await using server = await startRawServer(serve);
    expect(await refusal(server.port)).toMatchObject({ code: 'backend_unavailable', step: 'tls' });
  });

  it('and a port where nobody listens is told apart', async () => {
    // One that nobody is given who asks for any.
    await expect(refusal(1)).resolves.toMatchObject({ step: 'reachable', reason: 'ECONNREFUSED' });
  });
});
