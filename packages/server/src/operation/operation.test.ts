import { X509Certificate } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StrongroomError } from '@strongroom/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestStore, type TestStore } from '../../testing/stores.ts';
import { startTestServer } from '../../testing/app.ts';
import { loadConfiguration, type LoadedConfiguration } from '../config/load.ts';
import { kekSourceOf } from '../keys/kek-source.ts';
import { greeting } from '../serve.ts';
import { runDoctor } from './doctor.ts';
import { checkJobNames, type JobUserParts, namedUids } from './doctor-job-users.ts';
import { coreLimit, hardenProcess } from './hardening.ts';
import { isLoopback, listenProblems } from './listen-rules.ts';
import { createLog, describeError } from './log.ts';
import { Readiness } from './readiness.ts';
import { type PeriodicJob, Scheduler } from './scheduler.ts';

function configured(variables: Record<string, string>): LoadedConfiguration {
  return loadConfiguration({ variables, workingDirectory: '/tmp' });
}

/** What the doctor is given besides the store. No managed store is opened. */
const examined = (configuration: LoadedConfiguration) => ({
  ...configuration,
  kek: kekSourceOf(configuration),
  openManagedStore: () => Promise.reject(new Error('No scope is in one')),
  openLegacyTable: null,
});

const lines: Record<string, unknown>[] = [];
const log = createLog('debug', { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) });

describe('where a server may listen', () => {
  const problems = (variables: Record<string, string>, isRoot: boolean): string[] =>
    listenProblems(configured(variables).settings, isRoot);
  const everywhere = { STRONGROOM_LISTEN: '0.0.0.0:8480' };

  it('is loopback, whoever starts it', () => {
    expect(problems({}, false)).toEqual([]);
    expect(problems({ STRONGROOM_LISTEN: '[::1]:1' }, false)).toEqual([]);
    expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '::', '10.0.0.1', '127.example.org', 'localhost.example'].some(isLoopback)).toBe(false);
  });

  it('is anywhere only with users of their own for jobs, and with TLS', () => {
    expect(problems(everywhere, false)).toHaveLength(2);
    expect(problems({ ...everywhere, STRONGROOM_BEHIND_TLS_PROXY: 'true' }, false)).toHaveLength(1);
    expect(problems({ ...everywhere, STRONGROOM_BEHIND_TLS_PROXY: 'true' }, true)).toHaveLength(1);
    expect(
      problems({ ...everywhere, STRONGROOM_BEHIND_TLS_PROXY: 'true', STRONGROOM_RUNNER_UIDS: '70000-70009' }, true),
    ).toEqual([]);
    expect(problems({ ...everywhere, STRONGROOM_BEHIND_TLS_PROXY: 'true', STRONGROOM_RUNNER: 'none' }, false)).toEqual(
      [],
    );
  });
});

describe('the log', () => {
  it('describes errors without what they quote', () => {
    const cause = Object.assign(new Error('canary-cause'), {
      code: 'ECONNREFUSED',
      headers: { token: 'canary-header' },
    });
    const error = new Error('canary-message\n    at canary-frame', { cause });
    log.error({ error, err: error, req: { headers: 'canary-request' } }, 'it failed');
    const text = JSON.stringify(lines.at(-1));
    expect(text).not.toContain('canary');
    expect(text).toContain('ECONNREFUSED');
    expect(text).toContain('operation.test.ts');
    expect(describeError('canary')).toEqual({ name: 'string' });
  });

  it('keeps what our own errors say, and one record on one line', () => {
    const written: string[] = [];
    const other = createLog('info', { write: (line: string) => written.push(line) });
    other.warn(
      { error: new StrongroomError('backend_unavailable', { detail: 'vault-prod\r\n{"level":"error"}\u001b[31m' }) },
      'x',
    );
    expect(written).toHaveLength(1);
    expect(written[0]?.trimEnd()).not.toMatch(/[\r\n\u001b]/);
    expect(JSON.parse(written[0] ?? '')).toMatchObject({ error: { code: 'backend_unavailable' } });
  });
});

describe('over a store', () => {
  let test: TestStore;
  beforeAll(async () => {
    test = await openTestStore();
  });
  afterAll(() => test.close());

  it('runs a job again and again, in one place at a time, and survives its failures', async () => {
    let running = 0;
    let most = 0;
    let rounds = 0;
    const job: PeriodicJob = {
      name: 'sample',
      everyMilliseconds: 20,
      run: async () => {
        running += 1;
        most = Math.max(most, running);
        rounds += 1;
        await new Promise((resolve) => setTimeout(resolve, 10));
        running -= 1;
        if (rounds === 1) throw new StrongroomError('storage_unavailable');
      },
    };
    const schedulers = ['one', 'two'].map((holder) => new Scheduler(test.store, holder, log));
    for (const scheduler of schedulers) scheduler.start([job]);
    await expect.poll(() => rounds).toBeGreaterThan(4);
    await Promise.all(schedulers.map((scheduler) => scheduler.stop()));
    const ended = rounds;
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect([most, rounds]).toEqual([1, ended]);
    expect(lines.some((line) => line['job'] === 'sample')).toBe(true);
  });

  it('is ready with everything there, and names what is not', async () => {
    const { settings } = configured({ STRONGROOM_DATA_DIR: test.directory });
    let isStopping = false;
    const make = (changes: object): Readiness =>
      new Readiness({ store: test.store, keys: test.keys, settings, isStopping: () => isStopping, ...changes });
    expect(await make({}).check()).toContain('writer');
    const missing = async (readiness: Readiness): Promise<unknown> =>
      readiness.check().then(
        () => 'ready',
        (error: unknown) => error,
      );
    const brokenStore = {
      authorisationRevision: () => Promise.reject(new Error('canary')),
      execute: () => new Promise(() => undefined),
    };
    expect(await missing(make({ store: brokenStore }))).toMatchObject({
      code: 'not_ready',
      errors: [{ pointer: 'store' }, { pointer: 'writer' }],
    });
    const elsewhere = { dataDir: test.directory, auditAnchor: { kind: 'file', path: '/nowhere/anchor' } };
    expect(await missing(make({ settings: elsewhere }))).toMatchObject({ errors: [{ pointer: 'audit-anchor' }] });
    isStopping = true;
    expect(await missing(make({}))).toMatchObject({ errors: [{ pointer: 'server' }] });
  });

  it('lets the doctor look at everything, and at what is wrong', async () => {
    const kek = join(test.directory, 'kek-of-test');
    writeFileSync(kek, 'x');
    chmodSync(kek, 0o644);
    const configuration = configured({
      STRONGROOM_DATA_DIR: test.directory,
      STRONGROOM_KEK_FILE: kek,
      STRONGROOM_LISTEN: '0.0.0.0:1',
      STRONGROOM_AUDIT_ANCHOR: '/nowhere/anchor',
      HTTPS_PROXY: 'http://canary@proxy',
    });
    const report = await runDoctor({ ...examined(configuration), store: test.store });
    const found = Object.fromEntries(report.checks.map(({ id, status }) => [id, status]));
    expect(report.status).toBe('red');
    expect(found).toMatchObject({
      store: 'ok',
      schema: 'ok',
      'kek-file': 'red',
      'kek-source': 'red',
      'recovery-kit': 'amber',
      'audit-anchor': 'red',
      listen: 'red',
      proxy: 'amber',
      clock: 'ok',
      disk: expect.stringMatching(/ok|amber/),
    });
    expect(JSON.stringify(report)).not.toContain('canary');
    for (const [allow, status] of [
      ['', 'amber'],
      ['vault.example:443', 'ok'],
    ] as const) {
      const proxied = configured({
        STRONGROOM_DATA_DIR: test.directory,
        STRONGROOM_EGRESS_PROXY: 'http://canary@proxy:3128',
        STRONGROOM_EGRESS_ALLOW: allow,
      });
      const { checks } = await runDoctor({ ...examined(proxied), store: test.store });
      expect(checks.find(({ id }) => id === 'proxy')).toMatchObject({ status });
      expect(JSON.stringify(checks)).not.toContain('canary');
    }
    chmodSync(kek, 0o600);
    const offline = await runDoctor({ ...examined(configuration), store: null, storeProblem: 'It is open elsewhere.' });
    expect(offline.checks.find(({ id }) => id === 'store')).toMatchObject({
      status: 'red',
      finding: 'It is open elsewhere.',
    });
    expect(offline.checks.find(({ id }) => id === 'kek-file')?.status).toBe('ok');
  });
});

describe('users of jobs', () => {
  const { settings } = configured({ STRONGROOM_RUNNER_UIDS: '70000-70002' });
  const asked: (readonly number[])[] = [];
  const look = (ownUid: number | undefined, known: readonly number[], more: Partial<JobUserParts> = {}) =>
    checkJobNames({
      settings,
      store: test.store,
      ownUid,
      named: async (uids) => {
        asked.push(uids);
        return new Set(known);
      },
      ...more,
    });
  let test: TestStore;
  beforeAll(async () => {
    test = await openTestStore();
  });
  afterAll(() => test.close());

  it('have names of the system, or Hadoop fails', async () => {
    expect(await look(0, [70_000])).toMatchObject({ status: 'ok' });
    const jobUser = (scopeId: string) => test.store.execute('runs.jobUser', { scopeId, firstUid: 70_000, count: 3 });
    for (const scopeId of ['dom_a', 'dom_b']) await jobUser(scopeId);
    expect(await look(0, [70_000])).toMatchObject({
      status: 'amber',
      finding: expect.stringContaining('the user ids 70001, 70002:'),
      hint: expect.stringContaining('useradd --system --uid 70001'),
    });
    // All are given; without a store the first is as good as any.
    await jobUser('dom_c');
    expect(await look(0, [70_000, 70_001, 70_002])).toMatchObject({ status: 'ok' });
    expect(await look(0, [], { store: null })).toMatchObject({ status: 'amber' });
    expect(asked).toEqual([[70_000], [70_000, 70_001, 70_002], [70_000, 70_001, 70_002], [70_000]]);
  });

  it('are the server’s own where it is not root, and none where it starts no jobs', async () => {
    expect(await look(1234, [])).toMatchObject({ status: 'amber', finding: expect.stringContaining('user id 1234:') });
    expect(await look(1234, [1234])).toMatchObject({ status: 'ok' });
    const none = configured({ STRONGROOM_RUNNER: 'none' }).settings;
    expect(await look(0, [], { settings: none })).toMatchObject({ status: 'ok' });
  });

  it('are looked up as the system does', async () => {
    const own = process.getuid?.() ?? 0;
    expect([...(await namedUids([0, own, 4_294_000_001]))].sort()).toEqual([...new Set([0, own])].sort());
  });
});

describe('the process', () => {
  it('keeps its memory to itself', () => {
    hardenProcess();
    expect(process.report.reportOnFatalError).toBe(false);
    expect(process.listenerCount('SIGUSR1')).toBeGreaterThan(0);
    expect(
      process.platform === 'linux' ? readFileSync('/proc/self/coredump_filter', 'utf8').trim() : '00000000',
    ).toMatch(/^0+$/);
    expect(coreLimit()).toMatch(/^\d+$|^unlimited$/);
  });

  it('says in a few lines where it is, how to get in, and what to know', () => {
    const text = greeting({
      version: '1.2.3',
      url: 'http://127.0.0.1:8480',
      metricsUrl: 'http://127.0.0.1:9/metrics',
      signInLink: {
        userName: 'admin',
        url: 'http://127.0.0.1:8480/signin#srl_x',
        expiresAt: new Date('2026-01-01T10:20:30Z'),
      },
      created: 'user',
      recovery: null,
      warnings: ['A new key file was made.'],
    });
    expect(text).toContain('Address   http://127.0.0.1:8480\n');
    expect(text).toContain('http://127.0.0.1:8480/signin#srl_x');
    expect(text).toContain('until 10:20 UTC');
    expect(text).toContain('! A new key file was made.');
  });
});

describe('transports', () => {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-tls-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

  it.skipIf(!hasOpenssl)(
    'serves HTTPS itself (certificate made by openssl), with a cookie that browsers keep to it, and metrics on their own address',
    async () => {
      const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
      execFileSync(
        'openssl',
        [
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:P-256',
          '-nodes',
          '-days',
          '2',
          '-subj',
          '/CN=localhost',
          '-keyout',
          key,
          '-out',
          cert,
        ],
        { stdio: 'ignore' },
      );
      const test = await startTestServer({
        STRONGROOM_TLS_CERT_FILE: cert,
        STRONGROOM_TLS_KEY_FILE: key,
        STRONGROOM_METRICS_LISTEN: '127.0.0.1:0',
      });
      try {
        expect(test.url).toMatch(/^https:/);
        const answer = await new Promise<{ status: number | undefined; hsts: unknown; name: string }>(
          (resolve, reject) => {
            get(`${test.url}/healthz`, { ca: readFileSync(cert), servername: 'localhost' }, (response) => {
              const { raw } = (
                response.socket as unknown as { getPeerCertificate(): { raw: Buffer } }
              ).getPeerCertificate();
              response.resume().on('end', () =>
                resolve({
                  status: response.statusCode,
                  hsts: response.headers['strict-transport-security'],
                  name: new X509Certificate(raw).subject,
                }),
              );
            }).on('error', reject);
          },
        );
        expect(answer).toEqual({ status: 200, hsts: expect.stringContaining('max-age='), name: 'CN=localhost' });
        const metrics = await fetch(String(test.server.metricsUrl));
        const text = await metrics.text();
        expect(text).toContain('strongroom_build_info');
        for (const kind of ['launches', 'runs', 'receipts'])
          expect(text).toContain(`strongroom_retention_removed_total{kind="${kind}"} 0`);
        expect((await fetch(String(test.server.metricsUrl).replace('/metrics', '/v1/settings'))).status).toBe(404);
      } finally {
        await test.close();
      }
    },
  );
});
