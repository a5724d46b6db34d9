import { connect, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { startRawServer } from '../../testing/servers.ts';
import { createEgress, type Egress } from './egress.ts';

const canary = 'canary-proxy-51aa';
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}';
const opened: Egress[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((egress) => egress.close()));
});

function open(port: number, allow: readonly string[]): Egress {
  const egress = createEgress({
    allow,
    allowLoopback: true,
    proxy: new URL(`http://user:${canary}%21@127.0.0.1:${port}`),
    resolve: () => Promise.reject(new Error('Behind a proxy nothing is looked up here')),
  });
  opened.push(egress);
  return egress;
}

const outcomeOf = (egress: Egress, url: string) =>
  egress.request(url, { allowPlaintext: true, deadlineMilliseconds: 60_000 }).catch((error: unknown) => error);

/** A proxy that tunnels everything to one server. */
const tunnelTo = (port: number) => (socket: Socket) => {
  socket.once('data', () => {
    const other = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(other).pipe(socket);
    });
    other.on('error', () => socket.destroy());
  });
};

describe('through STRONGROOM_EGRESS_PROXY', () => {
  it('goes what is on the list, to the name as it was typed, also after the time to connect is over', async () => {
    await using server = await startRawServer((socket) =>
      socket.once('data', () => void setTimeout(() => socket.end(ok), 50)),
    );
    await using proxy = await startRawServer(tunnelTo(server.port));
    const egress = open(proxy.port, ['corp.example:8200']);
    expect(await outcomeOf(egress, 'http://vault.corp.example:8200/v1/x')).toMatchObject({ status: 200 });
    expect(proxy.received()).toMatch(/^CONNECT vault\.corp\.example:8200 HTTP\/1\.1\r\n/);
    expect(proxy.received()).toContain(
      `proxy-authorization: Basic ${Buffer.from(`user:${canary}!`).toString('base64')}\r\n`,
    );
    expect(server.received()).toMatch(/^GET \/v1\/x /);
    expect(server.received()).not.toContain('proxy-authorization');
  });

  it('goes nothing else', async () => {
    await using proxy = await startRawServer();
    const egress = open(proxy.port, ['corp.example:8200', '10.0.0.0/8:8200']);
    for (const url of [
      'https://vault.example/',
      'https://vault.corp.example/',
      'https://8.8.8.8:8200/',
      'https://10.0.0.1/',
      'https://169.254.169.254:8200/',
    ]) {
      expect(await outcomeOf(egress, url)).toMatchObject({ code: 'egress_denied', step: 'address' });
      expect(() => egress.checkUrl(url, { schemes: ['https'] })).toThrow(/not on the list|not allowed/);
    }
    expect(proxy.connections()).toBe(0);
  });

  it('goes a vendor’s name, and an address of an operator’s network', async () => {
    await using proxy = await startRawServer((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')),
    );
    const egress = open(proxy.port, ['10.0.0.0/8:8200']);
    expect(await outcomeOf(egress, 'https://10.0.0.1:8200/')).toMatchObject({ code: 'backend_unavailable' });
    await egress.request('https://x.vault.azure.net/', { vendor: ['.vault.azure.net'] }).catch(() => undefined);
    expect(proxy.received()).toContain('CONNECT 10.0.0.1:8200 ');
    expect(proxy.received()).toContain('CONNECT x.vault.azure.net:443 ');
  });

  it('never goes what means this machine', async () => {
    await using server = await startRawServer((socket) => socket.once('data', () => socket.end(ok)));
    await using proxy = await startRawServer();
    const egress = open(proxy.port, []);
    for (const host of ['127.0.0.1', 'localhost'])
      expect(await outcomeOf(egress, `http://${host}:${server.port}/`)).toMatchObject({ status: 200 });
    expect(proxy.connections()).toBe(0);
  });

  it.each<[string, (socket: Socket) => void]>([
    ['a refusal', (s) => s.end(`HTTP/1.1 407 ${canary}\r\ncontent-length: 0\r\n\r\n`)],
    ['a page', (s) => s.end(`HTTP/1.1 302 Found\r\nlocation: http://${canary}/\r\n\r\n`)],
    ['words before they are due', (s) => s.write(`HTTP/1.1 200 OK\r\n\r\n${canary}`)],
    ['no HTTP', (s) => s.end(canary)],
    ['an end', (s) => s.destroy()],
    ['nothing', () => undefined],
  ])('%s of the proxy is an error that says nothing of it', async (_what, serve) => {
    await using proxy = await startRawServer((socket) => socket.once('data', () => serve(socket)));
    const egress = open(proxy.port, ['corp.example:8200']);
    const tcp = { host: 'vault.corp.example', port: 8200, allowPlaintext: true, deadlineMilliseconds: 300 };
    const error: unknown = await egress.connectTcp(tcp).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'backend_unavailable', step: 'reachable' });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(canary);
  });

  it.each(['ftp://proxy', 'http://proxy/path', 'http://user:100%25%@proxy', 'http://proxy/?q', 'socks5://proxy:1080'])(
    '%s is no proxy',
    (text) => {
      expect(() => createEgress({ allow: [], allowLoopback: false, proxy: new URL(text) })).toThrow(TypeError);
    },
  );
});
