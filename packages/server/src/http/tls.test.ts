import { once } from 'node:events';
import { type RequestOptions, request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loopbackCertificate } from '../../testing/certificate.ts';
import { exchange, sampleApp, sampleSettings, sampleToken } from '../../testing/http-app.ts';

const { key, certificate } = loopbackCertificate();
const { app, state } = sampleApp({
  settings: { ...sampleSettings, tls: { key: Buffer.from(key), certificate: Buffer.from(certificate) } },
});
let port: number;

beforeAll(async () => {
  await app.fastify.listen({ host: '127.0.0.1', port: 0 });
  port = (app.fastify.server.address() as AddressInfo).port;
});
afterAll(() => app.stop(0));

async function ask(options: RequestOptions, body?: string): Promise<IncomingMessage> {
  const asking = request({ host: '127.0.0.1', port, ca: certificate, agent: false, ...options });
  asking.end(body);
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  answer.resume();
  return answer;
}

it('serves over TLS, and says that it stays so', async () => {
  const answer = await ask({ path: '/open' });
  expect(answer.statusCode).toBe(200);
  expect(answer.headers['strict-transport-security']).toContain('max-age=');
  const headers = { authorization: `Bearer ${sampleToken}`, 'content-type': 'application/json' };
  const made = await ask({ method: 'POST', path: '/v1/domains/finance/things', headers }, '{"name":"a"}');
  expect([made.statusCode, state.seen.map(({ id }) => id)]).toEqual([201, expect.arrayContaining(['createThing'])]);
});

it('takes nothing older than TLS 1.2, and no plain text', async () => {
  const older = connect({ host: '127.0.0.1', port, ca: certificate, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' });
  const [error] = (await once(older, 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toMatch(/^ERR_SSL_/);
  expect(await exchange(port, ['GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n'])).not.toContain('200');
});
