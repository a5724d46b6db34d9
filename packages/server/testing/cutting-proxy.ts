import { createServer, request as tlsRequest } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { loopbackCertificate } from './certificate.ts';

/** Where a request is met: before the other side has it, or after it has answered. */
export type CutPoint = 'before' | 'after';

export interface Cut {
  readonly method: string;
  readonly path: RegExp;
  readonly point: CutPoint;
  /** Called once. The request gets no answer. */
  readonly met: () => void;
}

/** A way to an API server on which one request can be met at a step that a process is to die at. */
export interface CuttingProxy {
  readonly url: string;
  /** PEM. */
  readonly caCertificate: string;
  /** The next request like this; `null`: none. */
  cut: Cut | null;
  /** Method and path of each request, in order. */
  readonly seen: string[];
  /** Requests like this get this in place of an answer; `silence`: nothing, over a connection that stays. */
  trouble: { readonly path: RegExp; readonly answer: number | 'silence' } | null;
  /** Sends what was met `before`, as if it had been on its way all the time; gives the status of the answer. */
  sendHeld(): Promise<number>;
  close(): Promise<void>;
}

interface Outgoing {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export async function openCuttingProxy(target: {
  readonly url: string;
  readonly caCertificate: string;
}): Promise<CuttingProxy> {
  const { key, certificate } = loopbackCertificate();
  let held: Outgoing | undefined;
  const send = async ({ method, path, headers, body }: Outgoing): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const options = { method, headers: { ...headers, host: new URL(target.url).host }, ca: target.caCertificate };
      const sent = tlsRequest(`${target.url}${path}`, { ...options, agent: false }, resolve);
      sent.once('error', reject);
      sent.end(body);
    });
  const answer = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url: path = '', headers } = incoming;
    const outgoing = { method, path, headers, body: await buffer(incoming) };
    const { cut, seen, trouble } = proxy;
    seen.push(`${method} ${path}`);
    if (trouble?.path.test(path) === true) {
      if (trouble.answer !== 'silence') response.writeHead(trouble.answer).end('{}');
      return;
    }
    const isMet = cut !== null && cut.method === method && cut.path.test(path);
    if (isMet) proxy.cut = null;
    if (isMet && cut.point === 'before') {
      held = outgoing;
      return cut.met();
    }
    const answered = await send(outgoing);
    if (isMet) {
      answered.resume();
      return cut.met();
    }
    response.writeHead(answered.statusCode ?? 502, answered.headers);
    answered.pipe(response);
    response.once('close', () => answered.destroy());
  };
  const server = createServer({ key, cert: certificate }, (incoming, response) => {
    // Whoever was killed has closed its side.
    answer(incoming, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: CuttingProxy = {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    caCertificate: certificate,
    cut: null,
    seen: [],
    trouble: null,
    async sendHeld() {
      if (held === undefined) throw new Error('Nothing is held');
      const answered = await send(held);
      answered.resume();
      held = undefined;
      return answered.statusCode ?? 0;
    },
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return proxy;
}
