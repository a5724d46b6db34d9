// @needs kubernetes kwok
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createToken } from '@strongroom/crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort } from '../../../../../servers/free-port.ts';
import { type Kubernetes, startKubernetes } from '../../../../../servers/kubernetes.ts';
import { type KwokNode, startKwok } from '../../../../../servers/kwok.ts';
import { httpRequest } from '../../../../../servers/http-request.ts';
import { type CutPoint, type CuttingProxy, openCuttingProxy } from '../../../testing/cutting-proxy.ts';
import { testChild } from '../../../testing/programs.ts';

const namespace = 'jobs';
const base = '/v1/domains/finance';
const adminToken = createToken('srt_');
const directory = mkdtempSync(join(tmpdir(), 'strongroom-kills-'));
let kubernetes: Kubernetes;
let node: KwokNode;
let proxy: CuttingProxy;
let server: { readonly child: ChildProcess; readonly url: string } | undefined;

/** A server process over the one data directory. */
async function startServer(): Promise<void> {
  const url = `http://127.0.0.1:${await freePort()}`;
  const child = spawn(process.execPath, [testChild('serve-child')], {
    env: {
      PATH: process.env['PATH'],
      TMPDIR: directory,
      STRONGROOM_DATA_DIR: join(directory, 'data'),
      STRONGROOM_LISTEN: url.slice('http://'.length),
      STRONGROOM_BOOTSTRAP_TOKEN_FILE: join(directory, 'token'),
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  server = { child, url };
  await vi.waitUntil(async () => (await httpRequest(`${url}/readyz`).catch(() => undefined))?.status === 200, {
    timeout: 60_000,
  });
}

async function killServer(): Promise<void> {
  if (server === undefined) return;
  const { child } = server;
  server = undefined;
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function call<Body>(method: string, path: string, body?: unknown): Promise<Body> {
  const headers = { authorization: `Bearer ${adminToken}` };
  const answer = await httpRequest<Body>(`${server?.url ?? ''}${path}`, { method, headers, body });
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

beforeAll(async () => {
  kubernetes = await startKubernetes();
  node = await startKwok(kubernetes);
  proxy = await openCuttingProxy(kubernetes);
  await kubernetes.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  writeFileSync(join(directory, 'token'), adminToken, { mode: 0o600 });
  await startServer();
  await call('POST', '/v1/domains', { name: 'finance' });
  await call('POST', '/v1/admin/secrets', { key: 'cluster', value: kubernetes.adminToken });
  const { url: address, caCertificate } = proxy;
  const access = { kind: 'token', address, caCertificate, secret: 'secret://admin/managed/cluster' };
  await call('POST', '/v1/clusters', { name: 'prod', access });
  await call('PUT', `/v1/clusters/prod/targets/${namespace}`, { domain: 'finance' });
  await call('POST', `${base}/secrets`, { key: 'db-password', value: 'kill-drill-value-1' });
  const environment = [{ name: 'PGPASSWORD', secret: 'secret://domain/managed/db-password' }];
  const job = { name: 'job', command: ['run'], image: 'registry.example/job:1', runner: 'kubernetes', environment };
  await call('POST', `${base}/spark-jobs`, job);
});
afterAll(async () => {
  await killServer();
  await proxy.close();
  await node.stop();
  await kubernetes.stop();
  rmSync(directory, { recursive: true, force: true });
});

const run = async (): Promise<string> => (await call<{ id: string }>('POST', `${base}/spark-jobs/job/runs`)).id;
const nameOf = (id: string): string => `strongroom-${id.replace('_', '-')}`;
const paths = {
  job: `/apis/batch/v1/namespaces/${namespace}/jobs`,
  secret: `/api/v1/namespaces/${namespace}/secrets`,
  pods: `/api/v1/namespaces/${namespace}/pods`,
} as const;
const statusOf = async (kind: 'job' | 'secret', id: string): Promise<number> =>
  (await kubernetes.request('GET', `${paths[kind]}/${nameOf(id)}`)).status;
const podsOf = async (id: string) =>
  (
    await kubernetes.request<{ items: { metadata: { name: string }; status: { phase: string } }[] }>(
      'GET',
      `${paths.pods}?labelSelector=strongroom/run=${id}`,
    )
  ).body.items;

/** Kills the server when it sends this, and starts another one. */
async function killAt(method: string, path: RegExp, point: CutPoint, begin: () => Promise<string>): Promise<string> {
  const met = new Promise<void>((resolve) => {
    proxy.cut = { method, path, point, met: resolve };
  });
  const id = await begin();
  await met;
  await killServer();
  await startServer();
  return id;
}

async function ended(id: string) {
  const show = () =>
    call<{ state: string; exitCode?: number; failure?: { code: string } }>('GET', `${base}/runs/${id}`);
  await expect.poll(async () => (await show()).state, { timeout: 90_000 }).not.toMatch(/queued|running/);
  return show();
}

async function leavesNothing(id: string): Promise<void> {
  const look = async () => [await statusOf('job', id), await statusOf('secret', id), (await podsOf(id)).length];
  await expect.poll(look, { timeout: 90_000 }).toEqual([404, 404, 0]);
}

async function running(id: string): Promise<string> {
  await expect.poll(async () => (await podsOf(id))[0]?.status.phase).toBe('Running');
  return (await podsOf(id))[0]?.metadata.name ?? '';
}

const jobs = /\/jobs$/;
const secrets = /\/secrets$/;

describe('a server that is killed', () => {
  it.each<[string, RegExp, CutPoint]>([
    ['before the owner is made', jobs, 'before'],
    ['when the owner is made', jobs, 'after'],
    ['before the Secret is made', secrets, 'before'],
  ])('%s: the run is orphaned, and nothing is left', async (_name, path, point) => {
    const id = await killAt('POST', path, point, run);
    expect(await ended(id)).toMatchObject({ state: 'failed', failure: { code: 'orphaned' } });
    await leavesNothing(id);
  });

  it('when all is made: the run is followed by the next server', async () => {
    const id = await killAt('POST', secrets, 'after', run);
    const pod = await running(id);
    expect(await call('GET', `${base}/runs/${id}`)).toMatchObject({ state: 'running' });
    await node.end(namespace, pod, 5);
    expect(await ended(id)).toMatchObject({ state: 'failed', exitCode: 5, failure: { code: 'command_failed' } });
    await leavesNothing(id);
  });

  it('while a stop is on its way: the next server follows, and stops it when asked', async () => {
    const id = await killAt('DELETE', /\/jobs\//, 'before', async () => {
      const started = await run();
      await expect.poll(async () => (await podsOf(started))[0]?.status.phase).toBe('Running');
      await call('POST', `${base}/runs/${started}/stop`);
      return started;
    });
    await call('POST', `${base}/runs/${id}/stop`);
    expect(await ended(id)).toMatchObject({ state: 'stopped' });
    await leavesNothing(id);
  });

  it.each<CutPoint>(['before', 'after'])('%s what is left is taken away: the next server takes it', async (point) => {
    const id = await killAt('DELETE', /\/jobs\//, point, async () => {
      const started = await run();
      await node.end(namespace, await running(started), 0);
      return started;
    });
    // The end was durable before anything was taken away.
    expect(await ended(id)).toMatchObject({ state: 'succeeded', exitCode: 0 });
    await leavesNothing(id);
  });

  it('and whose request for the Secret comes after all: the collector takes it', async () => {
    const id = await killAt('POST', secrets, 'before', run);
    await ended(id);
    await leavesNothing(id);
    expect(await proxy.sendHeld()).toBe(201);
    await leavesNothing(id);
  });

  it('and whose request for the owner comes after all: it is taken away', async () => {
    const id = await killAt('POST', jobs, 'before', run);
    expect(await ended(id)).toMatchObject({ state: 'failed', failure: { code: 'orphaned' } });
    // The next server has looked for its end, and for what is left, and found nothing.
    const looks = () => proxy.seen.filter((request) => request === `GET ${paths.job}/${nameOf(id)}`).length;
    await expect.poll(looks).toBeGreaterThanOrEqual(2);
    expect(await proxy.sendHeld()).toBe(201);
    await leavesNothing(id);
  });
});

describe('a cluster that is in trouble', () => {
  it.each<[string, number | 'silence']>([
    ['refuses a watch (410)', 410],
    ['never says a word in a watch', 'silence'],
  ])('%s: the end is seen all the same', async (_name, answer) => {
    proxy.trouble = { path: /[?&]watch=true/, answer };
    const id = await run();
    await node.end(namespace, await running(id), 0);
    expect(await ended(id)).toMatchObject({ state: 'succeeded' });
    proxy.trouble = null;
    await leavesNothing(id);
  });

  it('is away: the run goes on, and is followed when it is back', async () => {
    const id = await run();
    const pod = await running(id);
    proxy.trouble = { path: /./, answer: 503 };
    await node.end(namespace, pod, 2);
    const asked = proxy.seen.length;
    await expect.poll(() => proxy.seen.length, { timeout: 90_000 }).toBeGreaterThan(asked + 2);
    expect(await call('GET', `${base}/runs/${id}`)).toMatchObject({ state: 'running' });
    proxy.trouble = null;
    expect(await ended(id)).toMatchObject({ state: 'failed', exitCode: 2 });
    await leavesNothing(id);
  });
});
