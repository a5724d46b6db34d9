import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TestServer } from '../../testing/app.ts';
import { inFinance, PlaceholderWorld } from '../../testing/placeholder-world.ts';

const world = new PlaceholderWorld();
const { shared } = world;

describe('a configuration that is older than what is checked at a save', () => {
  /** As it was written before. */
  const rewrite = (name: string, change: (document: Record<string, unknown>) => object) => {
    const database = new DatabaseSync(join(world.test.dataDir, 'strongroom.db'), { timeout: 60_000 });
    const select = database.prepare('select id, document from configurations where name = ? and deleted_at is null');
    const { id, document } = select.get(name) as { id: string; document: string };
    const changed = JSON.stringify({ ...JSON.parse(document), ...change(JSON.parse(document) as never) });
    database.prepare('update configurations set document = ? where id = ?').run(changed, id);
    database.close();
  };
  const endOf = async (name: string) => {
    const { id } = await world.test.call<{ id: string }>('POST', `${inFinance}/spark-jobs/${name}/runs`);
    for (;;) {
      const run = await world.test.call<{ state: string }>('GET', `${inFinance}/runs/${id}`);
      if (run.state !== 'queued' && run.state !== 'running') return run;
      await delay(20);
    }
  };

  let worker: Awaited<ReturnType<TestServer['createServiceAccount']>>;
  beforeAll(async () => {
    worker = await world.test.createServiceAccount('finance', 'worker', { preset: 'MEMBER', grants: ['RESOLVE'] });
  });

  it.each([
    [
      'a command',
      { command: ['true', '${secrets.shared}'] },
      '/command/1: No placeholder is resolved here',
      'placeholder other-place',
    ],
    [
      'a key of dots',
      { environment: [{ name: 'A', value: 'x${secrets..}' }] },
      '/environment/0/value: A placeholder',
      'malformed-placeholder no-key',
    ],
    [
      'what is not closed',
      { files: [{ name: 'a', content: '${secrets.shared' }] },
      '/files/0/content: A placeholder',
      'malformed-placeholder not-closed',
    ],
  ])(
    'does not launch with a placeholder in %s, says where, and is found by a scan',
    async (_what, change, problem, found) => {
      await world.saveJob('older', { environment: [{ name: 'A', value: '${secrets.shared}' }], files: [] });
      rewrite('older', () => change);
      try {
        const ended = await endOf('older');
        expect(ended).toMatchObject({ state: 'failed', failure: { code: 'launch_refused' } });
        expect(JSON.stringify(ended)).toContain(problem);
        const scanned = await world.ask('scan', { configurations: [{ surface: 'spark-job', name: 'older' }] });
        const [pointer] = problem.split(':');
        const findings = (scanned.items[0] as unknown as { findings: readonly Record<string, string>[] }).findings;
        expect(
          findings.filter((each) => each['pointer'] === pointer).map(({ kind, stays }) => `${kind} ${stays}`),
        ).toEqual([found]);
        const preflight = await world.test.call<{ problems: string[] }>(
          'POST',
          `${inFinance}/spark-jobs/older/preflight`,
        );
        expect(preflight).toMatchObject({ ok: false, problems: [expect.stringContaining(problem)] });
        const asked = await world.test.request('POST', `${inFinance}/launches`, {
          token: worker.token,
          body: { configuration: { surface: 'spark-job', name: 'older' } },
        });
        expect(asked.body).toMatchObject({ code: 'launch_refused', detail: expect.stringContaining(problem) });
      } finally {
        await world.test.call('DELETE', `${inFinance}/spark-jobs/older`);
      }
    },
  );

  it('is used by no job, nor by the platform', async () => {
    const storage = { provider: 's3-compatible', endpoint: 'http://127.0.0.1:9', bucket: 'older', region: 'r' };
    await world.test.call('POST', `${inFinance}/storage-configs`, { body: { name: 'older-store', ...storage } });
    await world.saveJob('consumer', { storageConfigs: ['older-store'] });
    rewrite('older-store', () => ({ region: '${secrets.shared}' }));
    const problem = '/region: No placeholder is resolved here';
    expect(JSON.stringify(await endOf('consumer'))).toContain(`older-store ${problem}`);
    expect(await world.test.call('POST', `${inFinance}/storage-configs/older-store/preflight`)).toMatchObject({
      ok: false,
      problems: [expect.stringContaining(problem)],
    });
    for (const path of ['spark-jobs/consumer', 'storage-configs/older-store'])
      await world.test.call('DELETE', `${inFinance}/${path}`);
    await world.test.call('PUT', '/v1/platform/ldap', { body: { url: 'ldaps://127.0.0.1:9', baseDn: 'dc=example' } });
    rewrite('ldap', () => ({ attributes: { id: '${secrets.shared}' } }));
    expect(await world.test.call('POST', '/v1/platform/ldap/sync')).toMatchObject({
      outcome: 'failed',
      cause: 'reference_unresolved',
    });
    await world.test.call('DELETE', '/v1/platform/ldap');
  });
});

describe('storage of old configurations', () => {
  const sha = (text: string) => createHash('sha256').update(text).digest('hex');
  const folder = world.canaries.plain('folder of a bucket');
  const texts = {
    basePath: '/in${secrets.folder}/$${secrets.folder}/',
    accessKey: { value: '${secrets.shared}' },
    secretKey: { value: '${secrets.shared}${secrets.folder}' },
  };
  const at = { provider: 's3-compatible', bucket: 'bucket' };
  const turn = (enabled: boolean, query = '') =>
    world.test.call('PATCH', `/v1/settings${query}`, { body: { features: { secretsV2: { enabled } } } });
  beforeAll(() => world.test.call('POST', '/v1/global/secrets', { body: { key: 'folder', value: `/${folder}` } }));

  it('has its placeholders resolved in the jobs that use it, before a migration, after it, and with references off', async () => {
    const parts = ['BASE_PATH', 'ACCESS_KEY', 'SECRET_KEY'];
    const print = parts.map((part) => `printf %s "$STORAGE_OLD_${part}" | sha256sum`).join(';');
    const expected = [`in/${folder}/\${secrets.folder}`, shared, `${shared}/${folder}`].map(sha);
    const digests = async () => [...(await world.printed('reader')).matchAll(/^[0-9a-f]{64}/gm)].map(String);
    const asked = { configurations: [{ surface: 'storage-config', name: 'old' }] };
    const body = { ...at, endpoint: 'http://127.0.0.1:9', ...texts };
    await world.test.call('POST', `${inFinance}/storage-configs`, { body: { name: 'old', ...body } });
    await world.saveJob('reader', { command: ['sh', '-c', print], storageConfigs: ['old'] });
    expect(await digests()).toEqual(expected);
    const shown = () => world.test.call('GET', `${inFinance}/storage-configs/old`);
    const before = await shown();
    expect(before).toMatchObject({
      basePath: texts.basePath.slice(1, -1),
      accessKey: { isSet: true, placeholder: '${secrets.shared}' },
      secretKey: { isSet: true, placeholder: '${secrets.shared}${secrets.folder}' },
    });
    const { items } = await world.ask('migrate', asked);
    expect(items[0]?.fields.map(({ pointer, becomes, stays }) => `${pointer} ${becomes ?? stays}`)).toEqual([
      '/accessKey/value secret://global/managed/shared',
      '/secretKey/value inside-text',
      '/secretKey/value inside-text',
      '/basePath inside-text',
    ]);
    expect(await digests()).toEqual(expected);
    await world.ask('undo', asked);
    const { revision: _now, updatedAt: _at, updatedBy: _by, ...after } = await shown();
    expect(before).toMatchObject(after);
    await turn(false, '?force=true');
    try {
      expect(await digests()).toEqual(expected);
      await world.test.call('PUT', `${inFinance}/storage-configs/old`, {
        body: { ...body, description: 'saved while off' },
      });
    } finally {
      await turn(true);
    }
  });

  it('is tried with its placeholders resolved, and the answer has none of it', async () => {
    const paths: string[] = [];
    const server = createServer((request, response) => {
      paths.push(decodeURIComponent(request.url ?? ''));
      response.writeHead(403).end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const form = { ...at, endpoint, ...texts, basePath: 'in/${secrets.folder}' };
      const bad = await world.test.call('POST', `${inFinance}/storage-configs/test`, { body: form });
      expect(bad).toMatchObject({ ok: false, steps: [{ name: 'resolve basePath', cause: 'unresolved' }] });
      expect(paths).toEqual([]);
      await world.test.call('POST', `${inFinance}/storage-configs/test`, {
        body: { ...form, basePath: 'in${secrets.folder}' },
      });
      expect(paths[0]).toContain(`prefix=in/${folder}/`);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe('what was answered and stored of all this', () => {
  it('has no value', async () => {
    expect(world.plain.leaks()).toEqual([]);
    await world.test.assertNoLeak();
  });
});
