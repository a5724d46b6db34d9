import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { startTestServer } from '../../testing/app.ts';
import { compileCache, testChild } from '../../testing/programs.ts';
import { withLease } from '../store/leases.ts';
import { waitAfter } from './sender.ts';
import type { NoticeView } from './service.ts';

const dayMilliseconds = 86_400_000;

it('a notice under way when the server is killed goes again, as the same one, and once it went no more', async () => {
  const ids: unknown[] = [];
  let answer: (response: ServerResponse) => void = () => undefined;
  const hook = createServer((request, response) => {
    ids.push(request.headers['webhook-id']);
    request.resume();
    request.on('end', () => answer(response));
  }).listen(0, '127.0.0.1');
  await once(hook, 'listening');
  const test = await startTestServer();
  try {
    await test.createDomain('finance');
    const base = '/v1/domains/finance';
    const put = (key: string, more: object): Promise<unknown> =>
      test.call('POST', `${base}/secrets`, { body: { key, value: 'a signing secret of enough bytes', ...more } });
    await put('hook-key', {});
    // Not due before ten days are over, whatever the server does by itself.
    await put('expiring', { expiresAt: new Date(Date.now() + 20 * dayMilliseconds).toISOString() });
    const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`;
    const webhook = { url, signingSecret: 'secret://domain/managed/hook-key' };
    await test.call('PUT', `${base}/notices/settings`, { body: { webhook } });
    const now = Date.now() + 10 * dayMilliseconds;
    await test.server.stop();

    const asked = Promise.withResolvers<void>();
    answer = () => asked.resolve();
    const env = {
      PATH: process.env['PATH'],
      ...compileCache,
      STRONGROOM_DATA_DIR: test.dataDir,
      STRONGROOM_LISTEN: '127.0.0.1:0',
      TMPDIR: test.temporaryDirectory,
    };
    const child = spawn(process.execPath, [testChild('notices-kill-child'), String(now)], {
      cwd: dirname(test.dataDir),
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const exited = once(child, 'exit');
    await Promise.race([asked.promise, exited]);
    child.kill('SIGKILL');
    expect((await exited)[1]).toBe('SIGKILL');

    answer = (response) => response.writeHead(204).end();
    await test.restart();
    const told = async (): Promise<NoticeView[]> =>
      (await test.call<{ items: NoticeView[] }>('GET', `${base}/notices`)).items;
    const round = async (at: number): Promise<void> => {
      const { store, services } = test.server;
      for (let isHeld = false; !isHeld;)
        ({ held: isHeld } = await withLease(store, 'job.send-notices', 'test', 30_000, (lease) =>
          services.noticeSender.round(lease, at),
        ));
    };
    expect(await told()).toMatchObject([{ key: 'expiring', deliveries: [{ state: 'pending', attempts: 1 }] }]);
    await round(now + waitAfter(1) + 1);
    await round(now + dayMilliseconds);
    const [notice, ...others] = await told();
    expect(others).toEqual([]);
    expect(notice?.deliveries).toMatchObject([{ state: 'delivered', attempts: 2 }]);
    expect(ids).toEqual([notice?.id, notice?.id]);
  } finally {
    await test.close();
    hook.closeAllConnections();
    hook.close();
  }
});
