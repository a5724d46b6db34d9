import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretValue } from '@strongroom/crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConsumedStorage, RenderInput } from '../definition.ts';
import { ValueRenderer } from '../rendering.ts';
import type { ComputeClusterDocument } from './document.ts';
import { renderComputeCluster } from './render.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'strongroom-cluster-'));
  mkdirSync(join(folder, 'home'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const bare: ComputeClusterDocument = { environment: [], sparkConfig: [] };

function inputOf(storage: readonly ConsumedStorage[] = []): RenderInput {
  const value = (pointer: string): SecretValue => SecretValue.fromText(`value of ${pointer}`);
  return { name: 'shared', home: join(folder, 'home'), storage, value };
}

function storage(name: string, bucket: string): ConsumedStorage {
  const reference = 'secret://domain/managed/key';
  const credentials = { secretKey: { pointer: `/storageConfigs/${name}/secretKey/secret`, reference } };
  return {
    name,
    bucket,
    provider: 's3-compatible',
    endpoint: 'http://127.0.0.1:9',
    usesPathStyle: true,
    places: credentials,
  };
}

describe('what a compute cluster is started with', () => {
  it('has its buckets in the properties file, and nothing secret in its command', () => {
    const { spec, problems } = renderComputeCluster(bare, inputOf([storage('raw', 'raw-data')]));
    expect(problems).toEqual([]);
    const file = spec.files.find(({ name }) => name === 'spark.properties');
    expect(file?.isSecret).toBe(true);
    expect(Buffer.from(file?.content ?? []).toString()).toBe(
      [
        'spark.hadoop.fs.s3a.bucket.raw-data.endpoint=http://127.0.0.1:9',
        'spark.hadoop.fs.s3a.bucket.raw-data.path.style.access=true',
        'spark.hadoop.fs.s3a.bucket.raw-data.connection.ssl.enabled=false',
        'spark.hadoop.fs.s3a.bucket.raw-data.secret.key=value of /storageConfigs/raw/secretKey/secret',
        '',
      ].join('\n'),
    );
    expect(spec.command.join(' ')).not.toContain('value of');
  });

  it('refuses what was saved into a property that Spark puts on a command line or into a pod', () => {
    const secret = { scope: 'domain', source: 'managed', key: 'k' } as const;
    const reference = 'secret://domain/managed/k';
    const sparkConfig = [
      { name: 'spark.driver.extraJavaOptions', secret },
      { name: 'spark.executorEnv.TOKEN', secret },
      { name: 'spark.executor.extraJavaOptions', value: '-Xss4m' },
    ];
    const environment = [{ name: 'SPARK_DAEMON_JAVA_OPTS', secret }];
    const { misfits, problems } = renderComputeCluster({ environment, sparkConfig }, inputOf());
    expect(problems).toEqual([]);
    const exposed = { pointer: '/sparkConfig/0/secret', reference, message: expect.stringContaining('command line') };
    expect(misfits).toEqual([{ ...exposed, pointer: '/environment/0/secret' }, exposed]);
    const renderer = new ValueRenderer({ ...inputOf(), isForOperator: true });
    renderer.properties(sparkConfig);
    const inPod = { pointer: '/sparkConfig/1/secret', reference, message: expect.stringContaining('pods hold no') };
    expect(renderer.misfits).toEqual([exposed, inPod]);
  });

  it('refuses one bucket with two keys', () => {
    const { problems } = renderComputeCluster(bare, inputOf([storage('raw', 'data'), storage('other', 'data')]));
    expect(problems).toEqual(['raw and other are the same bucket, which Spark can only open with one key.']);
  });

  it('is a master and its workers under one command that ends when one of them does', async () => {
    // In place of Spark: says what it was called with; the workers end, the master would not.
    const program = `#!/bin/sh
echo "$*"
case $1 in
*Master) echo 'INFO Master: Starting Spark master at spark://127.0.0.1:7077'; exec sleep 300 ;;
esac
`;
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'bin', 'spark-class'), program);
    chmodSync(join(folder, 'bin', 'spark-class'), 0o755);
    const document = { ...bare, sizes: { workers: 2, workerCores: 1, workerMemory: '1g' } };
    const { spec } = renderComputeCluster(document, inputOf());
    const cwd = join(folder, 'home');
    for (const { name, content } of spec.files) writeFileSync(join(cwd, name), content);
    const [name = '', ...args] = spec.command;
    const child = spawn(name, args, { cwd, detached: true, env: { PATH: `${folder}/bin:/usr/bin:/bin` } });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const { promise, resolve } = Promise.withResolvers<void>();
    child.once('close', () => resolve());
    await promise;
    expect(child.exitCode).not.toBe(0);
    expect(output).toContain('org.apache.spark.deploy.master.Master --host 127.0.0.1 --port 0');
    expect(output).toContain('--cores 1 --memory 1g spark://127.0.0.1:7077');
    expect(output).toContain('A worker ended; the cluster ends with it.');
  });
});
