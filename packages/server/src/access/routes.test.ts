import {
  bundleRoutes,
  domainRoutes,
  explainRoutes,
  grantRoutes,
  memberRoutes,
  StrongroomError,
} from '@strongroom/contract';
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sampleApp } from '../../testing/http-app.ts';
import { openTestStore, type TestStore } from '../../testing/stores.ts';
import { domainHandlers } from '../domains/routes.ts';
import type { App, AppParts } from '../http/app.ts';
import type { CommandMap, QueryMap } from '../store/store.ts';
import { bundleHandlers, explainHandlers, grantHandlers, memberHandlers } from './routes.ts';
import { createAccess } from './service.ts';
import { AccessWorld, codeOf } from './testing/access-world.ts';

const routes = [...domainRoutes, ...memberRoutes, ...grantRoutes, ...bundleRoutes, ...explainRoutes];
const base = '/v1/domains/finance-http';
const opened: TestStore<CommandMap, QueryMap>[] = [];
let world: AccessWorld;
let app: App;

beforeAll(async () => {
  world = await AccessWorld.open(async (options) => {
    const test = await openTestStore<never, never>(options);
    opened.push(test);
    return test;
  }, 'http');
  const handlers = {
    ...domainHandlers(world.domains),
    ...memberHandlers(world.members),
    ...grantHandlers(world.members),
    ...bundleHandlers(world.bundles, world.assets),
    ...explainHandlers(world.explain),
  } as unknown as AppParts['handlers'];
  const byBearer: AppParts['authentication']['byBearer'] = async (token) => world.caller(token);
  const byCookie: AppParts['authentication']['byCookie'] = async () => {
    throw new StrongroomError('unauthenticated');
  };
  ({ app } = sampleApp({
    routes,
    handlers,
    authentication: { byBearer, byCookie },
    access: world.access,
    keys: world.test.keys,
  }));
});
afterAll(async () => {
  await app.stop(0);
  for (const test of opened) await test.close();
});

function send(
  name: string,
  method: InjectOptions['method'] & string,
  url: string,
  payload?: object,
  headers: Record<string, string> = {},
) {
  return app.fastify.inject({
    method,
    url,
    headers: {
      host: 'localhost:8480',
      authorization: `Bearer ${name}`,
      ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(payload === undefined ? {} : { payload }),
  });
}

describe('over HTTP', () => {
  it('makes a domain, a member, a grant, a bundle and explains it', async () => {
    const made = await send('root', 'POST', '/v1/domains', { name: 'web' });
    expect([made.statusCode, made.headers['etag']]).toEqual([201, '"1"']);
    expect((await send('root', 'PUT', '/v1/domains/web/members/user%3Aann', { preset: 'MEMBER' })).statusCode).toBe(
      200,
    );
    await world.addServiceAccount('etl', { id: made.json<{ id: string }>().id, kind: 'domain', name: 'web' });
    const account = await send('root', 'PUT', '/v1/domains/web/members/service-account%3Aweb%2Fetl', {
      preset: 'VIEWER',
    });
    expect(account.json()).toMatchObject({ principal: 'service-account:web/etl', preset: 'VIEWER' });
    const grant = await send('root', 'POST', '/v1/domains/web/grants', {
      principal: 'user:ann',
      permission: 'RESOLVE',
      acknowledge: true,
    });
    expect([grant.statusCode, grant.json<{ warning: string }>().warning]).toEqual([
      201,
      expect.stringContaining('RESOLVE'),
    ]);
    expect((await send('root', 'POST', '/v1/domains/web/bundles', { name: 'narrow' })).statusCode).toBe(201);
    const asset = await send('root', 'POST', '/v1/domains/web/bundles/narrow/assets', { type: 'secret', key: 'Db' });
    expect(asset.json()).toMatchObject({ type: 'secret', key: 'db', scope: 'domain' });
    await world.addSecret({ id: made.json<{ id: string }>().id, kind: 'domain', name: 'web' }, 'Db');
    const explained = await send('ann', 'POST', '/v1/explain', {
      action: 'use',
      domain: 'web',
      reference: 'secret://domain/managed/Db',
    });
    expect(explained.json()).toMatchObject({ verdict: 'deny', principal: 'user:ann' });
    expect((await send('root', 'DELETE', '/v1/domains/web/bundles/narrow?force=true')).statusCode).toBe(204);
    expect((await send('root', 'DELETE', '/v1/domains/web', undefined, { 'if-match': '"7"' })).statusCode).toBe(412);
    expect((await send('root', 'DELETE', '/v1/domains/web?force=true')).statusCode).toBe(204);
  });

  it('creates once for one Idempotency-Key', async () => {
    const headers = { 'idempotency-key': 'once-0123456789' };
    const body = { principal: 'user:con', permission: 'LIST_SECRETS' };
    const first = await send('olga', 'POST', `${base}/grants`, body, headers);
    const second = await send('olga', 'POST', `${base}/grants`, body, headers);
    expect([first.statusCode, second.statusCode]).toEqual([201, 201]);
    expect(second.json<{ id: string }>().id).toBe(first.json<{ id: string }>().id);
  });

  it.each<[string, string, string, object]>([
    ['a domain', 'root', '/v1/domains', { name: 'tried', description: 'of the team' }],
    ['a member', 'olga', `${base}/members`, { principal: 'user:zed', preset: 'VIEWER' }],
    ['a grant', 'olga', `${base}/grants`, { principal: 'user:zed', permission: 'CREATE_BUNDLE' }],
    ['a bundle', 'olga', `${base}/bundles`, { name: 'tried', owner: 'user:zed', managedBy: 'apply' }],
    ['a bundle of the caller', 'olga', `${base}/bundles`, { name: 'tried-own' }],
    ['secrets in a bundle', 'olga', `${base}/bundles/default/assets`, { type: 'secret', prefix: 'Tried-' }],
  ])('tries %s as it would make it, and writes nothing', async (_what, name, url, body) => {
    const lasting = (answer: Awaited<ReturnType<typeof send>>) => {
      const {
        id: _id,
        createdAt: _made,
        updatedAt: _changed,
        actions: _actions,
        ...rest
      } = answer.json<Record<string, unknown>>();
      return { status: answer.statusCode, ...rest };
    };
    const before = await world.test.store.authorisationRevision();
    const tried = lasting(await send(name, 'POST', `${url}?dryRun=true`, body));
    expect(tried.status).toBe(201);
    expect(lasting(await send(name, 'POST', `${url}?dryRun=true`, body))).toEqual(tried);
    expect(await world.test.store.authorisationRevision()).toBe(before);
    expect(lasting(await send(name, 'POST', url, body))).toEqual(tried);
    const refused = await send(name, 'POST', `${url}?dryRun=true`, body);
    expect(refused.json()).toMatchObject({ status: 409, code: 'already_exists' });
    expect([403, 404]).toContain((await send('vic', 'POST', `${url}?dryRun=true`, body)).statusCode);
  });

  it.each([
    ['what a domain is called', 'PATCH', base, { displayName: 'Tried', description: 'x' }, { displayName: 3 }],
    ['a preset', 'PUT', `${base}/members/user%3Aann`, { preset: 'VIEWER' }, { preset: 'KING' }],
    [
      'a bundle',
      'PATCH',
      `${base}/bundles/trying-changes`,
      { description: 'x', owner: 'user:ann' },
      { owner: 'user:nobody' },
    ],
  ] as const)(
    'tries a change of %s as it would make it, and writes nothing',
    async (_what, method, url, body, wrong) => {
      await send('olga', 'POST', `${base}/bundles`, { name: 'trying-changes' });
      const lasting = (answer: Awaited<ReturnType<typeof send>>) => {
        const {
          createdAt: _made,
          updatedAt: _changed,
          actions: _actions,
          ...rest
        } = answer.json<Record<string, unknown>>();
        return { status: answer.statusCode, ...rest };
      };
      const shown = async () => (await send('olga', 'GET', url.replace(/\/user.*/, ''))).json<object>();
      const before = await shown();
      const tried = lasting(await send('olga', method, `${url}?dryRun=true`, body));
      expect(tried.status).toBe(200);
      expect((await send('olga', method, `${url}?dryRun=true`, wrong)).statusCode).toBe(422);
      expect([403, 404]).toContain((await send('vic', method, `${url}?dryRun=true`, body)).statusCode);
      if (method === 'PATCH') {
        const stale = await send('olga', method, `${url}?dryRun=true`, body, { 'if-match': '"99"' });
        expect(stale.json()).toMatchObject({ code: 'revision_mismatch' });
      }
      expect(await shown()).toEqual(before);
      expect(lasting(await send('olga', method, url, body))).toEqual(tried);
    },
  );

  it('tries what replaces a grant on a bundle, and what moves a configuration, and changes neither', async () => {
    const [granted, moved] = ['trying-grants', 'trying-assets'];
    for (const name of [granted, moved]) await send('olga', 'POST', `${base}/bundles`, { name });
    const url = `${base}/bundles/${granted}/grants`;
    const grant = (permissions: string[]) => ({ principal: 'user:ann', assetType: 'spark-job', permissions });
    const made = (await send('olga', 'POST', url, grant(['VIEW', 'RUN']))).json<{ id: string }>();
    const tried = await send('olga', 'POST', `${url}?dryRun=true`, grant(['VIEW']));
    expect([tried.statusCode, tried.json()]).toMatchObject([201, { id: made.id, permissions: ['VIEW'] }]);
    expect((await send('olga', 'GET', url)).json()).toMatchObject({ items: [{ permissions: ['VIEW', 'RUN'] }] });
    const wrong = await send('olga', 'POST', `${url}?dryRun=true`, grant(['CONSUME']));
    expect(wrong.json()).toMatchObject({ code: 'validation_failed', errors: [{ pointer: '/permissions/0' }] });
    const id = await world.addJob(world.finance, 'tried-job');
    const asset = await send('olga', 'POST', `${base}/bundles/${moved}/assets?dryRun=true`, {
      type: 'spark-job',
      name: 'tried-job',
    });
    expect([asset.statusCode, asset.json()]).toMatchObject([201, { id, type: 'spark-job', name: 'tried-job' }]);
    expect((await send('olga', 'GET', `${base}/bundles/${moved}/assets`)).json()).toMatchObject({ items: [] });
    expect((await send('olga', 'POST', `${base}/bundles/nowhere/grants?dryRun=true`, grant(['VIEW']))).statusCode).toBe(
      404,
    );
  });

  it.each<[string, string, object]>([
    ['POST', '/members', { principal: 'user:zed', preset: 'owner' }],
    ['POST', '/members', { principal: 'user:zed', preset: 'OWNER ' }],
    ['POST', '/members', { principal: 'user:zed', preset: 'MEMBER', scope: 'other' }],
    ['POST', '/members', { principal: 'user:zed', preset: 'MEMBER', createdBy: 'user:root' }],
    ['POST', '/members', { principal: 'user:zed\u200b', preset: 'MEMBER' }],
    ['POST', '/members', { principal: '__proto__', preset: 'MEMBER' }],
    ['POST', '/grants', { principal: 'user:zed', permission: 'manage_access' }],
    ['POST', '/grants', { principal: 'user:zed', permission: 'constructor' }],
    ['POST', '/bundles', { name: 'a', domain: 'other' }],
    ['POST', '/bundles', { name: '__proto__' }],
    ['POST', '/bundles/default/grants', { principal: 'user:zed', assetType: 'constructor', permissions: ['USE'] }],
    ['POST', '/bundles/default/grants', { principal: 'user:zed', assetType: 'secret', permissions: [] }],
    ['POST', '/bundles/default/assets', { type: 'secret', key: '../x' }],
    ['POST', '/bundles/default/assets', { type: 'secret', prefix: 'ſ' }],
    ['PUT', '/members/user%3Azed', { preset: 'OWNER', principal: 'user:ann' }],
  ])('refuses %s %s %j', async (method, path, body) => {
    const answer = await send('olga', method, `${base}${path}`, body);
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([422, 'validation_failed']);
  });

  it.each(['0', '-1', '1000000000', '1.5', 'x'])('refuses the limit %s', async (limit) => {
    for (const list of ['members', 'grants', 'bundles'])
      expect((await send('olga', 'GET', `${base}/${list}?limit=${limit}`)).statusCode).toBe(422);
    expect((await send('olga', 'GET', `/v1/domains?limit=${limit}`)).statusCode).toBe(422);
  });

  it('answers the same for another domain, a deleted and an absent one, on every route', async () => {
    const id = 'gnt_00000000000000000000000000';
    for (const route of routes) {
      if (!route.path.includes('{domain}')) continue;
      const texts = new Set<string>();
      for (const domain of ['other-http', 'web', 'absent']) {
        const path = route.path
          .replace('{domain}', domain)
          .replace('{principal}', 'user%3Aann')
          .replace('{bundle}', 'default')
          .replace(/\{\w+\}/g, id);
        const answer = await send('ann', route.method, path, route.body === undefined ? undefined : {});
        const { requestId, ...problem } = answer.json<{ requestId: string }>();
        expect(requestId).not.toBe('');
        texts.add(`${answer.statusCode} ${JSON.stringify(problem)}`);
      }
      expect([route.id, [...texts].map((text) => text.slice(0, 3))]).toEqual([route.id, ['404']]);
    }
  });

  it('gives no answer about a refusal that can’t be recorded', async () => {
    const test = await openTestStore<never, never>({ hasAudit: false });
    opened.push(test);
    const ann = await world.caller('ann');
    const unrecorded = createAccess(test.store);
    expect(await codeOf(unrecorded.require(ann, 'secret.manage', { kind: 'scope', scope: world.finance }))).toBe(
      'audit_unavailable',
    );
  });
});
