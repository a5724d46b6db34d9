import { errorTable } from '@strongroom/contract';
import { routes } from '@strongroom/contract';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkServerAddress } from './address.ts';
import { createClient, ServerError, StrongroomError } from './index.ts';
import { routeTableSource } from './generate-route-table.ts';
import { routeTable } from './route-table.ts';

interface Seen {
  readonly url: string;
  readonly init: RequestInit;
}

/** A client whose server is a function. */
function clientOf(
  answer: (seen: Seen) => Response | Promise<Response>,
  options: { token?: string; timeoutMilliseconds?: number } = {},
) {
  const seen: Seen[] = [];
  const client = createClient({
    url: 'http://127.0.0.1:8480/',
    timeoutMilliseconds: 100_000,
    ...options,
    fetch: async (url, init) => {
      const one = { url, init };
      seen.push(one);
      return answer(one);
    },
  });
  return { client, seen };
}

function json(body: unknown, init: { status?: number; headers?: Record<string, string> } = {}): Response {
  return Response.json(body, init);
}

function problem(status: number, body: Record<string, unknown>): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/problem+json' } });
}

async function errorOf(call: Promise<unknown>): Promise<StrongroomError> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof StrongroomError)) throw new Error('No StrongroomError was thrown', { cause: error });
  return error;
}

function headersOf(seen: Seen | undefined): Headers {
  return new Headers(seen?.init.headers);
}

describe('client', () => {
  it('has a method for every route of the contract', () => {
    const { client } = clientOf(() => json({}));
    for (const route of routes) expect(client).toHaveProperty(route.id);
    expect(Object.keys(routeTable)).toHaveLength(routes.length);
  });

  it('is generated from the contract as it stands', () => {
    expect(routeTableSource()).toBe(readFileSync(new URL('route-table.ts', import.meta.url), 'utf8'));
  });

  it('sends what the route takes', async () => {
    const { client, seen } = clientOf(() => json({ key: 'a' }, { status: 201 }), { token: 'srt_x' });
    await client.createDomainSecret({ params: { domain: 'finance' }, body: { key: 'a', value: 'v' } });
    expect(seen[0]?.url).toBe('http://127.0.0.1:8480/v1/domains/finance/secrets');
    expect(seen[0]?.init).toMatchObject({ method: 'POST', redirect: 'error', body: '{"key":"a","value":"v"}' });
    const headers = headersOf(seen[0]);
    expect(headers.get('authorization')).toBe('Bearer srt_x');
    expect(headers.get('content-type')).toBe('application/json');
    expect(headers.get('idempotency-key')).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers.get('if-match')).toBeNull();
  });

  it('sends If-Match as a quoted revision, and queries as they are', async () => {
    const { client, seen } = clientOf(() => json({}));
    await client.deleteDomainSecret({
      params: { domain: 'finance', key: 'a' },
      query: { force: true },
      ifMatch: 7,
    });
    expect(seen[0]?.url).toBe('http://127.0.0.1:8480/v1/domains/finance/secrets/a?force=true');
    expect(headersOf(seen[0]).get('if-match')).toBe('"7"');
    expect(headersOf(seen[0]).get('idempotency-key')).toBeNull();
  });

  it('keeps the token from public routes', async () => {
    const { client, seen } = clientOf(() => json({}), { token: 'srt_x' });
    await client.signInWithLink({ body: { token: 'l' } });
    expect(headersOf(seen[0]).get('authorization')).toBeNull();
  });

  it.each(['', '.', '..', '\ud800'])('does not build a path from %j', async (domain) => {
    const { client, seen } = clientOf(() => json({}));
    expect((await errorOf(client.listDomainSecrets({ params: { domain } }))).code).toBe('validation_failed');
    expect(seen).toEqual([]);
  });

  it('encodes what would end a path segment', async () => {
    const { client, seen } = clientOf(() => json({}));
    await client.showDomainSecret({ params: { domain: 'a/../b', key: 'x?y#z' } });
    expect(seen[0]?.url).toBe('http://127.0.0.1:8480/v1/domains/a%2F..%2Fb/secrets/x%3Fy%23z');
  });

  it('answers the revision and the request id beside the data', async () => {
    const { client } = clientOf(() => json({ version: '1' }, { headers: { etag: '"12"', 'x-request-id': 'req-1' } }));
    expect(await client.call('showSettings', {})).toMatchObject({ revision: 12, requestId: 'req-1', status: 200 });
  });

  it('reads page after page', async () => {
    const { client, seen } = clientOf(({ url }) =>
      url.includes('cursor=two') ? json({ items: [3] }) : json({ items: [1, 2], nextCursor: 'two' }),
    );
    const items: unknown[] = [];
    for await (const item of client.items('listUsers', { query: { q: 'a' } })) items.push(item);
    expect(items).toEqual([1, 2, 3]);
    expect(seen.map(({ url }) => new URL(url).search)).toEqual(['?q=a', '?q=a&cursor=two']);
  });

  it('ends where the server goes round in circles', async () => {
    const { client } = clientOf(() => json({ items: [1], nextCursor: 'same' }));
    const read = async (): Promise<void> => {
      for await (const item of client.items('listUsers', {})) expect(item).toBe(1);
    };
    await expect(read()).rejects.toMatchObject({ code: 'server_unreachable' });
  });

  it('streams a raw answer', async () => {
    const { client } = clientOf(() => new Response('line\n', { headers: { 'content-type': 'text/plain' } }));
    const log = await client.showRunLog({ params: { domain: 'a', id: 'run_1' } });
    expect(log.mediaType).toBe('text/plain');
    expect(await log.text()).toBe('line\n');
  });
});

describe('errors', () => {
  it('gives every code of the table back with its parts', async () => {
    for (const code of Object.keys(errorTable)) {
      const { client } = clientOf(() =>
        problem(422, {
          code,
          title: 't',
          detail: 'd',
          hint: 'h',
          requestId: 'req-1',
          errors: [
            {
              pointer: '/a',
              message: 'm',
              reference: 'secret://domain/managed/a',
              code: 'not_found',
              fixableBy: ['x'],
            },
          ],
        }),
      );
      const error = await errorOf(client.showMe());
      expect(error).toBeInstanceOf(ServerError);
      expect(error).toMatchObject({ code, detail: 'd', hint: 'h', requestId: 'req-1' });
      expect(error.errors).toEqual([
        { pointer: '/a', message: 'm', reference: 'secret://domain/managed/a', code: 'not_found', fixableBy: ['x'] },
      ]);
    }
  });

  it('calls a code it does not know internal, and names it', async () => {
    const { client } = clientOf(() => problem(418, { code: 'teapot', detail: 'short and stout' }));
    expect(await errorOf(client.showMe())).toMatchObject({ code: 'internal', detail: 'teapot (418): short and stout' });
    const { client: sneaky } = clientOf(() => problem(418, { code: 'constructor' }));
    expect((await errorOf(sneaky.showMe())).code).toBe('internal');
  });

  it('keeps Retry-After', async () => {
    const { client } = clientOf(
      () =>
        new Response('{"code":"throttled"}', {
          status: 429,
          headers: { 'content-type': 'application/problem+json', 'retry-after': '7' },
        }),
    );
    expect((await errorOf(client.showMe())).retryAfterSeconds).toBe(7);
  });

  it.each([
    ['a page of a proxy', new Response('<html>canary-1f</html>', { status: 502 })],
    ['a page in place of an answer', new Response('<html>canary-1f</html>', { status: 200 })],
    ['half a document', new Response('{"code":"canary-1f', { status: 200 })],
  ])('does not quote %s', async (_, response) => {
    const { client } = clientOf(() => response);
    const error = await errorOf(client.showMe());
    expect(error.code).toBe('server_unreachable');
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error)) + String(error.stack)).not.toContain('canary-1f');
  });

  it('says how long it waited', async () => {
    const { client } = clientOf(
      ({ init }) =>
        new Promise((_, reject) => init.signal?.addEventListener('abort', () => reject(new Error('aborted')))),
      { timeoutMilliseconds: 200 },
    );
    expect(await errorOf(client.showMe())).toMatchObject({
      code: 'deadline_exceeded',
      detail: 'http://127.0.0.1:8480 did not answer within 0.2 s.',
    });
  });

  it('throws the reason of the caller’s own signal', async () => {
    const { client } = clientOf(() => Promise.reject(new Error('aborted')));
    const reason = new Error('enough');
    await expect(client.showMe({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('names the address when nothing listens there', async () => {
    const client = createClient({ url: 'http://127.0.0.1:1' });
    expect(await errorOf(client.showMe())).toMatchObject({ code: 'server_unreachable' });
  });

  it('does not put a broken token into an error', async () => {
    const { client, seen } = clientOf(() => json({}), { token: 'srt_canary\nx' });
    const error = await errorOf(client.showMe());
    expect(error.code).toBe('unauthenticated');
    expect(String(error.stack)).not.toContain('canary');
    expect(seen).toEqual([]);
  });
});

describe('checkServerAddress', () => {
  it.each([
    ['http://127.0.0.1:8480', 'http://127.0.0.1:8480'],
    ['http://localhost:8480/', 'http://localhost:8480'],
    ['http://[::1]:8480', 'http://[::1]:8480'],
    ['https://strongroom.example.com/vault/', 'https://strongroom.example.com/vault'],
  ])('takes %s', (given, address) => {
    expect(checkServerAddress(given)).toBe(address);
  });

  it.each([
    'http://strongroom.example.com',
    'http://127.0.0.1.example.com',
    'http://localhost.example.com',
    'ftp://127.0.0.1',
    'https://ann:canary@example.com',
    'https://example.com/?a=b',
    'https://example.com/#a',
    'example.com',
    '',
  ])('refuses %s without repeating it', (given) => {
    const act = (): string => checkServerAddress(given);
    expect(act).toThrow(StrongroomError);
    expect(act).not.toThrow(/canary/);
  });
});
