import { request as requestHttp, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Socket } from 'node:net';
import { EgressError, reasonOf } from './errors.ts';
import type { Target } from './target.ts';

/** Whether a URL can be STRONGROOM_EGRESS_PROXY: http or https, a host, perhaps a port, a user and a password; nothing else. */
export function isProxyUrl(proxy: URL): boolean {
  const { protocol, pathname, search, hash, username, password } = proxy;
  const isWhole = /%(?![0-9a-f]{2})/i.exec(username + password) === null;
  return /^https?:$/.test(protocol) && pathname === '/' && search === '' && hash === '' && isWhole;
}

/**
 * A tunnel through the operator's proxy (CONNECT, RFC 9110 §9.3.6). The proxy's own address is the operator's word and is
 * not checked; where it connects to, only it can check.
 *
 * @throws EgressError; the signal's reason when it ends
 */
export function connectThroughProxy(proxy: URL, target: Target, signal: AbortSignal): Promise<Socket> {
  const authority = `${target.address?.family === 'ipv6' ? `[${target.host}]` : target.host}:${target.port}`;
  const options: RequestOptions = {
    method: 'CONNECT',
    host: proxy.hostname.replaceAll(/[[\]]/g, ''),
    port: proxy.port === '' ? (proxy.protocol === 'https:' ? 443 : 80) : Number(proxy.port),
    path: authority,
    agent: false,
    maxHeaderSize: 16 * 1024,
    headers: { host: authority, ...authorization(proxy) },
  };
  return new Promise((resolve, reject) => {
    // Not the request's own signal option: that one would end the tunnel, too, long after it stands.
    const onAbort = (): void => {
      request.destroy();
      fail('was given up');
    };
    const fail = (how: string, error?: unknown): void => {
      signal.removeEventListener('abort', onAbort);
      const reason = reasonOf(error);
      const detail = `${target.label}: the proxy ${how}.`;
      reject(
        signal.aborted
          ? (signal.reason as Error)
          : new EgressError('backend_unavailable', 'reachable', {
              detail,
              ...(reason === undefined ? {} : { reason }),
            }),
      );
    };
    const request =
      proxy.protocol === 'https:' ? requestHttps({ ...options, rejectUnauthorized: true }) : requestHttp(options);
    request.on('connect', (response, socket: Socket, head) => {
      const isOpen = response.statusCode === 200 && head.length === 0;
      signal.removeEventListener('abort', onAbort);
      if (isOpen) return resolve(socket);
      socket.destroy();
      fail(
        response.statusCode === 200 ? 'sent data before it was asked' : `answered ${response.statusCode ?? 'nothing'}`,
      );
    });
    request.on('response', (response) => {
      response.destroy();
      fail(`answered ${response.statusCode ?? 'nothing'}`);
    });
    request.on('error', (error) => fail('could not be reached', error));
    signal.addEventListener('abort', onAbort, { once: true });
    request.end();
  });
}

function authorization(proxy: URL): Record<string, string> {
  if (proxy.username === '' && proxy.password === '') return {};
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(credentials, 'utf8').toString('base64')}` };
}
