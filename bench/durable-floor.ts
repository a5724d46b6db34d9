// A bare resolve with durable, chained audit: no framework, no access model, no checks of what it is sent, no secrets but one. It
// shows about what the promise itself takes on this runtime and store; it is one way to write it, and no proof of a limit. So
// does the bare relay, which reads from a Vault in place of decrypting.
import { createCipheriv, createDecipheriv, createHmac, hash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import process from 'node:process';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

interface Delivery {
  readonly request: number;
  readonly thumbprint: string;
  readonly event: Readonly<Record<string, unknown>>;
}

const launch = 'launch';
const schema = `
  pragma journal_mode = wal;
  pragma synchronous = full;
  create table audit (sequence integer primary key, content text not null, mac blob not null);
  create table launches (id text primary key, thumbprint text not null, heartbeat_until integer not null);
  create table receipts (launch text, name text, version text, fingerprint blob, primary key (launch, name)) without rowid;
  insert into launches values ('${launch}', '', 0);
`;

/** One transaction for all that came while the last one was being written: a record in the chain, a binding, a receipt each. */
function writeDeliveries(file: string, port: NonNullable<typeof parentPort>): void {
  const db = new DatabaseSync(file);
  db.exec(schema);
  const bind = db.prepare('update launches set thumbprint = ?, heartbeat_until = ? where id = ? returning id');
  const receive = db.prepare(
    `insert into receipts values (?, 'PGPASSWORD', '1.1', ?)
      on conflict do update set version = excluded.version, fingerprint = excluded.fingerprint`,
  );
  const record = db.prepare('insert into audit values (?, ?, ?)');
  const key = randomBytes(32);
  let previous: Buffer = Buffer.alloc(32);
  let sequence = 0;
  port.on('message', (deliveries: readonly Delivery[]) => {
    db.exec('begin immediate');
    for (const { thumbprint, event } of deliveries) {
      bind.get(thumbprint, Date.now(), launch);
      receive.run(launch, previous.subarray(0, 16));
      sequence += 1;
      const content = JSON.stringify({ sequence, time: Date.now(), ...event });
      previous = createHmac('sha256', key).update(previous).update(content).digest();
      record.run(sequence, content, previous);
    }
    db.exec('commit');
    port.postMessage(deliveries.map(({ request }) => request));
  });
}

/** Hands deliveries to the thread that writes them, a batch at a time: half of those on their way, as the real lane does. */
function createLane(file: string): (delivery: Delivery, done: () => void) => void {
  const writer = new Worker(new URL(import.meta.url), { workerData: file });
  const waiting = new Map<number, () => void>();
  let queue: Delivery[] = [];
  let isWriting = false;
  let last = 0;
  const flush = (): void => {
    if (isWriting || queue.length === 0) return;
    isWriting = true;
    const batch = queue.slice(0, Math.max(8, Math.ceil((queue.length + last) / 2)));
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    writer.postMessage(batch);
    queue = queue.slice(batch.length);
    last = batch.length;
  };
  writer.on('message', (requests: readonly number[]) => {
    isWriting = false;
    for (const request of requests) {
      waiting.get(request)?.();
      waiting.delete(request);
    }
    flush();
  });
  return (delivery, done) => {
    waiting.set(delivery.request, done);
    queue.push(delivery);
    flush();
  };
}

/** Two decryptions a request: a data key, and a value of 256 bytes. */
function createOpener(): () => Buffer {
  const key = randomBytes(32);
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const sealed = Buffer.concat([cipher.update(Buffer.alloc(256, 'x')), cipher.final()]);
  const tag = cipher.getAuthTag();
  return () => {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce).setAuthTag(tag);
    return Buffer.concat([decipher.update(sealed), decipher.final()]);
  };
}

function eventOf(request: number, principal: string): Delivery['event'] {
  return {
    principal,
    principalName: 'bench/workload',
    action: 'launch.resolve',
    outcome: 'allowed',
    scope: { id: 'domain', name: 'bench' },
    object: { type: 'secret', id: 'secret', name: 'db-password' },
    reference: 'secret://domain/managed/db-password',
    source: 'managed',
    because: ['RESOLVE'],
    requestId: String(request),
    launch,
    version: '1.1',
  };
}

/** Gets what is delivered for a request whose caller is known. */
type Source = (request: IncomingMessage, deliver: (value: Buffer) => void) => void;

/** @returns the port; any bearer token is the one that it knows */
export function startFloor(): Promise<number> {
  const open = createOpener();
  return serve((_request, deliver) => {
    open();
    deliver(open());
  });
}

/**
 * Reads the key of the request's path from a Vault of this machine, as the bearer of the request's own token.
 * @returns the port
 */
export function startRelay(): Promise<number> {
  const port = Number(process.env['RELAYED_VAULT_PORT']);
  const agent = new Agent({ keepAlive: true });
  return serve((request, deliver) => {
    const token = request.headers.authorization?.slice('Bearer '.length) ?? '';
    const key = request.url?.split('/').at(-1) ?? '';
    const place = { agent, host: '127.0.0.1', port, path: `/v1/secret/data/bench/${key}` };
    get({ ...place, headers: { 'x-vault-token': token } }, (answer) => {
      readBody(answer, (body) => {
        const { data } = JSON.parse(body.toString()) as { data: { data: { value: string } } };
        deliver(Buffer.from(data.data.value));
      });
    });
  });
}

function readBody(message: IncomingMessage, done: (body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  message.on('data', (chunk: Buffer) => chunks.push(chunk));
  message.on('end', () => done(Buffer.concat(chunks)));
}

function serve(source: Source): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-floor-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  const deliver = createLane(join(directory, 'floor.db'));
  const callers = new Map<string, string>();
  let count = 0;

  const answer = (response: ServerResponse, value: Buffer): void => {
    const text = JSON.stringify({ launch, values: value.toString('base64url') });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length });
    response.end(text, 'latin1');
  };
  const server = createServer((request, response) => {
    readBody(request, (body) => {
      const token = hash('sha256', request.headers.authorization ?? '');
      const principal = callers.get(token) ?? 'workload';
      callers.set(token, principal);
      const { publicKey } = JSON.parse(body.toString()) as { publicKey: { x: string } };
      source(request, (value) => {
        count += 1;
        const delivery = { request: count, thumbprint: publicKey.x, event: eventOf(count, principal) };
        deliver(delivery, () => answer(response, value));
      });
    });
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

if (!isMainThread && parentPort !== null) writeDeliveries(String(workerData), parentPort);
