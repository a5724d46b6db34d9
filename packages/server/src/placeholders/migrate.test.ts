import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { runKilledPlaceholders, storedDocuments } from '../../testing/placeholders-kills.ts';

interface Rewritten {
  readonly items: readonly {
    readonly configuration: string;
    readonly outcome: string;
    readonly revision: number;
    readonly fields: readonly {
      readonly pointer?: string;
      readonly becomes?: string;
      readonly stays?: string;
      readonly restores?: string;
    }[];
    readonly problem?: { readonly code: string; readonly detail: string };
  }[];
  readonly configurations: number;
  readonly nextCursor?: string;
}
interface Job {
  readonly revision: number;
  readonly environment: readonly { readonly name: string; readonly value?: string; readonly secret?: object }[];
  readonly files: readonly object[];
}

const inFinance = '/v1/domains/finance';
const canaries = new Canaries();
const shared = canaries.plain('value of a Global secret');
/** A configuration shows it, until it is a secret. */
const plain = new Canaries();
const typed = plain.plain('a token typed into a variable');
let test: TestServer;
let ann: TestUser;
let bob: TestUser;
let vic: TestUser;

const ask = async (verb: string, body: object = {}, token = ann.token, query = ''): Promise<Rewritten> => {
  const answer = await test.request('POST', `${inFinance}/placeholders/${verb}${query}`, { token, body });
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
  plain.saw(verb, answer.text);
  return answer.body as Rewritten;
};
const saveJob = (name: string, parts: object) =>
  test.call('POST', `${inFinance}/spark-jobs`, { token: ann.token, body: { name, command: ['true'], ...parts } });
const showJob = (name: string) => test.call<Job>('GET', `${inFinance}/spark-jobs/${name}`);
const only = (name: string, more: object = {}) => ({ configurations: [{ surface: 'spark-job', name, ...more }] });
const reference = (scope: string, key: string) => ({ scope, source: 'managed', key });
const outcomes = ({ items }: Rewritten) => items.map(({ configuration, outcome }) => `${configuration} ${outcome}`);

/** What a run of a job prints. */
async function printed(name: string): Promise<string> {
  const { id } = await test.call<{ id: string }>('POST', `${inFinance}/spark-jobs/${name}/runs`);
  for (;;) {
    const { state } = await test.call<{ state: string }>('GET', `${inFinance}/runs/${id}`);
    if (state !== 'queued' && state !== 'running') {
      expect(state).toBe('succeeded');
      return (await test.request('GET', `${inFinance}/runs/${id}/log`)).text;
    }
    await delay(50);
  }
}

beforeAll(async () => {
  test = await startTestServer({}, { canaries });
  await test.createDomain('finance');
  ann = await test.createUser('ann', { domains: { finance: 'OWNER' } });
  bob = await test.createUser('bob', { domains: { finance: 'MEMBER' } });
  vic = await test.createUser('vic', { domains: { finance: 'VIEWER' } });
  await test.call('POST', '/v1/global/secrets', { body: { key: 'shared', value: shared } });
  await test.call('POST', `${inFinance}/secrets`, { body: { key: 'own', value: 'value of its own' } });
});
afterAll(() => test.close());

describe('a configuration with plain, placeholder and reference fields side by side', () => {
  const names = ['PLAIN', 'WHOLE', 'INSIDE', 'REFERENCE', 'API_TOKEN', 'ESCAPED'];
  const digests = () =>
    [
      'plain text',
      shared,
      `<${shared}>`,
      'value of its own',
      typed,
      '${secrets.shared}',
      `whole file: ${shared}`.slice(12),
    ].map((text) => createHash('sha256').update(text).digest('hex'));

  it('launches, is migrated field by field, and launches the same', async () => {
    const print = `for name in ${names.join(' ')}; do eval printf %s "\\"\\$$name\\"" | sha256sum; done; sha256sum < conf`;
    await saveJob('mixed', {
      command: ['sh', '-c', print],
      environment: [
        { name: 'PLAIN', value: 'plain text' },
        { name: 'WHOLE', value: '${secrets.shared}' },
        { name: 'INSIDE', value: '<${secrets.shared}>' },
        { name: 'REFERENCE', secret: reference('domain', 'own') },
        { name: 'API_TOKEN', value: typed },
        { name: 'ESCAPED', value: '$${secrets.shared}' },
      ],
      files: [{ name: 'conf', content: '${secrets.shared}' }],
    });
    const before = await printed('mixed');
    expect([...before.matchAll(/^[0-9a-f]{64}/gm)].map(String)).toEqual(digests());

    const dry = await ask('migrate', { dryRun: true, createSecrets: true });
    expect([outcomes(dry), (await showJob('mixed')).revision]).toEqual([['mixed would-change'], 1]);
    const done = await ask('migrate', { createSecrets: true });
    expect(outcomes(done)).toEqual(['mixed changed']);
    const { revision, environment, files } = await showJob('mixed');
    expect([revision, environment, files]).toEqual([
      2,
      [
        { name: 'PLAIN', value: 'plain text' },
        { name: 'WHOLE', secret: reference('global', 'shared') },
        { name: 'INSIDE', value: '<${secrets.shared}>' },
        { name: 'REFERENCE', secret: reference('domain', 'own') },
        { name: 'API_TOKEN', secret: reference('domain', 'mixed-api-token') },
        { name: 'ESCAPED', value: '$${secrets.shared}' },
      ],
      [{ name: 'conf', secret: reference('global', 'shared') }],
    ]);
    expect(await printed('mixed')).toBe(before);
    const audit = await test.call<{ items: { because: string[] }[] }>(
      'GET',
      '/v1/audit?action=spark-job.update&limit=1',
    );
    expect(audit.items[0]?.because).toEqual(['placeholders.migrate', 'environment', 'files']);
    // What was done is found no more: whoever was cut short does it again.
    expect((await ask('migrate', { createSecrets: true })).items[0]?.outcome).toBe('unchanged');
  });

  it('is put back but for the secret, unless somebody has edited a field since', async () => {
    const moved = [
      { name: 'NEW', value: 'first' },
      { name: 'WHOLE', secret: reference('global', 'shared') },
      { name: 'API_TOKEN', secret: reference('domain', 'mixed-api-token') },
    ];
    await test.call('PUT', `${inFinance}/spark-jobs/mixed`, {
      body: { command: ['true'], environment: moved, files: [{ name: 'conf', secret: reference('domain', 'own') }] },
    });
    expect(outcomes(await ask('undo', { dryRun: true }))).toEqual(['mixed would-change']);
    const done = await ask('undo');
    expect(outcomes(done)).toEqual(['mixed changed']);
    expect(done.items[0]?.fields.map(({ pointer, restores, stays }) => `${pointer} ${restores ?? stays}`)).toEqual([
      '/environment/2/secret secret-kept',
      '/environment/1/secret ${secrets.shared}',
      '/files/0/secret edited-since',
    ]);
    const { environment, files } = await showJob('mixed');
    expect(environment).toEqual([moved[0], { name: 'WHOLE', value: '${secrets.shared}' }, moved[2]]);
    expect(files).toEqual([{ name: 'conf', secret: reference('domain', 'own') }]);
    expect(outcomes(await ask('undo'))).toEqual(['mixed unchanged']);
  });
});

describe('a configuration that is older than what is checked at a save', () => {
  /** As it was written before. */
  const rewrite = (name: string, change: (document: Record<string, unknown>) => object) => {
    const database = new DatabaseSync(join(test.dataDir, 'strongroom.db'), { timeout: 60_000 });
    const select = database.prepare('select id, document from configurations where name = ? and deleted_at is null');
    const { id, document } = select.get(name) as { id: string; document: string };
    const changed = JSON.stringify({ ...JSON.parse(document), ...change(JSON.parse(document) as never) });
    database.prepare('update configurations set document = ? where id = ?').run(changed, id);
    database.close();
  };
  const endOf = async (name: string) => {
    const { id } = await test.call<{ id: string }>('POST', `${inFinance}/spark-jobs/${name}/runs`);
    for (;;) {
      const run = await test.call<{ state: string }>('GET', `${inFinance}/runs/${id}`);
      if (run.state !== 'queued' && run.state !== 'running') return run;
      await delay(20);
    }
  };

  let worker: Awaited<ReturnType<TestServer['createServiceAccount']>>;
  beforeAll(async () => {
    worker = await test.createServiceAccount('finance', 'worker', { preset: 'MEMBER', grants: ['RESOLVE'] });
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
      await saveJob('older', { environment: [{ name: 'A', value: '${secrets.shared}' }], files: [] });
      rewrite('older', () => change);
      try {
        const ended = await endOf('older');
        expect(ended).toMatchObject({ state: 'failed', failure: { code: 'launch_refused' } });
        expect(JSON.stringify(ended)).toContain(problem);
        const scanned = await ask('scan', { configurations: [{ surface: 'spark-job', name: 'older' }] });
        const [pointer] = problem.split(':');
        const findings = (scanned.items[0] as unknown as { findings: readonly Record<string, string>[] }).findings;
        expect(
          findings.filter((each) => each['pointer'] === pointer).map(({ kind, stays }) => `${kind} ${stays}`),
        ).toEqual([found]);
        const preflight = await test.call<{ problems: string[] }>('POST', `${inFinance}/spark-jobs/older/preflight`);
        expect(preflight).toMatchObject({ ok: false, problems: [expect.stringContaining(problem)] });
        const asked = await test.request('POST', `${inFinance}/launches`, {
          token: worker.token,
          body: { configuration: { surface: 'spark-job', name: 'older' } },
        });
        expect(asked.body).toMatchObject({ code: 'launch_refused', detail: expect.stringContaining(problem) });
      } finally {
        await test.call('DELETE', `${inFinance}/spark-jobs/older`);
      }
    },
  );

  it('is used by no job, nor by the platform', async () => {
    const storage = { provider: 's3-compatible', endpoint: 'http://127.0.0.1:9', bucket: 'older', region: 'r' };
    await test.call('POST', `${inFinance}/storage-configs`, { body: { name: 'older-store', ...storage } });
    await saveJob('consumer', { storageConfigs: ['older-store'] });
    rewrite('older-store', () => ({ region: '${secrets.shared}' }));
    const problem = '/region: No placeholder is resolved here';
    expect(JSON.stringify(await endOf('consumer'))).toContain(`older-store ${problem}`);
    expect(await test.call('POST', `${inFinance}/storage-configs/older-store/preflight`)).toMatchObject({
      ok: false,
      problems: [expect.stringContaining(problem)],
    });
    for (const path of ['spark-jobs/consumer', 'storage-configs/older-store'])
      await test.call('DELETE', `${inFinance}/${path}`);
    await test.call('PUT', '/v1/platform/ldap', { body: { url: 'ldaps://127.0.0.1:9', baseDn: 'dc=example' } });
    rewrite('ldap', () => ({ attributes: { id: '${secrets.shared}' } }));
    expect(await test.call('POST', '/v1/platform/ldap/sync')).toMatchObject({
      outcome: 'failed',
      cause: 'reference_unresolved',
    });
    await test.call('DELETE', '/v1/platform/ldap');
  });
});

describe('storage of old configurations', () => {
  const sha = (text: string) => createHash('sha256').update(text).digest('hex');
  const folder = canaries.plain('folder of a bucket');
  const texts = {
    basePath: '/in${secrets.folder}/$${secrets.folder}/',
    accessKey: { value: '${secrets.shared}' },
    secretKey: { value: '${secrets.shared}${secrets.folder}' },
  };
  const at = { provider: 's3-compatible', bucket: 'bucket' };
  const turn = (enabled: boolean, query = '') =>
    test.call('PATCH', `/v1/settings${query}`, { body: { features: { secretsV2: { enabled } } } });
  beforeAll(() => test.call('POST', '/v1/global/secrets', { body: { key: 'folder', value: `/${folder}` } }));

  it('has its placeholders resolved in the jobs that use it, before a migration, after it, and with references off', async () => {
    const parts = ['BASE_PATH', 'ACCESS_KEY', 'SECRET_KEY'];
    const print = parts.map((part) => `printf %s "$STORAGE_OLD_${part}" | sha256sum`).join(';');
    const expected = [`in/${folder}/\${secrets.folder}`, shared, `${shared}/${folder}`].map(sha);
    const digests = async () => [...(await printed('reader')).matchAll(/^[0-9a-f]{64}/gm)].map(String);
    const asked = { configurations: [{ surface: 'storage-config', name: 'old' }] };
    const body = { ...at, endpoint: 'http://127.0.0.1:9', ...texts };
    await test.call('POST', `${inFinance}/storage-configs`, { body: { name: 'old', ...body } });
    await saveJob('reader', { command: ['sh', '-c', print], storageConfigs: ['old'] });
    expect(await digests()).toEqual(expected);
    const shown = () => test.call('GET', `${inFinance}/storage-configs/old`);
    const before = await shown();
    expect(before).toMatchObject({
      basePath: texts.basePath.slice(1, -1),
      accessKey: { isSet: true, placeholder: '${secrets.shared}' },
      secretKey: { isSet: true, placeholder: '${secrets.shared}${secrets.folder}' },
    });
    const { items } = await ask('migrate', asked);
    expect(items[0]?.fields.map(({ pointer, becomes, stays }) => `${pointer} ${becomes ?? stays}`)).toEqual([
      '/accessKey/value secret://global/managed/shared',
      '/secretKey/value inside-text',
      '/secretKey/value inside-text',
      '/basePath inside-text',
    ]);
    expect(await digests()).toEqual(expected);
    await ask('undo', asked);
    const { revision: _now, updatedAt: _at, updatedBy: _by, ...after } = await shown();
    expect(before).toMatchObject(after);
    await turn(false, '?force=true');
    try {
      expect(await digests()).toEqual(expected);
      await test.call('PUT', `${inFinance}/storage-configs/old`, { body: { ...body, description: 'saved while off' } });
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
      const bad = await test.call('POST', `${inFinance}/storage-configs/test`, { body: form });
      expect(bad).toMatchObject({ ok: false, steps: [{ name: 'resolve basePath', cause: 'unresolved' }] });
      expect(paths).toEqual([]);
      await test.call('POST', `${inFinance}/storage-configs/test`, {
        body: { ...form, basePath: 'in${secrets.folder}' },
      });
      expect(paths[0]).toContain(`prefix=in/${folder}/`);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe('migrate', () => {
  it('restores exactly what it changed', async () => {
    await saveJob('exact', { environment: [{ name: 'A', value: '${secrets.shared}' }], description: 'kept' });
    const before = await showJob('exact');
    await ask('migrate', only('exact'));
    expect((await showJob('exact')).environment).toEqual([{ name: 'A', secret: reference('global', 'shared') }]);
    await ask('undo', only('exact'));
    const { environment, files } = await showJob('exact');
    expect({ environment, files }).toEqual({ environment: before.environment, files: before.files });
  });

  it('makes no secret unless asked to, and names one otherwise when its name is taken', async () => {
    await test.call('POST', `${inFinance}/secrets`, { body: { key: 'Plain-PASSWORD', value: 'somebody else’s' } });
    await saveJob('plain', { environment: [{ name: 'PASSWORD', value: typed }] });
    const left = await ask('migrate', only('plain'));
    expect(left.items).toMatchObject([{ outcome: 'unchanged', fields: [{ stays: 'not-asked' }] }]);
    await test.call('POST', `${inFinance}/secrets`, { body: { key: 'plain-password-2', value: 'deleted' } });
    await test.call('DELETE', `${inFinance}/secrets/plain-password-2`);
    const becomes = 'secret://domain/managed/plain-password-3';
    // The dry run says the very name.
    expect((await ask('migrate', { ...only('plain'), createSecrets: true, dryRun: true })).items).toMatchObject([
      { outcome: 'would-change', fields: [{ becomes }] },
    ]);
    const done = await ask('migrate', { ...only('plain'), createSecrets: true });
    expect(done.items).toMatchObject([{ outcome: 'changed', fields: [{ becomes }] }]);
  });

  it('takes up the very secret that was made before a crash', async () => {
    await saveJob('crashed', { environment: [{ name: 'PASSWORD', value: typed }] });
    const body = { ...only('crashed'), createSecrets: true };
    await ask('migrate', body);
    // As if the configuration's own transaction had not come about.
    await test.call('PUT', `${inFinance}/spark-jobs/crashed`, {
      token: ann.token,
      body: { command: ['true'], environment: [{ name: 'PASSWORD', value: typed }] },
    });
    const again = await ask('migrate', body);
    expect(again.items[0]?.fields[0]?.becomes).toBe('secret://domain/managed/crashed-password');
    const { items } = await test.call<{ items: { key: string }[] }>('GET', `${inFinance}/secrets?q=crashed`);
    expect(items.map(({ key }) => key)).toEqual(['crashed-password']);
  });

  it('touches one configuration only at the revision that was meant, and only the fields that are named', async () => {
    const value = '${secrets.shared}';
    await saveJob('meant', {
      environment: [
        { name: 'A', value },
        { name: 'B', value },
      ],
    });
    const stale = await ask('migrate', only('meant', { revision: 7 }));
    expect(stale.items).toMatchObject([{ outcome: 'failed', problem: { code: 'revision_mismatch' } }]);
    await ask('migrate', only('meant', { revision: 1, pointers: ['/environment/1/value'] }));
    expect((await showJob('meant')).environment).toMatchObject([{ value }, { secret: {} }]);
    expect((await ask('undo', only('meant', { revision: 1 }))).items[0]?.problem?.code).toBe('revision_mismatch');
  });

  it('goes on after one that fails, and says why', async () => {
    await test.call('POST', `${inFinance}/bundles`, { token: ann.token, body: { name: 'closed' } });
    const environment = [{ name: 'A', value: '${secrets.shared}' }];
    await saveJob('page-a', { environment, bundle: 'closed' });
    await test.call('POST', `${inFinance}/bundles/closed/grants`, {
      token: ann.token,
      body: { principal: 'user:bob', assetType: 'spark-job', permissions: ['VIEW'] },
    });
    await saveJob('page-b', { environment });
    const both = { configurations: ['page-a', 'page-b'].map((name) => ({ surface: 'spark-job', name })) };
    const done = await ask('migrate', both, bob.token);
    expect(outcomes(done)).toEqual(['page-a failed', 'page-b changed']);
    expect(done.items[0]?.problem?.code).toBe('permission_missing');
    const audit = await test.call<{ items: object[] }>(
      'GET',
      '/v1/audit?action=spark-job.update&outcome=denied&limit=1',
    );
    expect(audit.items).toMatchObject([{ principal: { name: 'user:bob' }, object: { name: 'page-a' } }]);
    const unseen = await test.request('POST', `${inFinance}/placeholders/migrate`, {
      token: vic.token,
      body: only('page-a'),
    });
    expect([unseen.status, unseen.body]).toMatchObject([403, { detail: 'It needs UPDATE in domain finance.' }]);
    const noSecret = await ask('migrate', { ...only('page-b'), createSecrets: true }, bob.token);
    expect(noSecret.items).toEqual([]);
    await saveJob('typed-by-bob', { environment: [{ name: 'PASSWORD', value: typed }] });
    const refused = await ask('migrate', { ...only('typed-by-bob'), createSecrets: true }, bob.token);
    expect(refused.items).toMatchObject([{ outcome: 'failed', problem: { code: 'permission_missing' } }]);
  });

  it('goes by pages', async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const query = `?limit=2${cursor === undefined ? '' : `&cursor=${cursor}`}`;
      const page = await ask('migrate', { dryRun: true }, ann.token, query);
      expect(page.configurations).toBeLessThanOrEqual(2);
      seen.push(...page.items.map(({ configuration }) => configuration));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(seen).toContain('page-a');
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('forgets with its configuration', async () => {
    await test.call('DELETE', `${inFinance}/spark-jobs/page-b`);
    await saveJob('page-b', { environment: [{ name: 'A', secret: reference('global', 'shared') }] });
    expect(outcomes(await ask('undo', only('page-b')))).toEqual([]);
  });

  it('killed in the middle, and an undo as well, leaves each configuration as it was or as it was to be', async () => {
    const names = ['kill-a', 'kill-b', 'kill-c'];
    for (const name of names)
      await saveJob(name, {
        environment: [
          { name: 'A', value: '${secrets.shared}' },
          { name: 'URL', value: 'x${secrets.shared}' },
          ...(name === 'kill-b' ? [{ name: 'PASSWORD', value: typed }] : []),
        ],
      });
    const configurations = names.map((name) => ({ surface: 'spark-job', name }));
    const asked = { configurations, token: ann.token };
    const stored = () => storedDocuments(test, 'kill-');
    const old = stored();
    expect(old.map(({ changes }) => changes)).toEqual([0, 0, 0]);
    await test.server.stop();
    // The secret is there, the configuration does not refer to it yet.
    const made = { command: 'secret.create', count: 1, when: 'answered' } as const;
    await runKilledPlaceholders(test, { ...asked, verbs: ['migrate'], ...made });
    const first = stored();
    expect(first.map(({ changes }) => changes)).toEqual([1, 0, 0]);
    expect([first[1], first[2]]).toEqual([old[1], old[2]]);
    // What is left of the migration, then the second configuration of an undo.
    const under = { command: 'placeholders.rewrite', count: 4, when: 'sent' } as const;
    await runKilledPlaceholders(test, { ...asked, verbs: ['migrate', 'undo'], ...under });
    const left = stored();
    for (const { document, changes } of left) {
      const isOld = !document.includes('"secret":{"scope":"global"');
      // The secret that was typed stays one.
      expect(changes - (document.includes('kill-b-password') ? 1 : 0)).toBe(isOld ? 0 : 1);
    }
    // The first was done before the kill, the last is as the migration left it.
    expect([left[0], left[2]?.changes]).toEqual([old[0], 1]);
    expect(left[1]?.document).toContain('kill-b-password');
    await test.restart();
    const { items } = await test.call<{ items: { key: string }[] }>('GET', `${inFinance}/secrets?q=kill-b`);
    expect(items.map(({ key }) => key)).toEqual(['kill-b-password']);
    await ask('undo', { configurations });
    const [a, b, c] = stored();
    expect([a, c]).toEqual([old[0], old[2]]);
    const secret = JSON.stringify(reference('domain', 'kill-b-password'));
    expect(b?.document).toBe(old[1]?.document.replace(`"value":${JSON.stringify(typed)}`, `"secret":${secret}`));
  });

  it('shows no plain secret, and keeps none beside the secret itself', async () => {
    const database = new DatabaseSync(join(test.dataDir, 'strongroom.db'), { readOnly: true });
    const kept = database.prepare('select name, text from placeholder_changes order by name').all();
    database.close();
    expect(kept).toContainEqual({ name: 'API_TOKEN', text: null });
    plain.saw('what undo has', JSON.stringify(kept));
    expect(plain.leaks()).toEqual([]);
    await test.assertNoLeak();
  });
});
