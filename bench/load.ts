import { connect, type Socket } from 'node:net';

export interface Load {
  readonly requestsPerSecond: number;
  /** From the last byte sent to the last byte received; one request in a hundred takes longer. */
  readonly p99Milliseconds: number;
  readonly answers: number;
}

/**
 * Sends prepared HTTP/1.1 requests again and again over kept-alive connections, one outstanding request each. It reads no more
 * of an answer than its status and length, so that the server is what is measured.
 *
 * @param options.requests a connection sends one of them, always the same; they are dealt out in turn
 * @throws Error when an answer is not 2xx
 */
export async function load(options: {
  readonly port: number;
  readonly requests: readonly Buffer[];
  readonly connections: number;
  readonly milliseconds: number;
}): Promise<Load> {
  const { port, requests, connections, milliseconds } = options;
  const started = performance.now();
  const taken = await Promise.all(
    Array.from({ length: connections }, async (_, connection) =>
      drive(port, requests[connection % requests.length] ?? Buffer.alloc(0), started + milliseconds),
    ),
  );
  const seconds = (performance.now() - started) / 1000;
  const all = Float64Array.from(taken.flat()).sort();
  return {
    requestsPerSecond: all.length / seconds,
    p99Milliseconds: all[Math.floor(all.length * 0.99)] ?? Number.NaN,
    answers: all.length,
  };
}

/** @returns the milliseconds of each answer */
async function drive(port: number, request: Buffer, deadline: number): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    const taken: number[] = [];
    let sentAt = 0;
    let pending: Buffer = Buffer.alloc(0);
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    const send = (now: number): void => {
      sentAt = now;
      socket.write(request);
    };
    socket.on('error', fail);
    // Without it, a server that closes would leave this waiting for ever.
    socket.on('close', () => fail(new Error('The connection was closed before its answer')));
    socket.on('connect', () => send(performance.now()));
    socket.on('data', (chunk: Buffer) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      const end = answerEnd(pending);
      if (end === -1) return;
      if (pending[9] !== 0x32) return fail(new Error(`Not a 2xx answer: ${pending.toString('latin1', 0, 400)}`));
      pending = pending.subarray(end);
      const now = performance.now();
      taken.push(now - sentAt);
      if (now < deadline) return send(now);
      socket.end();
      resolve(taken);
    });
  });
}

/** Where the first answer ends, or −1 while it is not complete. Answers carry Content-Length. */
function answerEnd(bytes: Buffer): number {
  const headersEnd = bytes.indexOf('\r\n\r\n');
  if (headersEnd === -1) return -1;
  const length = /\r\ncontent-length: (\d+)/i.exec(bytes.toString('latin1', 0, headersEnd))?.[1];
  const end = headersEnd + 4 + Number(length ?? 0);
  return bytes.length >= end ? end : -1;
}

/** A request as bytes. */
export function requestBytes(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body = '',
): Buffer {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  if (body !== '') lines.push('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
}
