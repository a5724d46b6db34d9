import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { freshName } from '../../testing/samples.ts';

/** In place of the real programs, which live tests run: they say what they say, and go on until they are ended. */
const programs = {
  jupyter: '#!/bin/sh\necho up\nexec sleep 300\n',
  'spark-class':
    '#!/bin/sh\ncase $1 in\n*Master) echo Starting Spark master at spark://127.0.0.1:7077;;\nesac\nexec sleep 300\n',
};
const canaries = new Canaries();
const base = '/v1/domains/finance';
let bin: string;
let test: TestServer;

beforeAll(async () => {
  bin = mkdtempSync(join(tmpdir(), 'strongroom-programs-'));
  // Jobs may have users of their own.
  chmodSync(bin, 0o755);
  for (const [name, text] of Object.entries(programs)) {
    writeFileSync(join(bin, name), text);
    chmodSync(join(bin, name), 0o755);
  }
  test = await startTestServer({}, { canaries });
  await test.createDomain('finance');
});
afterAll(async () => {
  await test.assertNoLeak();
  await test.close();
  rmSync(bin, { recursive: true, force: true });
});

interface Shown {
  readonly running?: { readonly run: string; readonly state: string; readonly restartRequired: boolean };
}
interface Redeployed {
  readonly items: readonly { readonly outcome: string; readonly run?: string; readonly old: readonly object[] }[];
}

describe.each(['notebook', 'compute-cluster'])('a %s that runs until it is stopped', (surface) => {
  const name = freshName();
  const key = `key-of-${surface}`;
  const one = `${base}/${surface}s/${name}`;
  const form = () => ({
    environment: [
      { name: 'PATH', value: `${bin}:/usr/bin:/bin` },
      { name: 'DB_PHRASE', secret: `secret://domain/managed/${key}` },
    ],
  });
  const shown = () => test.call<Shown>('GET', one);
  const startedAt = async (run: string) => (await test.call('GET', `${base}/runs/${run}`))['startedAt'];
  const drifted = async () => (await test.call<{ items: { launch: string }[] }>('GET', `${base}/drift`)).items;
  const redeploy = (more: object = {}) =>
    test.call<Redeployed>('POST', `${base}/drift/redeploy`, { body: { configurations: [{ surface, name }], ...more } });
  let first = '';

  it('is up once, and says when it was changed since', async () => {
    await test.call('POST', `${base}/secrets`, { body: { key, value: canaries.text(`of ${surface}`) } });
    await test.call('POST', `${base}/${surface}s`, { body: { name, ...form() } });
    expect((await shown()).running).toBeUndefined();
    ({ id: first } = await test.call<{ id: string }>('POST', `${one}/runs`));
    await expect.poll(() => startedAt(first), { interval: 20 }).toBeTypeOf('string');
    expect((await test.request('POST', `${one}/runs`)).status).toBe(409);
    expect((await shown()).running).toEqual({ run: first, state: 'running', restartRequired: false });
    await test.call('PUT', one, { body: { ...form(), description: 'changed' } });
    expect((await shown()).running).toMatchObject({ run: first, restartRequired: true });
    expect(await drifted()).toEqual([]);
  });

  it('is started anew with what its secret is now when the old one may be stopped', async () => {
    await test.call('PUT', `${base}/secrets/${key}/value`, { body: { value: canaries.text(`of ${surface} anew`) } });
    expect(await drifted()).toEqual([expect.objectContaining({ launch: first, name: 'DB_PHRASE', surface })]);
    const [kept] = (await redeploy()).items;
    expect(kept).toMatchObject({ outcome: 'refused', problem: { code: 'state_conflict' } });
    expect((await shown()).running).toMatchObject({ run: first });
    const [item] = (await redeploy({ stopOld: true })).items;
    expect(item).toMatchObject({ outcome: 'started', old: [{ launch: first, outcome: 'ended' }] });
    const { run: second = '' } = item ?? {};
    await expect.poll(() => startedAt(second), { interval: 20 }).toBeTypeOf('string');
    expect(await test.call('GET', `${base}/runs/${first}`)).toMatchObject({ state: 'stopped' });
    expect((await shown()).running).toEqual({ run: second, state: 'running', restartRequired: false });
    expect(await drifted()).toEqual([]);
    await test.call('POST', `${base}/runs/${second}/stop`);
    await expect.poll(async () => (await shown()).running, { interval: 20 }).toBeUndefined();
  });
});
