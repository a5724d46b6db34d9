// @needs python-reader
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { locatePython } from '../../../../servers/python-reader.ts';
import { startTestServer, type TestServer } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';

const clients = fileURLToPath(new URL('../../../../clients/python', import.meta.url));
const reference = 'secret://domain/managed/db-password';

let test: TestServer;
let canaries: Canaries;
let python: string;
let value: string;
let workload: { readonly id: string; readonly token: string };

beforeAll(async () => {
  python = await locatePython();
  canaries = new Canaries();
  value = canaries.text('value');
  test = await startTestServer({}, { canaries });
  await test.createDomain('finance');
  await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'db-password', value } });
  await test.call('POST', '/v1/domains/finance/secrets', {
    body: { key: 'binary', valueBase64: Buffer.from([0, 255, 128]).toString('base64') },
  });
  workload = await test.createServiceAccount('finance', 'job', { preset: 'MEMBER', grants: ['RESOLVE'] });
});
afterAll(() => test.close());

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(lines: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const program = ['import hashlib, strongroom', ...lines].join('\n');
  const env = { PYTHONPATH: clients, PYTHONDONTWRITEBYTECODE: '1', STRONGROOM_URL: test.url, ...environment };
  return new Promise((resolve) => {
    execFile(python, ['-c', program], { env, timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : 1, stdout, stderr });
    });
  });
}

const digestLines = (arguments_: string): string[] => [
  `with strongroom.read({"password": "${reference}"}, domain="finance"${arguments_}) as secrets:`,
  '    print(hashlib.sha256(secrets["password"].encode()).hexdigest(), repr(secrets), secrets.names())',
];

async function digest(): Promise<string> {
  const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(value));
  return Buffer.from(bytes).toString('hex');
}

describe('the one-file reader for Python', () => {
  it('receives values over both curves, with a token or a file of one', async () => {
    const file = join(test.temporaryDirectory, 'token');
    writeFileSync(file, `${workload.token}\n`, { mode: 0o600 });
    const expected = `${await digest()} <strongroom.Secrets password> ['password']\n`;
    for (const curve of ['X25519', 'P-256'])
      expect(await run(digestLines(`, curve="${curve}"`), { STRONGROOM_TOKEN: workload.token })).toEqual({
        code: 0,
        stdout: expected,
        stderr: '',
      });
    expect((await run(digestLines(''), { STRONGROOM_TOKEN_FILE: file })).stdout).toBe(expected);
    const binary = [
      'with strongroom.read({"b": "secret://domain/managed/binary"}, domain="finance") as secrets:',
      '    print(list(secrets.bytes("b")))',
      '    try: secrets["b"]',
      '    except strongroom.StrongroomError as error: print(error.code)',
      'try: secrets.bytes("b")',
      'except strongroom.StrongroomError as error: print(error.code)',
    ];
    const { stdout } = await run(binary, { STRONGROOM_TOKEN: workload.token });
    expect(stdout).toBe('[0, 255, 128]\nlaunch_refused\nstate_conflict\n');
  });

  it('ends its launch', async () => {
    const rows = await test.server.store.db
      .selectFrom('launches')
      .select('ended_at')
      .where('subject_id', '=', workload.id)
      .execute();
    expect(rows.length).toBe(4);
    expect(rows.filter((row) => row.ended_at === null)).toEqual([]);
  });

  it('fails with the server’s code, and never with a reference, a value or a token', async () => {
    const codes = async (references: string, environment: Readonly<Record<string, string>>): Promise<string> => {
      const { stdout, stderr } = await run(
        [
          `try: strongroom.read(${references}, domain="finance")`,
          'except strongroom.StrongroomError as error: print(error.code, len(error.errors), error)',
        ],
        environment,
      );
      expect(stderr).toBe('');
      expect(stdout).not.toContain(workload.token);
      return stdout.split(' ').slice(0, 2).join(' ');
    };
    const token = { STRONGROOM_TOKEN: workload.token };
    expect(await codes('{"a": "plain"}', token)).toBe('reference_malformed 0');
    expect(await codes('{"a": "secret://domain/managed/absent"}', token)).toBe('reference_unresolved 1');
    expect(await codes(`{"a": "${reference}"}`, { STRONGROOM_TOKEN: 'srt_wrong' })).toBe('unauthenticated 0');
    expect(await codes(`{"a": "${reference}"}`, {})).toBe('unauthenticated 0');
    expect(await codes(`{"a": "${reference}"}`, { ...token, STRONGROOM_URL: 'http://127.0.0.1:9' })).toBe(
      'server_unreachable 0',
    );
    expect(await codes(`{"a": "${reference}"}`, { ...token, STRONGROOM_URL: 'http://strongroom.example' })).toBe(
      'validation_failed 0',
    );
  });

  it('tells an answer that is none of a server, however it is broken, and keeps saying that it runs', async () => {
    const answers = [
      'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"id":',
      'none of HTTP\r\n\r\n',
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]',
      'HTTP/1.1 502 Bad Gateway\r\ncontent-length: 2\r\n\r\nno',
    ];
    for (const answer of answers) {
      const proxy = createServer((socket) => void socket.once('data', () => socket.end(answer)));
      await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
      const { port } = proxy.address() as AddressInfo;
      const { stdout, stderr } = await run(
        [
          `try: strongroom.read({"a": "${reference}"}, domain="finance", url="http://127.0.0.1:${port}")`,
          'except strongroom.StrongroomError as error: print(error.code, error.retryable)',
        ],
        { STRONGROOM_TOKEN: workload.token },
      );
      expect({ answer, stdout, stderr }).toEqual({ answer, stdout: 'server_unreachable True\n', stderr: '' });
      proxy.close();
    }
  });

  it('leaves the value nowhere', async () => {
    await expect(test.assertNoLeak()).resolves.toBeUndefined();
  });
});
