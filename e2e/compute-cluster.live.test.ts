// @needs spark
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestServer } from '../packages/server/testing/app.ts';
import { Canaries } from '../packages/server/testing/canaries.ts';
import { sparkPrograms } from '../servers/spark.ts';
import { digestOf, financeBase, openLiveDomain } from './live-domain.ts';
import { jobUserSettings, type LiveRuns, seeCommandLines } from './live-runs.ts';

const canaries = new Canaries();
const values = { phrase: canaries.text('a variable'), property: canaries.text('a property') };
const one = `${financeBase}/compute-clusters/shared`;
const master = 'org.apache.spark.deploy.master.Master';
const worker = 'org.apache.spark.deploy.worker.Worker';
const executor = 'org.apache.spark.executor.CoarseGrainedExecutorBackend';
let path: string;
let test: TestServer;
let runs: LiveRuns;

beforeAll(async () => {
  path = `${(await sparkPrograms()).bin}:/usr/local/bin:/usr/bin:/bin`;
  ({ test, runs } = await openLiveDomain(canaries, values, jobUserSettings));
});
afterAll(() => test.close());

const secret = (key: keyof typeof values) => ({ secret: `secret://domain/managed/${key}` });

/** Asks an executor of the cluster, which is a process that its worker starts, for what it has, and keeps it there for a while. */
const ask = `
import hashlib, os, time
from pyspark.sql import SparkSession

context = SparkSession.builder.getOrCreate().sparkContext
got = context.parallelize([1], 1).map(lambda _: hashlib.sha256(os.environ['DB_PHRASE'].encode()).hexdigest()).collect()
print('EXECUTOR ' + got[0], flush=True)
while not os.path.exists(os.environ['GO_ON']):
    time.sleep(0.1)
`;

it('a cluster’s executors have its secrets, until it is stopped', { timeout: 1_200_000 }, async () => {
  const form = {
    environment: [
      { name: 'PATH', value: path },
      { name: 'DB_PHRASE', ...secret('phrase') },
    ],
    sparkConfig: [{ name: 'spark.app.phrase', ...secret('property') }],
    sizes: { workers: 1, workerCores: 1, workerMemory: '1g' },
  };
  await test.call('POST', `${financeBase}/compute-clusters`, { body: { name: 'shared', ...form } });
  const id = await runs.start('compute-clusters/shared');
  const address = await runs.until(id, (log) => /Starting Spark master at (spark:\/\/\S+)/.exec(log)?.[1]);
  await runs.until(id, (log) => (/Successfully registered with master/.test(log) ? true : undefined));

  const folder = mkdtempSync(join(tmpdir(), 'strongroom-cluster-'));
  // The job's user passes through it.
  chmodSync(folder, 0o711);
  const goOn = join(folder, 'go-on');
  await test.call('POST', `${financeBase}/spark-jobs`, {
    body: {
      name: 'asking',
      spark: { mainFile: 'ask.py' },
      environment: [
        { name: 'PATH', value: path },
        { name: 'GO_ON', value: goOn },
      ],
      sparkConfig: [
        { name: 'spark.master', value: address },
        { name: 'spark.driver.bindAddress', value: '127.0.0.1' },
        { name: 'spark.driver.host', value: '127.0.0.1' },
        { name: 'spark.ui.enabled', value: 'false' },
      ],
      files: [{ name: 'ask.py', content: ask }],
    },
  });
  const asked = await runs.start('spark-jobs/asking');
  expect(await runs.until(asked, (log) => /^EXECUTOR (\w+)$/m.exec(log)?.[1])).toBe(digestOf(values.phrase));
  for (const part of [master, worker, executor]) expect(seeCommandLines(canaries, part)).toBe(1);
  writeFileSync(goOn, '');
  expect(await runs.ended(asked)).toMatchObject({ state: 'succeeded', exitCode: 0 });
  rmSync(folder, { recursive: true });

  const again = await test.request('POST', `${one}/runs`);
  expect(again.status).toBe(409);
  expect(await test.call('GET', one)).toMatchObject({ running: { run: id, restartRequired: false } });
  await test.call('PUT', one, { body: { ...form, sizes: { workers: 2 } } });
  expect(await test.call('GET', one)).toMatchObject({ running: { run: id, restartRequired: true } });
  await test.call('PUT', `${financeBase}/secrets/phrase/value`, {
    body: { value: canaries.text('the rotated variable') },
  });
  const drift = await test.call<{ items: object[] }>('GET', `${financeBase}/drift`);
  expect(drift.items).toEqual([
    expect.objectContaining({ launch: id, name: 'DB_PHRASE', surface: 'compute-cluster', state: 'running' }),
  ]);

  await test.call('POST', `${financeBase}/runs/${id}/stop`);
  expect(await runs.ended(id)).toMatchObject({ state: 'stopped' });
  for (const part of [master, worker, executor]) expect(seeCommandLines(canaries, part)).toBe(0);
  expect(existsSync(runs.inMemory(id))).toBe(false);
  expect((await test.call('GET', one))['running']).toBeUndefined();
  await test.assertNoLeak();
});
