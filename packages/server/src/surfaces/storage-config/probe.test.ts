import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createEgress, type Egress } from '@strongroom/backends/egress';
import { SecretValue } from '@strongroom/crypto';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { StorageConfigDocument } from './document.ts';
import { probeStorage } from './probe.ts';

type Operation = 'list' | 'write' | 'read' | 'delete' | 'delete-version';
type Answer = (response: ServerResponse, key: string, body: Buffer) => void;

const objects = new Map<string, Buffer>();
const asked: { readonly operation: Operation; readonly key: string }[] = [];
const answers = new Map<Operation, Answer>();
let server: Server;
let egress: Egress;
let endpoint: string;

const listing =
  '<?xml version="1.0"?><ListBucketResult><Name>data</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>';

/** As an S3 server answers, without signatures. */
const usual: Readonly<Record<Operation, Answer>> = {
  list: (response) => response.end(listing),
  write: (response, key, body) => {
    objects.set(key, body);
    response.end();
  },
  read: (response, key) => {
    const found = objects.get(key);
    if (found === undefined) error('NoSuchKey', 404)(response, key, found ?? Buffer.alloc(0));
    else response.end(found);
  },
  delete: (response, key) => {
    objects.delete(key);
    response.writeHead(204).end();
  },
  'delete-version': (response) => response.writeHead(204).end(),
};

function error(code: string, status: number): Answer {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/xml' });
    response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>its own words</Message></Error>`);
  };
}

function operationOf({ method, url = '' }: IncomingMessage): Operation {
  if (method === 'DELETE') return url.includes('versionId=') ? 'delete-version' : 'delete';
  if (method === 'PUT') return 'write';
  return url.includes('list-type=2') ? 'list' : 'read';
}

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const operation = operationOf(request);
      const key = decodeURIComponent((request.url ?? '').split('?')[0] ?? '').replace('/data/', '');
      asked.push({ operation, key });
      (answers.get(operation) ?? usual[operation])(response, key, Buffer.concat(chunks));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  egress = createEgress({ allow: [], allowLoopback: true });
});
beforeEach(() => {
  objects.clear();
  answers.clear();
  asked.length = 0;
});
afterAll(async () => {
  await egress.close();
  await new Promise((resolve) => server.close(resolve));
});

async function probe(change: Partial<StorageConfigDocument> = {}, keys: Readonly<Record<string, string>> = {}) {
  const given = { accessKey: 'AKIDEXAMPLE', secretKey: 'a secret+key/'.replace(' ', ''), ...keys };
  const values = new Map(Object.entries(given).map(([name, text]) => [name, SecretValue.fromText(text)]));
  const document = { provider: 's3-compatible', endpoint, bucket: 'data', usesPathStyle: true, ...change } as const;
  const steps = await probeStorage(
    { document, credential: (name) => values.get(name), signal: AbortSignal.timeout(60_000) },
    egress,
  );
  expect(JSON.stringify(steps)).not.toContain('its own words');
  return Object.fromEntries(steps.map(({ name, outcome, cause }) => [name, cause ?? outcome]));
}

const allOk = { list: 'ok', write: 'ok', read: 'ok', delete: 'ok' };

it('lists, writes, reads and deletes one object of a random name below the base path', async () => {
  objects.set('in/2026/mine', Buffer.from('x'));
  expect(await probe({ basePath: 'in/2026' })).toEqual(allOk);
  expect([...objects.keys()]).toEqual(['in/2026/mine']);
  const keys = new Set(asked.filter(({ operation }) => operation !== 'list').map(({ key }) => key));
  expect([...keys]).toEqual([expect.stringMatching(/^in\/2026\/\.strongroom-probe-[0-9a-f-]{36}$/)]);
  expect(await probe()).toEqual(allOk);
});

it('says of each probe what it may do, whatever the others may', async () => {
  for (const operation of ['list', 'write', 'read', 'delete'] as const) {
    answers.clear();
    answers.set(operation, error('AccessDenied', 403));
    expect(await probe()).toEqual({ ...allOk, [operation]: 'permission-refused' });
  }
  answers.clear();
  answers.set('write', error('AccessDenied', 403));
  answers.set('read', error('AccessDenied', 403));
  expect(await probe()).toEqual({ ...allOk, write: 'permission-refused', read: 'permission-refused' });
});

it('removes what was written although the answer said that it was not, and although it could not be read', async () => {
  answers.set('write', (response, key, body) => {
    objects.set(key, body);
    response.socket?.destroy();
  });
  answers.set('read', error('InternalError', 500));
  expect(await probe()).toEqual({ list: 'ok', write: 'unreachable', read: 'unreachable', delete: 'ok' });
  expect(objects.size).toBe(0);
});

it('removes versions and markers of its own where a bucket keeps them, and says where it may not', async () => {
  const versioned =
    (id: string, then: Answer): Answer =>
    (response, key, body) => {
      response.setHeader('x-amz-version-id', id);
      then(response, key, body);
    };
  answers.set('write', versioned('v1', usual.write));
  answers.set('delete', versioned('v2', usual.delete));
  expect(await probe()).toEqual(allOk);
  expect(asked.filter(({ operation }) => operation === 'delete-version')).toHaveLength(2);
  answers.set('delete-version', error('AccessDenied', 403));
  expect(await probe()).toEqual(allOk);
});

it.each([
  ['InvalidAccessKeyId', 403, 'authentication-refused'],
  ['SignatureDoesNotMatch', 403, 'authentication-refused'],
  ['RequestTimeTooSkewed', 403, 'authentication-refused'],
  ['NoSuchBucket', 404, 'target-missing'],
  ['AuthorizationHeaderMalformed', 400, 'target-missing'],
  ['InternalError', 500, 'unreachable'],
])('stops at %s: nothing else can have another outcome', async (code, status, cause) => {
  answers.set('list', error(code, status));
  expect(await probe()).toEqual({ list: cause, write: 'skipped', read: 'skipped', delete: 'skipped' });
  expect(asked).toHaveLength(1);
});

it('is told to slow down and tries the rest', async () => {
  answers.set('list', error('SlowDown', 503));
  expect(await probe()).toEqual({ ...allOk, list: 'throttled' });
});

it.each<[string, Answer]>([
  ['a page', (response) => response.setHeader('content-type', 'text/html').end('<html><body>Log in</body></html>')],
  ['nothing', (response) => response.end()],
  ['a redirect', (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()],
  ['no XML', (response) => response.end('{"ok": true}')],
  ['a listing that is longer than that of one key', (response) => response.end(listing + ' '.repeat(70_000))],
])('takes %s for no answer of S3', async (_what, answer) => {
  for (const operation of ['list', 'write', 'read', 'delete'] as const) answers.set(operation, answer);
  expect(await probe()).toEqual({ list: 'malformed', write: 'skipped', read: 'skipped', delete: 'skipped' });
});

it('is not content with other bytes than it wrote', async () => {
  answers.set('read', (response) => response.end('something else'));
  expect(await probe()).toEqual({ ...allOk, read: 'malformed' });
});

it('is answered by nobody, and goes nowhere it may not', async () => {
  expect(await probe({ endpoint: 'http://127.0.0.1:9' })).toMatchObject({ list: 'unreachable', write: 'skipped' });
  for (const denied of ['https://169.254.169.254', 'https://10.0.0.1', 'https://[::ffff:a9fe:a9fe]'])
    expect(await probe({ endpoint: denied })).toMatchObject({ list: 'address-refused', write: 'skipped' });
  expect(asked).toEqual([]);
});

it('sends no key that a header can not hold, and needs both', async () => {
  for (const keys of [{ secretKey: 'two\nlines' }, { accessKey: 'ſchlüssel' }])
    expect(await probe({}, keys)).toMatchObject({ list: 'authentication-refused', delete: 'skipped' });
  const form = {
    document: { provider: 's3-compatible', endpoint, bucket: 'data', usesPathStyle: true },
    credential: (name: string) => (name === 'accessKey' ? SecretValue.fromText('AKIDEXAMPLE') : undefined),
    signal: AbortSignal.timeout(60_000),
  } as const;
  expect((await probeStorage(form, egress))[0]).toMatchObject({ name: 'list', cause: 'authentication-refused' });
  expect(asked).toEqual([]);
});
