// @needs spark moto python-reader
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../packages/server/testing/app.ts';
import { Canaries } from '../packages/server/testing/canaries.ts';
import { httpRequest } from '../servers/http-request.ts';
import { type Moto, startMoto } from '../servers/moto.ts';
import { locatePythonPackages } from '../servers/python-reader.ts';
import { type SparkPrograms, sparkPrograms } from '../servers/spark.ts';
import { jobUserSettings, LiveRuns, seeCommandLines } from './live-runs.ts';

const canaries = new Canaries();
const values = {
  variable: canaries.text('a variable'),
  property: canaries.text('a property'),
  file: canaries.text('in a file'),
  'storage-key': canaries.plain('secret key of storage'),
};
const base = '/v1/domains/finance';
let spark: SparkPrograms;
let moto: Moto;
let test: TestServer;
let runs: LiveRuns;
/** Where jobs may write. */
let shared: string;

beforeAll(async () => {
  spark = await sparkPrograms();
  moto = await startMoto();
  await httpRequest(`${moto.url}/raw-data`, { method: 'PUT' });
  await httpRequest(`${moto.url}/raw-data/in/hello.txt`, { method: 'PUT', body: 'hello from storage' });
  shared = mkdtempSync(join(tmpdir(), 'strongroom-spark-'));
  chmodSync(shared, 0o777);
  test = await startTestServer(jobUserSettings, { canaries });
  runs = new LiveRuns(test, 'finance');
  canaries.watchDirectory(shared);
  await test.createDomain('finance');
  for (const [key, value] of Object.entries(values))
    await test.call('POST', `${base}/secrets`, { body: { key, value } });
  await test.call('POST', `${base}/storage-configs`, {
    body: {
      name: 'raw',
      provider: 's3-compatible',
      endpoint: moto.url,
      region: 'us-east-1',
      bucket: 'raw-data',
      accessKey: { set: 'AKIDEXAMPLE' },
      secretKey: { secret: 'secret://domain/managed/storage-key' },
    },
  });
});
afterAll(async () => {
  await test.close();
  await moto.stop();
  rmSync(shared, { recursive: true, force: true });
});

const secret = (key: keyof typeof values) => ({ secret: `secret://domain/managed/${key}` });
const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
const path = (): string => `${spark.bin}:/usr/local/bin:/usr/bin:/bin`;

/** Prints digests of what it got, waits until it may go on, then prints a value. */
const job = `
import hashlib, json, os, time
from pyspark.sql import SparkSession

def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()

spark = SparkSession.builder.getOrCreate()
context = spark.sparkContext
found = {
    'variable': digest(os.environ['DB_PHRASE']),
    'executor': context.parallelize([1, 2], 2).map(lambda _: digest(os.environ['DB_PHRASE'])).collect()[0],
    'property': digest(context.getConf().get('spark.app.phrase')),
    'file': digest(json.load(open('config/app.json'))['phrase']),
}
if os.environ['CONNECTOR'] == 'yes':
    found['storage'] = spark.read.text('s3a://raw-data/in/hello.txt').collect()[0][0]
print('FOUND ' + json.dumps(found) + ' AT ' + context.uiWebUrl, flush=True)
while not os.path.exists(os.environ['GO']):
    time.sleep(0.1)
print('phrase: ' + os.environ['DB_PHRASE'], flush=True)
print('property: ' + context.getConf().get('spark.app.phrase'), flush=True)
spark.stop()
`;

describe('a job under spark-submit', () => {
  it('has its secrets, and nobody else sees them', { timeout: 1_200_000 }, async () => {
    const [go, events] = [join(shared, 'go'), join(shared, 'events')];
    mkdirSync(events);
    chmodSync(events, 0o777);
    await test.call('POST', `${base}/spark-jobs`, {
      body: {
        name: 'nightly-report',
        spark: { mainFile: 'job.py' },
        environment: [
          { name: 'PATH', value: path() },
          { name: 'GO', value: go },
          { name: 'CONNECTOR', value: spark.connector === null ? 'no' : 'yes' },
          { name: 'DB_PHRASE', ...secret('variable') },
          { name: 'FILE_PHRASE', ...secret('file') },
        ],
        sparkConfig: [
          { name: 'spark.master', value: 'local[2]' },
          { name: 'spark.driver.bindAddress', value: '127.0.0.1' },
          { name: 'spark.driver.host', value: '127.0.0.1' },
          ...(spark.connector === null ? [] : [{ name: 'spark.driver.extraClassPath', value: spark.connector }]),
          { name: 'spark.ui.port', value: '0' },
          // Spark then prints all its properties.
          { name: 'spark.logConf', value: 'true' },
          { name: 'spark.eventLog.enabled', value: 'true' },
          { name: 'spark.eventLog.dir', value: `file://${events}` },
          // What is compressed could not be searched.
          { name: 'spark.eventLog.compress', value: 'false' },
          { name: 'spark.app.phrase', ...secret('property') },
        ],
        files: [
          { name: 'job.py', content: job },
          { name: 'config/app.json', content: '{"phrase": "${FILE_PHRASE}"}', template: true },
        ],
        storageConfigs: ['raw'],
      },
    });
    const id = await runs.start('spark-jobs/nightly-report');
    const [, found = '', ui = ''] = await runs.until(id, (log) => /^FOUND (.+) AT (http:\S+)$/m.exec(log) ?? undefined);
    expect(JSON.parse(found)).toEqual({
      variable: digest(values.variable),
      executor: digest(values.variable),
      property: digest(values.property),
      file: digest(values.file),
      ...(spark.connector === null ? {} : { storage: 'hello from storage' }),
    });

    expect(seeCommandLines(canaries, 'org.apache.spark.deploy.SparkSubmit')).toBeGreaterThan(0);
    const [application] = (await httpRequest<{ id: string }[]>(`${ui}/api/v1/applications`)).body;
    const shown = await httpRequest<{ sparkProperties: string[][] }>(
      `${ui}/api/v1/applications/${application?.id}/environment`,
    );
    canaries.saw('the REST API of the driver', JSON.stringify(shown.body));
    const properties = Object.fromEntries(shown.body.sparkProperties) as Record<string, string>;
    const masked = ['spark.app.phrase', 'spark.hadoop.fs.s3a.bucket.raw-data.secret.key', 'spark.redaction.regex'];
    for (const name of masked) expect([name, properties[name]]).toEqual([name, '*********(redacted)']);
    expect(properties['spark.hadoop.fs.s3a.bucket.raw-data.endpoint']).toBe(moto.url);
    canaries.saw('the page of the driver', String((await httpRequest(`${ui}/environment/`)).body));
    const files = readdirSync(runs.inMemory(id));
    // The properties, and the file that a value was filled into.
    expect(files).toHaveLength(2);
    for (const file of files) expect(statSync(join(runs.inMemory(id), file)).mode & 0o777).toBe(0o600);

    writeFileSync(go, '');
    expect(await runs.ended(id)).toMatchObject({ state: 'succeeded', exitCode: 0 });
    const log = await runs.log(id);
    expect(log).toContain('phrase: [redacted:DB_PHRASE]\n');
    expect(log).toContain('property: [redacted:spark.app.phrase]\n');
    // By Spark itself, in what spark.logConf asks for.
    expect(log).toContain('spark.app.phrase=*********(redacted)');
    expect(existsSync(runs.inMemory(id))).toBe(false);
    const written = readdirSync(events, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.startsWith('events_'))
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
      .join('');
    expect(written).toContain('"spark.app.phrase":"*********(redacted)"');
    await test.assertNoLeak();
  });
});

/** Fetches for itself, on the driver and in a task: no configuration has the reference. */
const fetching = `
import hashlib
import os
from pyspark.sql import SparkSession

def read():
    import strongroom
    given = {'url': os.environ['READER_URL'], 'token': os.environ['READER_TOKEN']}
    return strongroom.read({'phrase': 'secret://domain/managed/variable'}, 'finance', **given)

def digest(_):
    with read() as secrets:
        return hashlib.sha256(secrets['phrase'].encode()).hexdigest()

context = SparkSession.builder.getOrCreate().sparkContext
context.addPyFile('strongroom.py')
print('READ ' + digest(0) + ' ' + ' '.join(context.parallelize([1, 2], 2).map(digest).collect()), flush=True)
with read() as secrets:
    print('with ' + repr(secrets), flush=True)
`;

describe('the one-file reader inside PySpark', () => {
  it('receives values on the driver and in tasks', { timeout: 1_200_000 }, async () => {
    const { token } = await test.createServiceAccount('finance', 'reader', { preset: 'MEMBER', grants: ['RESOLVE'] });
    await test.call('POST', `${base}/secrets`, { body: { key: 'reader-token', value: token } });
    const programs = join(shared, 'programs');
    mkdirSync(programs);
    chmodSync(programs, 0o755);
    copyFileSync(
      fileURLToPath(new URL('../clients/python/strongroom.py', import.meta.url)),
      join(programs, 'strongroom.py'),
    );
    writeFileSync(join(programs, 'fetching.py'), fetching, { mode: 0o644 });
    await test.call('POST', `${base}/spark-jobs`, {
      body: {
        name: 'fetching',
        spark: { mainFile: join(programs, 'fetching.py') },
        workingDirectory: programs,
        environment: [
          { name: 'PATH', value: path() },
          { name: 'PYTHONPATH', value: await locatePythonPackages() },
          { name: 'READER_URL', value: test.url },
          { name: 'READER_TOKEN', secret: 'secret://domain/managed/reader-token' },
        ],
        sparkConfig: [
          { name: 'spark.master', value: 'local[2]' },
          { name: 'spark.driver.bindAddress', value: '127.0.0.1' },
          { name: 'spark.driver.host', value: '127.0.0.1' },
          { name: 'spark.ui.enabled', value: 'false' },
        ],
      },
    });
    const id = await runs.start('spark-jobs/fetching');
    expect([await runs.ended(id), await runs.log(id)]).toEqual([
      expect.objectContaining({ state: 'succeeded', exitCode: 0 }),
      expect.stringContaining(`READ ${Array.from({ length: 3 }, () => digest(values.variable)).join(' ')}\n`),
    ]);
    expect(await runs.log(id)).toContain('with <strongroom.Secrets phrase>');
    await test.assertNoLeak();
  });
});

describe('a job without Spark', () => {
  it('reads from storage with the variables of Amazon’s SDKs', async () => {
    const read = [
      'import boto3, os',
      "body = boto3.client('s3').get_object(Bucket=os.environ['STORAGE_RAW_BUCKET'], Key='in/hello.txt')['Body']",
      "print('READ ' + body.read().decode() + ' with ' + os.environ['AWS_SECRET_ACCESS_KEY'])",
    ].join('\n');
    await test.call('POST', `${base}/spark-jobs`, {
      body: {
        name: 'reader',
        command: ['python3', 'read.py'],
        environment: [{ name: 'PATH', value: path() }],
        files: [{ name: 'read.py', content: read }],
        storageConfigs: ['raw'],
      },
    });
    const id = await runs.start('spark-jobs/reader');
    expect(await runs.ended(id)).toMatchObject({ state: 'succeeded', exitCode: 0 });
    expect(await runs.log(id)).toMatch(/^READ hello from storage with \[redacted:raw secretKey\]$/m);
    await test.assertNoLeak();
  });
});
