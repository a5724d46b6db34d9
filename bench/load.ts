import { connect, type Socket } from 'node:net';

/**
 * Sends one prepared HTTP/1.1 request again and again over kept-alive connections, one outstanding request each, and counts
 * answers. It reads no more of an answer than its status and length, so that the server is what is measured.
 *
 * @returns answers a second
 * @throws Error when an answer is not 2xx
 */
export async function load(options: {
  readonly port: number;
  readonly request: Buffer;
  readonly connections: number;
  readonly milliseconds: number;
}): Promise<number> {
  const deadline = performance.now() + options.milliseconds;
  const started = performance.now();
  const answers = await Promise.all(
    Array.from({ length: options.connections }, async () => drive(options.port, options.request, deadline)),
  );
  const total = answers.reduce((sum, count) => sum + count, 0);
  return (total / (performance.now() - started)) * 1000;
}

async function drive(port: number, request: Buffer, deadline: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    let answers = 0;
    let pending: Buffer = Buffer.alloc(0);
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    socket.on('error', fail);
    socket.on('connect', () => socket.write(request));
    socket.on('data', (chunk: Buffer) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      const end = answerEnd(pending);
      if (end === -1) return;
      if (pending[9] !== 0x32) return fail(new Error(`Not a 2xx answer: ${pending.toString('latin1', 0, 400)}`));
      pending = pending.subarray(end);
      answers += 1;
      if (performance.now() < deadline) socket.write(request);
      else {
        socket.end();
        resolve(answers);
      }
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
