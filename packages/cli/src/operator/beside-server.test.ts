import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createToken } from '@strongroom/crypto';
import {
  createLog,
  loadConfiguration,
  makeSignInLink,
  restore,
  type RunningServer,
  startServer,
  verifyDataDirectory,
} from '@strongroom/server';
import { compileCache, strongroomProgram } from '@strongroom/server/testing/programs.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** Commands of an operator as processes of their own, while a server has the store open. */
describe('beside a running server', () => {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-operator-'));
  const dataDir = join(directory, 'data');
  const token = createToken('srt_');
  let server: RunningServer | undefined;

  const configurationOf = (dataDirectory: string, kekFile?: string) => {
    const variables = {
      STRONGROOM_DATA_DIR: dataDirectory,
      STRONGROOM_LISTEN: '127.0.0.1:0',
      STRONGROOM_BOOTSTRAP_TOKEN_FILE: join(directory, 'token'),
      ...(kekFile === undefined ? {} : { STRONGROOM_KEK_FILE: kekFile }),
    };
    return loadConfiguration({ variables, workingDirectory: directory });
  };
  const start = async (configuration = configurationOf(dataDir)): Promise<void> => {
    const log = createLog('silent', { write: () => undefined });
    server = await startServer({ configuration, log, writeDeadlineMilliseconds: 60_000 });
  };
  const stop = async (): Promise<void> => {
    await server?.stop();
    server = undefined;
  };
  const run = (...words: readonly string[]) =>
    new Promise<{ code: number | string; out: string; errors: string }>((resolve) => {
      const env = {
        PATH: process.env['PATH'],
        HOME: directory,
        ...compileCache,
        STRONGROOM_DATA_DIR: dataDir,
      };
      execFile(process.execPath, [strongroomProgram(), ...words], { env, cwd: directory }, (error, out, errors) =>
        resolve({ code: error?.code ?? 0, out, errors }),
      );
    });
  const call = async (method: string, path: string, body?: unknown, bearer: string | null = token) => {
    const answer = await fetch(`${server?.url ?? ''}${path}`, {
      method,
      headers: {
        ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };

  beforeAll(async () => {
    writeFileSync(join(directory, 'token'), token, { mode: 0o600 });
    await start();
    await call('POST', '/v1/users', { name: 'ann' });
    await call('POST', '/v1/global/secrets', { key: 'smtp-password', value: 'a value' });
  });
  afterAll(async () => {
    await stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('backup is whole while the server writes; rotating the key does not hurt what was backed up', async () => {
    const target = join(directory, 'backup');
    const writing = new AbortController();
    let count = 0;
    const written = (async () => {
      while (!writing.signal.aborted) {
        const { status } = await call('POST', '/v1/global/secrets', { key: `during-${count}`, value: 'x' });
        expect(status).toBe(201);
        count += 1;
        await sleep(5);
      }
    })();
    await expect.poll(() => count).toBeGreaterThan(0);
    const backedUp = await run('backup', target);
    writing.abort();
    expect(backedUp).toMatchObject({ code: 0 });
    await written;

    const oldKey = readFileSync(join(dataDir, 'kek'), 'utf8');
    expect((await call('POST', '/v1/keys/rotate', { what: 'kek' })).status).toBe(202);
    const { kekId } = JSON.parse(readFileSync(join(target, 'manifest.json'), 'utf8')) as { kekId: string };
    const kept = join(dataDir, `kek.${kekId.slice(0, 8)}.old`);
    expect(readFileSync(kept, 'utf8')).toBe(oldKey);

    const elsewhere = configurationOf(join(directory, 'restored'), kept);
    await restore(elsewhere, { backup: target, keepsCredentials: true });
    expect((await verifyDataDirectory(elsewhere.settings.dataDir, {})).bad).toEqual([]);
    await stop();
    await start(elsewhere);
    const list = await call('GET', '/v1/global/secrets?limit=1');
    expect(list).toMatchObject({ status: 200, body: { items: [{ key: 'during-0' }] } });
    await stop();
  });

  it('login-link works without it, and says what to do instead beside it', async () => {
    const { code, out } = await run('login-link', 'ann');
    expect(code).toBe(0);
    const [, link = ''] = out.trim().split('#');
    await start();
    await expect(makeSignInLink(configurationOf(dataDir), 'ann')).rejects.toMatchObject({
      code: 'state_conflict',
      hint: expect.stringMatching(/strongroom user link ann.*stop the server/),
    });
    const opened = await call('POST', '/v1/auth/link', { token: link }, null);
    expect(opened).toMatchObject({ status: 200, body: { principal: { name: 'ann' } } });
    expect((await call('POST', '/v1/auth/link', { token: link }, null)).status).toBe(401);
  });
});
