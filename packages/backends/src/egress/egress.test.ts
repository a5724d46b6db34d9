import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startDnsServer, type Zone } from '../../testing/dns-server.ts';
import { startRawServer } from '../../testing/servers.ts';
import { parseAddress } from './addresses.ts';
import { isPeerAmong } from './connect.ts';
import { createEgress, type Egress } from './egress.ts';
import type { EgressError } from './errors.ts';

const canary = 'canary-token-5e0a';
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}';

async function refusal(work: Promise<unknown>): Promise<EgressError> {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error as EgressError,
  );
  if (error === undefined) throw new Error('It was accepted');
  return error;
}

const request = (egress: Egress, url: string) =>
  egress.request(url, { headers: { 'x-vault-token': canary }, allowPlaintext: true, deadlineMilliseconds: 60_000 });

describe('no socket is opened for an address that is not allowed', () => {
  it.each([
    '127.0.0.1',
    '2130706433',
    '0x7f.1',
    '0x7f000001',
    '0x',
    '0177.0.0.1',
    '127.1',
    '①②⑦.⓪.⓪.①',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[64:ff9b::7f00:1]',
    '[::127.0.0.1]',
    '[2002:7f00:1::]',
    '[::1]',
    '0.0.0.0',
    '0',
    '[::]',
    'localhost',
    'localhost.',
    'LOCALHOST',
    'vault.localhost',
    '127.0.0.1\\@vault.example',
    'user:word@127.0.0.1',
    '127.0.0.1#',
    '127.0.0.1\t',
  ])('%s', async (host) => {
    await using server = await startRawServer((socket) => socket.end(ok));
    await using dns = await startDnsServer({});
    const egress = createEgress({ allow: ['10.0.0.0/8:443'], allowLoopback: false, resolve: dns.resolve });
    for (const scheme of ['http', 'https']) {
      const error = await refusal(request(egress, `${scheme}://${host}:${server.port}/`));
      expect(error).toMatchObject({ code: 'egress_denied', status: 422, step: 'address' });
    }
    expect(await refusal(egress.connectTcp({ host, port: server.port, allowPlaintext: true }))).toMatchObject({
      code: 'egress_denied',
    });
    await egress.close();
    expect(server.connections()).toBe(0);
    expect(dns.questions).toEqual([]);
  });

  it('and one is for what is allowed, so the counting counts', async () => {
    await using server = await startRawServer((socket) => socket.once('data', () => socket.end(ok)));
    const egress = createEgress({ allow: [`127.0.0.1:${server.port}`], allowLoopback: false });
    expect((await request(egress, `http://127.0.0.1:${server.port}/`)).status).toBe(200);
    expect(server.connections()).toBe(1);
    await egress.close();
  });

  it('ignores the proxy variables of the environment', async () => {
    await using proxy = await startRawServer();
    await using server = await startRawServer((socket) => socket.once('data', () => socket.end(ok)));
    const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'NODE_USE_ENV_PROXY'];
    for (const name of names) process.env[name] = name.startsWith('NODE') ? '1' : `http://127.0.0.1:${proxy.port}`;
    try {
      const egress = createEgress({ allow: [], allowLoopback: true });
      await request(egress, `http://127.0.0.1:${server.port}/`);
      await egress.close();
    } finally {
      for (const name of names) delete process.env[name];
    }
    expect(proxy.connections()).toBe(0);
    expect(server.connections()).toBe(1);
  });
});

describe('what a name leads to', () => {
  /** Two listeners on one port, of which the first alone is allowed. */
  async function startPair() {
    const answer = (socket: Socket) => socket.once('data', () => socket.end(ok));
    for (;;) {
      const allowed = await startRawServer(answer, '127.0.0.2');
      try {
        return { allowed, other: await startRawServer(answer, '127.0.0.1', allowed.port) };
      } catch (error) {
        // Somebody else has this port at the other address.
        if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
        await allowed[Symbol.asyncDispose]();
      }
    }
  }

  async function open(zone: Zone, allow: readonly string[] = []) {
    const { allowed, other } = await startPair();
    const dns = await startDnsServer(zone);
    const egress = createEgress({
      allow: [`127.0.0.2:${allowed.port}`, ...allow.map((entry) => `${entry}:${allowed.port}`)],
      allowLoopback: false,
      resolve: dns.resolve,
    });
    return {
      allowed,
      other,
      dns,
      egress,
      url: `http://vault.example:${allowed.port}/v1/x`,
      async [Symbol.asyncDispose]() {
        await egress.close();
        for (const server of [allowed, other, dns]) await server[Symbol.asyncDispose]();
      },
    };
  }

  // Every address of 127.0.0.0/8 is this machine on Linux only.
  describe.runIf(process.platform === 'linux')('with listeners on two loopback addresses', () => {
    it('connects to the address that was checked', async () => {
      await using test = await open({ 'vault.example': [['127.0.0.2']] });
      expect((await request(test.egress, test.url)).json()).toEqual({});
      expect([test.allowed.connections(), test.other.connections()]).toEqual([1, 0]);
      expect(test.allowed.received()).toContain(`host: vault.example:${test.allowed.port}\r\n`);
      expect(test.dns.questions.filter((question) => question === 'A vault.example')).toHaveLength(1);
    });

    it('never connects to a second answer: rebinding', async () => {
      await using test = await open({ 'vault.example': [['127.0.0.2'], ['127.0.0.1']] });
      await request(test.egress, test.url);
      expect([test.allowed.connections(), test.other.connections()]).toEqual([1, 0]);
      // The answer closed the connection, so the name is looked up again, and the new answer is checked again.
      expect(await refusal(request(test.egress, test.url))).toMatchObject({ code: 'egress_denied' });
      expect([test.allowed.connections(), test.other.connections()]).toEqual([1, 0]);
    });

    it('refuses an answer that mixes addresses, in either order', async () => {
      for (const answer of [
        ['127.0.0.2', '127.0.0.1'],
        ['127.0.0.1', '127.0.0.2'],
        ['127.0.0.2', '8.8.8.8', '169.254.169.254'],
        ['127.0.0.2', '::1'],
        ['127.0.0.2', '::ffff:127.0.0.2'],
        ['127.0.0.2', '64:ff9b::7f00:2'],
      ]) {
        await using test = await open({ 'vault.example': [answer] });
        expect(await refusal(request(test.egress, test.url))).toMatchObject({ code: 'egress_denied' });
        expect([test.allowed.connections(), test.other.connections()]).toEqual([0, 0]);
      }
    });

    it('follows a CNAME to its addresses and checks those', async () => {
      await using good = await open({ 'vault.example': [['a.example.']], 'a.example': [['127.0.0.2']] });
      expect((await request(good.egress, good.url)).status).toBe(200);
      await using bad = await open({ 'vault.example': [['localhost.']], localhost: [['127.0.0.1']] });
      expect(await refusal(request(bad.egress, bad.url))).toMatchObject({ code: 'egress_denied' });
      expect(bad.other.connections()).toBe(0);
    });

    it('takes the next address when the first does not answer', async () => {
      await using test = await open({ 'vault.example': [['127.0.0.3', '127.0.0.2']] }, ['127.0.0.3']);
      expect((await request(test.egress, test.url)).status).toBe(200);
      expect(test.allowed.connections()).toBe(1);
    });

    it('says no more than what was typed', async () => {
      await using test = await open({ 'vault.example': [['10.11.12.13']] });
      const error = await refusal(request(test.egress, test.url));
      expect(error.detail).toBe(`vault.example:${test.allowed.port} leads to an address that is not allowed.`);
      expect(error.hint).toContain('STRONGROOM_EGRESS_ALLOW');
    });
  });

  it.each([
    ['10.0.0.1'],
    ['127.0.0.1'],
    ['169.254.169.254'],
    ['100.64.0.1'],
    ['0.0.0.0'],
    ['224.0.0.1'],
    ['::1'],
    ['fd00::1'],
    ['fe80::1'],
    ['::ffff:10.0.0.1'],
    ['64:ff9b::a00:1'],
    ['2002:a00:1::'],
    ['2001:0:1::1'],
  ])('refuses a name that leads to %s', async (address) => {
    await using dns = await startDnsServer({ 'vault.example': [[address]] });
    const egress = createEgress({ allow: [], allowLoopback: false, resolve: dns.resolve });
    expect(await refusal(egress.request('https://vault.example/'))).toMatchObject({ code: 'egress_denied' });
    expect(await refusal(egress.connectTcp({ host: 'vault.example', port: 389, tls: {} }))).toMatchObject({
      code: 'egress_denied',
    });
    await egress.close();
  });

  it.each([['fe80::1%eth0'], ['127.1'], ['']])('refuses a name that leads to %j, which is no address', async (text) => {
    const egress = createEgress({
      allow: ['[fe80::]/10:*'],
      allowLoopback: true,
      resolve: async () => ['8.8.8.8', text],
    });
    expect(await refusal(egress.request('https://vault.example/'))).toMatchObject({ code: 'egress_denied' });
    await egress.close();
  });

  it('knows the other end of a connection, in any spelling', () => {
    const checked = ['2001:db8::1', '192.0.2.1']
      .map((text) => parseAddress(text))
      .filter((address) => address !== null);
    expect(isPeerAmong({ remoteAddress: '2001:DB8:0::1' }, checked)).toBe(true);
    expect(isPeerAmong({ remoteAddress: '192.0.2.1' }, checked)).toBe(true);
    for (const remoteAddress of ['192.0.2.2', '::ffff:192.0.2.1', '2001:db8::1%eth0', undefined])
      expect(isPeerAmong(remoteAddress === undefined ? {} : { remoteAddress }, checked)).toBe(false);
  });

  it('lets a name of the list have private addresses, but neither metadata nor this machine', async () => {
    await using server = await startRawServer();
    await using dns = await startDnsServer({
      'vault.corp.example': [['127.0.0.1']],
      'meta.corp.example': [['169.254.169.254']],
    });
    const egress = createEgress({ allow: ['corp.example:*'], allowLoopback: false, resolve: dns.resolve });
    for (const host of ['vault.corp.example', 'meta.corp.example'])
      expect(await refusal(egress.request(`https://${host}:${server.port}/`))).toMatchObject({ code: 'egress_denied' });
    expect(server.connections()).toBe(0);
    await egress.close();
  });

  it('lets a vendor’s own names have private addresses, on port 443 alone', async () => {
    const looked: string[] = [];
    const egress = createEgress({
      allow: [],
      allowLoopback: false,
      resolve: async (host) => {
        looked.push(host);
        return ['10.0.0.1'];
      },
    });
    const outcome = async (url: string, deadlineMilliseconds = 10_000) =>
      (await refusal(egress.request(url, { vendor: ['.vault.azure.net'], deadlineMilliseconds }))).code;
    // Allowed, and then nobody is there.
    expect(await outcome('https://team.vault.azure.net/', 200)).toBe('backend_unavailable');
    expect(await outcome('https://team.vault.azure.net:8443/')).toBe('egress_denied');
    expect(await outcome('https://vault.azure.net.evil.example/')).toBe('egress_denied');
    expect(await outcome('https://10.0.0.1/')).toBe('egress_denied');
    expect(looked).toHaveLength(3);
    await egress.close();
  });

  it('keeps plaintext on this machine, also when a name of the list leads elsewhere', async () => {
    await using dns = await startDnsServer({ 'vault.corp.example': [['10.0.0.1']], 'here.example': [['127.0.0.1']] });
    await using server = await startRawServer((socket) => socket.once('data', () => socket.end(ok)));
    const egress = createEgress({ allow: ['corp.example:*'], allowLoopback: true, resolve: dns.resolve });
    expect(await refusal(egress.request('http://vault.corp.example/'))).toMatchObject({
      code: 'egress_denied',
      detail: 'vault.corp.example:80 would be reached without TLS.',
    });
    expect((await egress.request(`http://here.example:${server.port}/`)).status).toBe(200);
    await egress.close();
  });

  it('tells a name that is not there, and a name server that is not', async () => {
    await using dns = await startDnsServer({ 'empty.example': [[]] });
    const egress = createEgress({ allow: [], allowLoopback: false, resolve: dns.resolve });
    for (const host of ['missing.example', 'empty.example'])
      expect(await refusal(egress.request(`https://${host}/`))).toMatchObject({
        code: 'backend_unavailable',
        step: 'reachable',
        detail: `${host}:443: there is no such name.`,
      });
    await egress.close();
    const silent = createEgress({ allow: [], allowLoopback: false, resolve: () => new Promise(() => undefined) });
    const outcome = { code: 'backend_unavailable', step: 'reachable', reason: 'ETIMEDOUT' };
    expect(await refusal(silent.request('https://vault.example/', { deadlineMilliseconds: 100 }))).toMatchObject(
      outcome,
    );
    const tcp = { host: 'vault.example', port: 389, tls: {}, deadlineMilliseconds: 100 };
    expect(await refusal(silent.connectTcp(tcp))).toMatchObject(outcome);
    await silent.close();
  });
});

describe('a connection that was handed over', () => {
  it('is reset by the other side before anybody listens, and nothing else ends by it', async () => {
    await using server = await startRawServer((socket) => setImmediate(() => socket.resetAndDestroy()));
    const egress = createEgress({ allow: [], allowLoopback: true });
    const socket = await egress.connectTcp({ host: '127.0.0.1', port: server.port });
    // Without a listener of ours for its errors, as while the library that shall use it is loaded.
    if (!socket.closed) await new Promise((resolve) => socket.on('close', resolve));
    expect(socket.errored).not.toBeNull();
    await egress.close();
  });

  it('ends when more comes than may, however it comes, and gives nobody a byte of that', async () => {
    await using server = await startRawServer((socket) => {
      const piece = Buffer.alloc(64 * 1024, 'a');
      const goOn = (): void => {
        while (!socket.destroyed && socket.write(piece));
      };
      socket.on('drain', goOn);
      goOn();
    });
    const egress = createEgress({ allow: [], allowLoopback: true });
    const target = { host: '127.0.0.1', port: server.port };
    for (const [options, limit] of [
      [{ maxBytes: 200_000 }, 200_000],
      [{}, 1024 * 1024],
    ] as const) {
      const socket = await egress.connectTcp({ ...target, ...options });
      let bytes = 0;
      socket.on('data', (piece: Buffer) => (bytes += piece.length));
      if (!socket.closed) await new Promise((resolve) => socket.on('close', resolve));
      expect(bytes).toBeLessThanOrEqual(limit);
      expect([egress.isCutOff(socket), socket.errored]).toMatchObject([true, { code: 'backend_malformed' }]);
      expect(String(socket.errored)).toContain(`127.0.0.1:${server.port} sent more than ${limit} bytes`);
    }
    await egress.close();
  });

  it('is cut off by nothing while what comes is within its limit', async () => {
    await using server = await startRawServer((socket) => socket.end(Buffer.alloc(200_000, 'a')));
    const egress = createEgress({ allow: [], allowLoopback: true });
    const socket = await egress.connectTcp({ host: '127.0.0.1', port: server.port, maxBytes: 200_000 });
    const pieces = (await socket.toArray()) as Buffer[];
    expect([Buffer.concat(pieces).length, egress.isCutOff(socket)]).toEqual([200_000, false]);
    await egress.close();
  });
});
