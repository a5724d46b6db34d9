import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRecoveryKit, kekFromBytes, loadKekFile } from '@strongroom/crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../testing/app.ts';
import { codeOf } from '../../testing/keys-world.ts';
import { compileCache, testChild } from '../../testing/programs.ts';
import { loadConfiguration } from '../config/load.ts';
import { checkRecoveryKit, confirmRecovery, makeRecoveryKit, recoverKekFile } from '../operator.ts';
import { greeting } from '../serve.ts';

const serveChild = testChild('serve-child');
const recoveryKeyForm = /(?:[0-9A-Z]{6}-){5}[0-9A-Z]{6}/g;

describe('the recovery kit of a new installation', () => {
  let test: TestServer;
  let first: { readonly kitFile: string; readonly recoveryKey: string };
  const configuration = () =>
    loadConfiguration({ variables: { STRONGROOM_DATA_DIR: test.dataDir }, workingDirectory: test.dataDir });
  const doctorSays = async () => {
    const { checks } = await test.call<{ checks: { id: string; status: string; finding: string; hint?: string }[] }>(
      'GET',
      '/v1/doctor',
    );
    return checks.find(({ id }) => id === 'recovery-kit');
  };
  beforeAll(async () => {
    test = await startTestServer();
    if (test.server.recovery === null) throw new Error('The first start made no kit');
    first = test.server.recovery;
  });
  afterAll(() => test.close());

  it('is a private file that the recovery key, and nothing else, opens to the key in use', async () => {
    expect(first.kitFile).toBe(join(test.dataDir, 'recovery-kit.txt'));
    expect(statSync(first.kitFile).mode & 0o777).toBe(0o600);
    const kek = kekFromBytes(openRecoveryKit(readFileSync(first.kitFile, 'utf8'), first.recoveryKey));
    expect(kek.id).toBe((await loadKekFile(join(test.dataDir, 'kek'), { create: false })).id);
  });

  it('has its key in the greeting, once, and neither in the log nor in the audit', async () => {
    const text = greeting(test.server);
    expect(text.match(recoveryKeyForm)).toEqual([first.recoveryKey]);
    expect(text).toContain(`strongroom recovery confirm ${first.kitFile}`);
    expect(JSON.stringify(test.logged)).not.toContain(first.recoveryKey);
    expect((await test.request('GET', '/v1/audit/export')).text).not.toContain(first.recoveryKey);
  });

  it('is amber in doctor until it was tried, and again after the key was rotated', async () => {
    expect(await doctorSays()).toMatchObject({
      status: 'amber',
      hint: expect.stringContaining(`recovery confirm ${first.kitFile}`),
    });
    const kit = readFileSync(first.kitFile, 'utf8');
    const { kekId } = await checkRecoveryKit(configuration(), kit, first.recoveryKey);
    await test.call('POST', '/v1/keys/recovery/confirm', { body: { kekId } });
    expect(await doctorSays()).toMatchObject({ status: 'ok' });
    await test.call('POST', '/v1/keys/rotate', { body: { what: 'kek' } });
    expect(await doctorSays()).toMatchObject({
      status: 'amber',
      finding: expect.stringContaining('an older key'),
      hint: expect.stringContaining('Make a new kit'),
    });
    expect(await codeOf(checkRecoveryKit(configuration(), kit, first.recoveryKey))).toBe('credentials_invalid');
  });

  it('is made once: a later start leaves it alone', async () => {
    const kit = readFileSync(first.kitFile, 'utf8');
    await test.restart();
    expect(test.server.recovery).toBeNull();
    expect(greeting(test.server).match(recoveryKeyForm)).toBeNull();
    expect(readFileSync(first.kitFile, 'utf8')).toBe(kit);
  });

  it('is followed by one of the new key, which brings back a key file that was lost', async () => {
    const path = join(test.dataDir, '..', 'new-kit.txt');
    const made = await makeRecoveryKit(configuration(), path);
    expect(await codeOf(makeRecoveryKit(configuration(), path))).toBe('already_exists');
    const kit = readFileSync(path, 'utf8');
    expect(await codeOf(recoverKekFile(configuration(), kit, made.recoveryKey))).toBe('state_conflict');
    // Only the server that has the store open can record it.
    expect(await codeOf(confirmRecovery(configuration()))).toBe('state_conflict');
    await test.server.stop();
    await confirmRecovery(configuration());
    rmSync(join(test.dataDir, 'kek'));
    await expect(test.restart()).rejects.toMatchObject({ code: 'key_unavailable' });
    expect(await codeOf(recoverKekFile(configuration(), kit, first.recoveryKey))).toBe('credentials_invalid');
    expect(await recoverKekFile(configuration(), kit, made.recoveryKey)).toMatchObject({ kekId: made.kekId });
    await test.restart();
    expect(await doctorSays()).toMatchObject({ status: 'ok' });
  });
});

describe('a server process', () => {
  const directories: string[] = [];
  const children: ChildProcess[] = [];
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  });

  /** Starts a server with nothing there yet and stops it when it has said where it is. */
  async function firstStart(settings: Readonly<Record<string, string>>) {
    const directory = mkdtempSync(join(tmpdir(), 'strongroom-first-'));
    directories.push(directory);
    const env = {
      PATH: process.env['PATH'],
      ...compileCache,
      STRONGROOM_DATA_DIR: directory,
      STRONGROOM_LISTEN: '127.0.0.1:0',
      ...settings,
    };
    const child = spawn(process.execPath, [serveChild], { env, cwd: directory });
    children.push(child);
    let [out, errors, isStopped] = ['', '', false];
    const stopWhenGreeted = (): void => {
      if (isStopped || !/^ {2}! .*\n\n/m.test(`${out}\n${errors}`)) return;
      isStopped = child.kill('SIGTERM');
    };
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString('utf8');
      stopWhenGreeted();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString('utf8');
      stopWhenGreeted();
    });
    const exit = await new Promise((resolve) => child.on('close', resolve));
    return { exit, out, errors, hasKit: existsSync(join(directory, 'recovery-kit.txt')) };
  }

  it('prints the recovery key on its standard output once, and not in its log', async () => {
    const { exit, out, errors, hasKit } = await firstStart({ STRONGROOM_LOG_LEVEL: 'debug' });
    expect({ exit, hasKit }).toEqual({ exit: 0, hasKit: true });
    expect(out.match(recoveryKeyForm)).toHaveLength(1);
    expect(errors.match(recoveryKeyForm)).toBeNull();
  });

  it('makes no kit where the standard output is the audit anchor, which is collected', async () => {
    const { exit, out, errors, hasKit } = await firstStart({ STRONGROOM_AUDIT_ANCHOR: 'stdout' });
    expect({ exit, hasKit }).toEqual({ exit: 0, hasKit: false });
    expect(
      out
        .trim()
        .split('\n')
        .every((line) => line.startsWith('{')),
    ).toBe(true);
    expect(`${out}${errors}`.match(recoveryKeyForm)).toBeNull();
    expect(errors).toContain('strongroom recovery create');
  });
});
