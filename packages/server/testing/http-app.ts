import { connect } from 'node:net';
import { Closed, route, type RouteDeclaration, StrongroomError } from '@strongroom/contract';
import { Readable } from 'node:stream';
import { Type } from 'typebox';
import type { Caller } from '../src/access/types.ts';
import { type App, type AppParts, createApp } from '../src/http/app.ts';
import type { AnyHandler } from '../src/http/route-request.ts';
import { createLog } from '../src/operation/log.ts';

/** Routes of every kind of access over made-up handlers, to test the HTTP side by itself. */
export const sampleRoutes: readonly RouteDeclaration[] = [
  route({
    id: 'open',
    method: 'GET',
    path: '/open',
    summary: 'Open to all',
    tag: 'sample',
    access: { kind: 'public', reason: 'a sample' },
    status: 200,
    response: Closed({ ok: Type.Boolean() }),
  }),
  route({
    id: 'enter',
    method: 'POST',
    path: '/v1/enter',
    summary: 'Sign in',
    tag: 'sample',
    access: { kind: 'public', reason: 'a sample' },
    body: Closed({ name: Type.String({ maxLength: 20 }) }),
    status: 204,
    rateLimitPerMinute: 5,
  }),
  route({
    id: 'listThings',
    method: 'GET',
    path: '/v1/domains/{domain}/things',
    summary: 'List things',
    tag: 'sample',
    access: { kind: 'scope', action: 'secret.list' },
    params: Closed({ domain: Type.String() }),
    query: Closed({
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
      q: Type.Optional(Type.String({ maxLength: 10 })),
      deep: Type.Optional(Type.Boolean()),
      tag: Type.Optional(Type.Array(Type.String())),
    }),
    status: 200,
    response: Closed({ items: Type.Array(Closed({ id: Type.String() })), limit: Type.Integer() }),
  }),
  route({
    id: 'createThing',
    method: 'POST',
    path: '/v1/domains/{domain}/things',
    summary: 'Create a thing',
    tag: 'sample',
    access: { kind: 'scope', action: 'secret.manage' },
    params: Closed({ domain: Type.String() }),
    body: Closed({
      name: Type.String({ pattern: '^[a-z]+$' }),
      size: Type.Optional(Type.Integer()),
      value: Type.Optional(Type.String()),
      tags: Type.Optional(Type.Array(Type.String(), { maxItems: 3 })),
      kind: Type.Optional(Type.Union([Type.Literal('one'), Type.Literal('two')])),
    }),
    status: 201,
    response: Closed({ id: Type.String(), name: Type.Optional(Type.String()) }),
    idempotent: true,
    feature: 'secretsV2',
  }),
  route({
    id: 'changeJob',
    method: 'PATCH',
    path: '/v1/domains/{domain}/jobs/{name}',
    summary: 'Change a job',
    tag: 'sample',
    access: { kind: 'asset', action: 'spark-job.update', parameter: 'name' },
    params: Closed({ domain: Type.String(), name: Type.String() }),
    body: Closed({ note: Type.String() }),
    status: 200,
    response: Closed({ asset: Type.String(), ifMatch: Type.Union([Type.Integer(), Type.Null()]) }),
    ifMatch: true,
  }),
  route({
    id: 'watchThings',
    method: 'GET',
    path: '/v1/watch',
    summary: 'Follow',
    tag: 'sample',
    access: { kind: 'authenticated', reason: 'a sample' },
    status: 200,
    raw: { mediaType: 'text/plain; charset=utf-8', description: 'lines' },
  }),
  route({
    id: 'launchThing',
    method: 'POST',
    path: '/v1/domains/{domain}/launches',
    summary: 'Launch',
    tag: 'sample',
    access: { kind: 'scope', action: 'launch.create' },
    params: Closed({ domain: Type.String() }),
    status: 204,
    isLaunch: true,
  }),
  route({
    id: 'breakDown',
    method: 'POST',
    path: '/v1/break',
    summary: 'Fail',
    tag: 'sample',
    access: { kind: 'platform', action: 'settings.manage' },
    body: Closed({ how: Type.String() }),
    status: 200,
    response: Closed({ id: Type.String() }),
  }),
];

export const sampleToken = 'srt_good';
export const sampleCaller: Caller = {
  id: 'usr_ann',
  kind: 'user',
  name: 'user:ann',
  snapshot: {
    revision: 1,
    principal: { id: 'usr_ann', kind: 'user', isDisabled: false },
    roles: new Set(),
    actorIds: new Set(['usr_ann']),
    domains: new Map(),
  },
  requestId: '',
  network: '',
  credential: { type: 'token', id: 'tok_1' },
};

export interface SampleState {
  /** Requests that reached a handler. */
  readonly seen: { readonly id: string; readonly request: Parameters<AnyHandler>[0] }[];
  readonly logged: Record<string, unknown>[];
  readonly signals: AbortSignal[];
  /** What `watchThings` answered with. */
  readonly streams: Readable[];
  /** `watchThings` answers once it is settled. */
  watchFrom: Promise<void>;
  isFeatureOn: boolean;
}

const sharedBody = Object.freeze({ id: 'shared', value: 'canary-shared' });
const changingBody = { id: '' };

/** How `breakDown` fails, by what it's told. */
function fail(how: string): { body: unknown } {
  switch (how) {
    case 'foreign':
      JSON.parse(`{"password": canary-in-message`);
      break;
    case 'cause':
      throw new StrongroomError('backend_sealed', {
        detail: 'vault-prod is sealed.',
        cause: Object.assign(new Error('canary-in-cause'), { headers: { 'x-vault-token': 'canary-in-header' } }),
      });
    case 'undeclared':
      return { body: { id: 'x', value: 'canary-undeclared' } };
    case 'shared':
      return { body: sharedBody };
    case 'changing':
      changingBody.id += 'é';
      return { body: changingBody };
    case 'missing':
      return { body: { value: 'canary-missing' } };
  }
  throw new StrongroomError('not_found', { detail: 'canary-detail' });
}

/** The sample routes as an app; the domain `finance` with the job `nightly` is ann's, `sales` is somebody else's. */
export function sampleApp(changes: Partial<AppParts> = {}): { app: App; state: SampleState } {
  const state: SampleState = {
    seen: [],
    logged: [],
    signals: [],
    streams: [],
    watchFrom: Promise.resolve(),
    isFeatureOn: true,
  };
  const note =
    (id: string, answer: AnyHandler): AnyHandler =>
    async (request) => {
      state.seen.push({ id, request });
      return answer(request);
    };
  const handlers: Record<string, AnyHandler> = {
    open: note('open', () => ({ body: { ok: true } })),
    enter: note('enter', () => ({ sessionCookie: { value: 'srs_abc', maxAgeSeconds: 60 } })),
    listThings: note('listThings', ({ query }) => ({
      body: { items: [{ id: 'a', value: 'canary-undeclared' }], ...(query as object) },
    })),
    createThing: note('createThing', ({ body }) => ({ body: { id: 'thing', ...(body as object) }, etag: 7 })),
    changeJob: note('changeJob', ({ asset, ifMatch }) => ({ body: { asset: asset.id, ifMatch: ifMatch ?? null } })),
    watchThings: note('watchThings', async ({ signal }) => {
      state.signals.push(signal);
      await state.watchFrom;
      const stream = new Readable({ read: () => undefined });
      state.streams.push(stream);
      stream.push('first\n');
      signal.addEventListener('abort', () => stream.push(null));
      return { stream };
    }),
    launchThing: note('launchThing', () => ({})),
    breakDown: note('breakDown', ({ body }) => fail((body as { how: string }).how)),
  };
  const finance = { id: 'dom_finance', kind: 'domain', name: 'finance' } as const;
  const refuse = async (): Promise<never> => {
    throw new StrongroomError('not_found', { detail: 'nobody may read this' });
  };
  const app = createApp({
    routes: sampleRoutes,
    handlers,
    authentication: {
      byBearer: async (token, { requestId, network }) => {
        if (token !== sampleToken) throw new StrongroomError('unauthenticated');
        return { ...sampleCaller, requestId, network };
      },
      byCookie: async (cookie, tabToken) => {
        if (cookie !== 'srs_good') throw new StrongroomError('unauthenticated');
        if (tabToken !== 'srx_tab') throw new StrongroomError('csrf_failed');
        return sampleCaller;
      },
    },
    access: {
      findScope: async (_snapshot, _kind, name) => (name === 'finance' ? finance : null),
      configurationAsset: async (scope, type, name) =>
        name === 'nightly' || name === 'hidden' ? { type, id: `cfg_${name}`, name, scope, bundleIds: ['bnd_1'] } : null,
      decide: (_snapshot, action, resource) =>
        resource.kind === 'asset' && resource.asset.name === 'hidden'
          ? { allow: false, because: [] }
          : { allow: true, because: [action] },
      require: refuse,
      refuseAbsent: refuse,
    },
    keys: { bodyHmac: (bytes) => Uint8Array.from(bytes) },
    features: { isEnabled: async () => state.isFeatureOn },
    settings: sampleSettings,
    log: createLog('debug', { write: (line) => state.logged.push(JSON.parse(line)) }),
    metrics: { observe: () => undefined },
    ...changes,
  });
  return { app, state };
}

export const sampleSettings: AppParts['settings'] = {
  hosts: ['vault.example.org'],
  publicUrl: undefined,
  trustedProxies: [],
  tls: undefined,
  limits: {
    bodyBytes: 64 * 1024,
    connections: 100,
    requestsPerMinute: 1e6,
    anonymousRequestsPerMinute: 1e6,
    launchesPerMinute: 4,
  },
};

/** Sends bytes to a port and gives everything that comes back until the other side closes or the time is over. */
export async function exchange(
  port: number,
  parts: readonly string[],
  options: { readonly pauseMilliseconds?: number; readonly limitMilliseconds?: number } = {},
): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('close', () => resolve());
  socket.on('error', () => resolve());
  const limit = setTimeout(resolve, options.limitMilliseconds ?? 60_000);
  for (const part of parts) {
    if (socket.destroyed) break;
    socket.write(Buffer.from(part, 'latin1'));
    if (options.pauseMilliseconds !== undefined)
      await new Promise((wake) => setTimeout(wake, options.pauseMilliseconds));
  }
  await promise;
  clearTimeout(limit);
  socket.destroy();
  return Buffer.concat(chunks).toString('latin1');
}
