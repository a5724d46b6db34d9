import { chownSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createEgress } from '@strongroom/backends/egress';
import { startRawServer } from '@strongroom/backends/testing/servers.ts';
import { SecretValue } from '@strongroom/crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../../testing/app.ts';
import { Canaries } from '../../../testing/canaries.ts';
import { loopbackCertificate } from '../../../testing/certificate.ts';
import { postgresUnavailable, type PostgresServer, startPostgres } from '../../../testing/postgres.ts';
import { freshName } from '../../../testing/samples.ts';
import { tryConnection } from './test-connection.ts';

const canaries = new Canaries();
const password = canaries.plain('password of the database');
const certificate = loopbackCertificate();
const all = '/v1/domains/finance/connections';
let test: TestServer;

beforeAll(async () => {
  test = await startTestServer({}, { canaries });
  await test.createDomain('finance');
});
afterAll(async () => {
  await test.close();
});

interface Result {
  readonly ok: boolean;
  readonly steps: readonly { readonly name: string; readonly outcome: string; readonly cause?: string }[];
}

const shortOf = ({ steps }: Result) => steps.map(({ name, outcome, cause }) => [name, cause ?? outcome]);
const tryForm = (body: object) => test.call<Result>('POST', `${all}/test`, { body });

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));
}

describe('TCP', () => {
  const form = (hostPort: string) => ({ type: 'mysql', config: { username: 'ann', hostPort } });

  it('says whether somebody listens, and no more than that', async () => {
    const server = createServer();
    const port = await listen(server);
    expect(shortOf(await tryForm(form(`127.0.0.1:${port}`)))).toEqual([['reach', 'ok']]);
    await new Promise((resolve) => server.close(resolve));
    expect(shortOf(await tryForm(form('127.0.0.1:1')))).toEqual([['reach', 'unreachable']]);
  });

  it('goes through the egress guard', async () => {
    expect(shortOf(await tryForm(form('169.254.169.254:80')))).toEqual([['reach', 'address-refused']]);
    expect(shortOf(await tryForm(form('2130706433:80')))).toEqual([['reach', 'address-refused']]);
  });

  it('is skipped where nothing names a host', async () => {
    const config = { authType: 'JWT', config: { JWTToken: { set: canaries.plain('a token') } } };
    expect(shortOf(await tryForm({ type: 'bot', config }))).toEqual([['reach', 'skipped']]);
  });
});

const missing = postgresUnavailable();
const note = missing === undefined ? '' : ` (skipped: ${missing})`;

describe.skipIf(missing !== undefined)(`SQL${note}`, () => {
  let postgres: PostgresServer;
  let port: number;

  beforeAll(async () => {
    postgres = await startPostgres({ listens: true });
    ({ port } = postgres);
    const url = await postgres.createDatabase('code-point');
    const folder = new URL(url).searchParams.get('host') ?? '';
    const data = join(folder, 'data');
    const { uid, gid } = statSync(data);
    for (const [name, text] of [
      ['server.crt', certificate.certificate],
      ['server.key', certificate.key],
    ] as const) {
      writeFileSync(join(data, name), text, { mode: 0o600 });
      chownSync(join(data, name), uid, gid);
    }
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query(`create role ann login password ${client.escapeLiteral(password)}`);
    await client.query('create database sales');
    await client.query('create database closed');
    await client.query('revoke connect on database closed from public');
    await client.query('alter system set ssl = on');
    await client.query('select pg_reload_conf()');
    await client.end();
  });
  afterAll(() => postgres.stop());

  const form = (config: object = {}, sent: object = { set: password }) => ({
    type: 'postgres',
    config: {
      username: 'ann',
      hostPort: `127.0.0.1:${port}`,
      database: 'sales',
      authType: { password: sent },
      sslConfig: { caCertificate: { set: certificate.certificate } },
      ...config,
    },
  });
  const good = [
    ['reach', 'ok'],
    ['tls', 'ok'],
    ['sign-in', 'ok'],
    ['query', 'ok'],
  ];

  it.each(['prefer', 'require', 'verify-full'])('signs in over TLS with sslMode %s', async (sslMode) => {
    expect(shortOf(await tryForm(form({ sslMode })))).toEqual(good);
  });

  it('goes without TLS where sslMode says so, on this machine', async () => {
    const [reach, _tls, ...after] = good;
    const result = await tryForm(form({ sslMode: 'disable' }));
    expect(shortOf(result)).toEqual([reach, ['tls', 'skipped'], ...after]);
  });

  it('resolves placeholders in every text', async () => {
    const global = {
      'pg-user': 'ann',
      'pg-database': 'ale',
      'pg-start': password.slice(0, 3),
      'pg-end': password.slice(3),
    };
    for (const [key, value] of Object.entries(global))
      await test.call('POST', '/v1/global/secrets', { body: { key, value } });
    const texts = { username: '${secrets.pg-user}', database: 's${secrets.pg-database}s' };
    const sent = { value: '${secrets.pg-start}${secrets.pg-end}' };
    expect(shortOf(await tryForm(form(texts, sent)))).toEqual(good);
    const other = { ...texts, database: '${secrets.pg-database}' };
    expect(shortOf(await tryForm(form(other, sent)))[2]).toEqual(['sign-in', 'target-missing']);
    const absent = await tryForm(form({ database: '${secrets.nowhere}' }, sent));
    expect([absent.ok, absent.steps.map(({ cause }) => cause)]).toEqual([false, [undefined, undefined, 'unresolved']]);
  });

  it('believes no certificate that is not trusted', async () => {
    const result = await tryForm(form({ sslConfig: {} }));
    expect(shortOf(result)[1]).toEqual(['tls', 'certificate-untrusted']);
  });

  it.each([
    ['a wrong password', {}, { set: 'not the password' }, 'sign-in', 'authentication-refused'],
    ['a database that is not there', { database: 'nowhere' }, undefined, 'sign-in', 'target-missing'],
    ['a database that it may not open', { database: 'closed' }, undefined, 'sign-in', 'permission-refused'],
  ] as const)('tells %s', async (_what, config, sent, step, cause) => {
    const result = await tryForm(form(config, sent));
    expect([result.ok, shortOf(result)[2]]).toEqual([false, [step, cause]]);
  });

  it('uses the secret that a saved one keeps, and a reference; an unresolved one is told', async () => {
    const name = freshName();
    await test.call('POST', all, { body: { name, ...form() } });
    const kept = form({ sslConfig: { caCertificate: { keep: true } } }, { keep: true });
    expect(shortOf(await test.call<Result>('POST', `${all}/${name}/test`, { body: kept }))).toEqual(good);
    await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'pg-password', value: password } });
    expect(shortOf(await tryForm(form({}, { secret: 'secret:pg-password' })))).toEqual(good);
    const absent = await tryForm(form({}, { secret: 'secret:nowhere' }));
    expect([absent.ok, absent.steps.map(({ cause }) => cause)]).toEqual([false, ['unresolved']]);
    const moved = form({ hostPort: `localhost:${port}` }, { keep: true });
    expect((await test.request('POST', `${all}/${name}/test`, { body: moved })).status).toBe(422);
  });
});

it.each([
  ['what says nothing and hangs up', '', 'malformed'],
  ['what offers no TLS', 'N', 'tls-refused'],
  ['what speaks something else', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'malformed'],
])('tells %s from PostgreSQL', async (_what, answer, cause) => {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', () => socket.end(answer));
  });
  const port = await listen(server);
  const config = {
    username: 'ann',
    hostPort: `127.0.0.1:${port}`,
    database: 'sales',
    authType: { password: { set: password } },
  };
  const steps = shortOf(await tryForm({ type: 'postgres', config }));
  expect(steps).toEqual([
    ['reach', 'ok'],
    ['tls', cause],
    ['sign-in', 'skipped'],
    ['query', 'skipped'],
  ]);
  await new Promise((resolve) => server.close(resolve));
});

describe('what answers a sign-in as PostgreSQL', () => {
  const egress = createEgress({ allow: [], allowLoopback: true });
  afterAll(() => egress.close());
  const message = (type: string, ...content: readonly (string | Buffer)[]): Buffer => {
    const bytes = Buffer.concat(content.map((each) => Buffer.from(each)));
    const header = Buffer.from(`${type}....`);
    header.writeUInt32BE(4 + bytes.length, 1);
    return Buffer.concat([header, bytes]);
  };
  const int = (...values: readonly number[]): Buffer => Buffer.from(values.flatMap((value) => [0, 0, 0, value]));
  const text = (length: number): string => 'SERVER TEXT '.repeat(length / 12);
  const signedIn = Buffer.concat([message('R', int(0)), message('Z', 'I')]);

  async function trySession(
    serve: (socket: Socket) => void,
    sslMode = 'disable',
    signal = AbortSignal.timeout(60_000),
  ) {
    await using server = await startRawServer((socket) => socket.once('data', () => serve(socket)));
    const config = { username: 'ann', hostPort: `127.0.0.1:${server.port}`, database: 'sales', sslMode };
    const value = SecretValue.fromText(password);
    const form = {
      document: { type: 'postgres', config, credentials: {} },
      credential: () => value,
      signal,
    };
    const steps = await tryConnection(form, egress);
    expect(JSON.stringify(steps)).not.toContain('SERVER TEXT');
    return shortOf({ ok: false, steps }).slice(1);
  }
  const forEver = (message: Buffer) => (socket: Socket) => {
    const piece = Buffer.alloc(message.length * Math.ceil(65_536 / message.length), message);
    const goOn = (): void => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.on('drain', goOn);
    goOn();
  };
  const failed = [
    ['tls', 'skipped'],
    ['sign-in', 'malformed'],
    ['query', 'skipped'],
  ];

  it.each([
    ['a way to sign in that only others have', message('R', int(7))],
    ['ways to sign in without end', message('R', int(10), 'SCRAM-SHA-256')],
    ['an error without end', message('E', 'SFATAL\0')],
    ['an error without a text', message('E', 'S')],
    ['an error of 500 MB', Buffer.concat([Buffer.from([0x45, 0x1d, 0xcd, 0x65, 0]), Buffer.from(text(60_000))])],
    ['a row without columns', message('D', Buffer.from([0x75, 0x30]))],
    ['fewer columns than none', message('D', Buffer.from([0xff, 0xff]))],
    ['a row that was not asked for', message('D', Buffer.from([0, 0]))],
    ['a message that nobody knows', message('?', int(1))],
    ['a message of no length', Buffer.from([0x52, 0, 0, 0, 0])],
    ['another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['a sign-in that was not begun', message('R', int(12), 'v=x')],
  ])('that is %s is told, and nothing else ends by it', async (_what, answer) => {
    expect(await trySession((socket) => socket.write(answer))).toEqual(failed);
  });

  it.each([
    ['notices', message('N', `SNOTICE\0M${text(12_000)}\0\0`)],
    ['settings', message('S', 'a\0', `${text(1_200)}\0`)],
  ])('and goes on with %s for ever is cut off', async (_what, piece) => {
    expect(await trySession(forEver(piece))).toEqual(failed);
  });

  it('a byte now and then, or nothing, ends with the deadline', async () => {
    // Each comes when the server has been asked, and not while the connection is still made.
    const [first, second] = [new AbortController(), new AbortController()];
    const end = (deadline: AbortController) => deadline.abort(new DOMException('It took too long', 'TimeoutError'));
    const slow = (socket: Socket): void => {
      socket.write(Buffer.from([0x4e, 0, 0, 0xff, 0]));
      let pieces = 0;
      const timer = setInterval(() => {
        socket.write('M');
        pieces += 1;
        if (pieces === 5) end(first);
      }, 20);
      socket.on('close', () => clearInterval(timer));
    };
    expect((await trySession(slow, 'disable', first.signal))[1]).toEqual(['sign-in', 'deadline']);
    expect((await trySession(() => end(second), 'require', second.signal))[0]).toEqual(['tls', 'deadline']);
  });

  it('and then answers the query with too much, or otherwise, is told by the query', async () => {
    const after = (answer: Buffer) => (socket: Socket) => {
      socket.write(signedIn);
      socket.once('data', () => forEver(answer)(socket));
    };
    const row = message('D', Buffer.from([0, 1]), int(12), text(12));
    const columns = message('T', Buffer.from([0, 1]), 'a\0', Buffer.alloc(18));
    for (const answer of [row, columns, message('N', 'MSERVER TEXT\0\0'), message('C', '\0')])
      expect(await trySession(after(answer))).toEqual([
        ['tls', 'skipped'],
        ['sign-in', 'ok'],
        ['query', 'malformed'],
      ]);
  });
});

it('no value is in any answer, log or file', async () => {
  await expect(test.assertNoLeak()).resolves.toBeUndefined();
});
