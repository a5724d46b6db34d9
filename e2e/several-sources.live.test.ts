// @needs vault kubernetes moto
import { createHash, generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretValue } from '@strongroom/crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AppRole, createAppRole, must, readPolicy } from '../packages/backends/testing/live-vault.ts';
import { type AwsUsers, createUsers, secretsPlace } from '../packages/backends/testing/live-aws.ts';
import { applyRbac, LiveSecrets } from '../packages/backends/testing/live-kubernetes.ts';
import { startTestServer, type TestServer } from '../packages/server/testing/app.ts';
import { Canaries } from '../packages/server/testing/canaries.ts';
import { type Kubernetes, startKubernetes } from '../servers/kubernetes.ts';
import { type Moto, startMoto } from '../servers/moto.ts';
import type { Vault } from '../servers/vault-server.ts';
import { startVault } from '../servers/vault.ts';

const canaries = new Canaries();
const values = {
  PGPASSWORD: canaries.text('the domain’s own'),
  SMTP_PASSWORD: canaries.text('Global’s'),
  API_TOKEN: canaries.text('in Vault'),
  MAIL_USER: canaries.text('in AWS'),
};
const references = {
  PGPASSWORD: 'secret://domain/managed/db-password',
  SMTP_PASSWORD: 'secret://global/managed/smtp-password',
  API_TOKEN: 'secret://domain/vault-prod/reports/api#token',
  MAIL_USER: 'secret://domain/aws-prod/reports/mail#user',
};
const base = '/v1/domains/finance';
const globalNamespace = 'strongroom-secrets';
const stormKeys = Array.from({ length: 20 }, (_, index) => `storm/key-${index}`);

/** By jobs, whose user may write there. */
const written: string[] = [];
let vault: Vault;
let role: AppRole;
let moto: Moto;
let kubernetes: Kubernetes;
let users: AwsUsers;
let test: TestServer;

/** In AWS, each time as another version. */
async function writeMail(): Promise<void> {
  const value = SecretValue.fromText(JSON.stringify({ user: values.MAIL_USER, port: 587 }));
  await secretsPlace(moto, () => users.admin).seed('reports/mail', { value, shape: 'text' });
}

beforeAll(async () => {
  [vault, moto, kubernetes] = await Promise.all([startVault(), startMoto(), startKubernetes()]);
  // What `strongroom k8s rbac` prints, and nothing more.
  const { server } = await applyRbac(kubernetes, { namespace: 'strongroom', secretsNamespace: globalNamespace });
  role = await createAppRole(vault, 'reports', readPolicy);
  users = await createUsers(moto);
  await must(vault, 'POST', 'secret/data/app/reports/api', { data: { token: values.API_TOKEN, note: 'x' } });
  for (const key of stormKeys)
    await must(vault, 'POST', `secret/data/app/${key}`, { data: { value: `value of ${key}` } });
  await writeMail();
  test = await startTestServer(
    {
      STRONGROOM_STORES_GLOBAL: 'kubernetes',
      STRONGROOM_KUBERNETES_NAMESPACE: globalNamespace,
      STRONGROOM_KUBERNETES_KUBECONFIG_PATH: server.kubeconfig(kubernetes.url),
    },
    { canaries },
  );
  await test.createDomain('finance');
  await test.call('POST', `${base}/secrets`, { body: { key: 'db-password', value: values.PGPASSWORD } });
  await test.call('POST', '/v1/global/secrets', { body: { key: 'smtp-password', value: values.SMTP_PASSWORD } });
  await test.call('POST', `${base}/integrations`, {
    body: {
      name: 'vault-prod',
      type: 'VAULT',
      settings: { address: vault.url, path: '/v1/secret/data/app', authentication: role.authentication },
      credentials: { secretId: role.secretId },
    },
  });
  await test.call('POST', `${base}/integrations`, {
    body: {
      name: 'aws-prod',
      type: 'AWS',
      settings: {
        region: 'us-east-1',
        endpoint: moto.url,
        authentication: { method: 'access-key', accessKeyId: users.reader.accessKeyId },
      },
      credentials: { secretAccessKey: users.reader.secretAccessKey },
    },
  });
  // So that no refresh in the background asks while requests are counted.
  for (const name of ['vault-prod', 'aws-prod']) await test.call('POST', `${base}/integrations/${name}/refresh`);
});
afterAll(async () => {
  await test.close();
  await Promise.all([vault.stop(), moto.stop(), kubernetes.stop()]);
  for (const file of written) rmSync(file, { force: true });
});

interface Variable {
  readonly name: string;
  readonly source: string;
  readonly outcome: string;
  readonly version?: string;
  readonly cause?: string;
  readonly fixableBy?: readonly string[];
}

/** Writes what it got, digested, and says so. */
const report =
  'const d = (t) => require("crypto").createHash("sha256").update(t).digest("hex"); require("fs").writeFileSync(process.env.REPORT, JSON.stringify(Object.fromEntries(process.env.NAMES.split(" ").map((n) => [n, d(process.env[n])]))))';

async function job(name: string, wanted: Readonly<Record<string, string>> = references): Promise<string> {
  const file = join(tmpdir(), `${name}-${test.server.keyring.installationId}.json`);
  written.push(file);
  await test.call('POST', `${base}/spark-jobs`, {
    body: {
      name,
      command: [process.execPath, '-e', report],
      environment: [
        ...Object.entries(wanted).map(([variable, secret]) => ({ name: variable, secret })),
        { name: 'NAMES', value: Object.keys(wanted).join(' ') },
        { name: 'REPORT', value: file },
      ],
    },
  });
  return file;
}

async function run(name: string) {
  const { id } = await test.call<{ id: string }>('POST', `${base}/spark-jobs/${name}/runs`);
  for (;;) {
    const shown = await test.call<{ state: string; variables: readonly Variable[]; failure?: { detail: string } }>(
      'GET',
      `${base}/runs/${id}`,
    );
    if (shown.state !== 'queued' && shown.state !== 'running') return shown;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const outcomes = ({ variables }: { variables: readonly Variable[] }): string[] =>
  variables.map(({ name, outcome }) => `${name} ${outcome}`);
const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
const digests = (names: readonly (keyof typeof values)[]) =>
  Object.fromEntries(names.map((name) => [name, digest(values[name])]));
const logins = (after: number): number =>
  vault.requests(after).filter(({ path }) => path === 'auth/approle/login').length;

describe('a job with secrets of the database, of Global in Kubernetes, of Vault and of AWS', () => {
  it('gets all of them in one run', async () => {
    const file = await job('nightly-report');
    const done = await run('nightly-report');
    expect(done).toMatchObject({ state: 'succeeded' });
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(
      digests(['PGPASSWORD', 'SMTP_PASSWORD', 'API_TOKEN', 'MAIL_USER']),
    );
    expect(done.variables.map(({ source, version }) => [source, version])).toEqual([
      ['managed', '1.1'],
      ['managed', '1.1'],
      ['vault-prod', '1'],
      ['aws-prod', expect.stringMatching(/^[\da-f-]{36}$/)],
    ]);
    const kept = await new LiveSecrets(kubernetes, globalNamespace).get('strongroom-smtp-password');
    expect(kept?.data).toEqual({ value: Buffer.from(values.SMTP_PASSWORD).toString('base64') });
  });

  it('signs in once more after its token was revoked', async () => {
    await must(vault, 'PUT', 'sys/leases/revoke-prefix/auth/approle/login', {});
    const before = vault.requests().length;
    expect(await run('nightly-report')).toMatchObject({ state: 'succeeded' });
    expect(logins(before)).toBe(1);
  });

  it('is denied, and says by whom, while the policy lets it read nothing', async () => {
    await must(vault, 'POST', 'sys/policies/acl/reports', { policy: 'path "nothing" { capabilities = ["read"] }' });
    const before = vault.requests().length;
    const done = await run('nightly-report');
    await must(vault, 'POST', 'sys/policies/acl/reports', { policy: readPolicy });
    expect(outcomes(done)).toContain('API_TOKEN source-denied');
    expect(logins(before)).toBeLessThanOrEqual(1);
    expect(done.variables.find(({ name }) => name === 'API_TOKEN')?.fixableBy).toEqual([
      'UPDATE on the integration vault-prod in finance',
      'whoever runs the backend of vault-prod',
    ]);
  });

  it('asks Vault for each secret once at a time, while a hundred launches want twenty', async () => {
    const worker = await test.createServiceAccount('finance', 'storm', { preset: 'MEMBER', grants: ['RESOLVE'] });
    const wanted = stormKeys.map((key) => ({ name: key, reference: `secret://domain/vault-prod/${key}` }));
    const ids: string[] = [];
    for (let launch = 0; launch < 100; launch += 1)
      ids.push(
        (
          await test.call<{ id: string }>('POST', `${base}/launches`, {
            token: worker.token,
            body: { references: wanted },
          })
        ).id,
      );
    const { kty, crv, x } = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });
    const answers = await Promise.all(
      ids.map((id) =>
        test.request('POST', `/v1/launches/${id}/resolve`, {
          token: worker.token,
          body: { publicKey: { kty, crv, x } },
        }),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const reads = readsOf('secret/data/app/storm/');
    expect(new Set(reads.map(({ path }) => path)).size).toBe(20);
    expect(overlaps(reads)).toEqual([]);
    // Far fewer than the 2,000 that were asked for.
    expect(reads.length).toBeLessThan(400);
  });

  it('is told of each of them that was rotated where it is, while it runs with what it got before', async () => {
    const environment = Object.entries(references).map(([name, secret]) => ({ name, secret }));
    await test.call('POST', `${base}/spark-jobs`, { body: { name: 'stream', command: ['sleep', '600'], environment } });
    const { id } = await test.call<{ id: string }>('POST', `${base}/spark-jobs/stream/runs`);
    await expect.poll(async () => (await test.call('GET', `${base}/runs/${id}`))['state']).toBe('running');
    interface Drifted {
      readonly reference: string;
      readonly version: string;
      readonly currentVersion: string;
    }
    const drifted = async () => {
      await test.server.services.sourceVersions.round(AbortSignal.timeout(60_000), -1);
      const { items } = await test.call<{ items: Drifted[] }>('GET', `${base}/drift`);
      return items.map((each) => [each.reference, each.version === each.currentVersion]).toSorted();
    };
    expect(await drifted()).toEqual([]);
    await test.call('PUT', `${base}/secrets/db-password/value`, { body: { value: values.PGPASSWORD } });
    expect(await drifted()).toEqual([[references.PGPASSWORD, false]]);
    await test.call('PUT', '/v1/global/secrets/smtp-password/value', { body: { value: values.SMTP_PASSWORD } });
    await must(vault, 'POST', 'secret/data/app/reports/api', { data: { token: values.API_TOKEN, note: 'y' } });
    await writeMail();
    expect(await drifted()).toEqual(
      Object.values(references)
        .map((reference) => [reference, false])
        .toSorted(),
    );
    await test.call('POST', `${base}/runs/${id}/stop`);
    await expect.poll(drifted).toEqual([]);
  });

  it('keeps to its deadline while Vault stands still, and others do not notice', async () => {
    await job('elsewhere', { PGPASSWORD: references.PGPASSWORD, MAIL_USER: references.MAIL_USER });
    process.kill(vault.pid, 'SIGSTOP');
    try {
      const begun = performance.now();
      let isOver = false;
      const stuck = run('nightly-report').finally(() => (isOver = true));
      expect(await run('elsewhere')).toMatchObject({ state: 'succeeded' });
      expect(isOver).toBe(false);
      expect(outcomes(await stuck)).toEqual([
        'PGPASSWORD withheld',
        'SMTP_PASSWORD withheld',
        'API_TOKEN deadline',
        'MAIL_USER withheld',
      ]);
      expect(performance.now() - begun).toBeLessThan(35_000);
    } finally {
      process.kill(vault.pid, 'SIGCONT');
    }
    expect(await run('nightly-report')).toMatchObject({ state: 'succeeded' });
  });

  it('fails whole while AWS is away, names what and who, and starts nothing', async () => {
    const file = await job('after-aws');
    await moto.stop();
    const done = await run('after-aws');
    expect(done).toMatchObject({ state: 'failed' });
    expect(done.failure?.detail).toBe(`MAIL_USER (${references.MAIL_USER}): source-unavailable`);
    expect(outcomes(done)).toEqual([
      'PGPASSWORD withheld',
      'SMTP_PASSWORD withheld',
      'API_TOKEN withheld',
      'MAIL_USER source-unavailable',
    ]);
    expect(done.variables.at(-1)).toMatchObject({
      source: 'aws-prod',
      cause: expect.stringContaining('no statement about the secret'),
      fixableBy: ['whoever runs the backend of aws-prod'],
    });
    expect(existsSync(file)).toBe(false);
  });

  it('leaves no value anywhere', async () => {
    await expect(test.assertNoLeak()).resolves.toBeUndefined();
  });
});

interface Read {
  readonly path: string;
  readonly from: number;
  readonly to: number;
}

/** Reads below a path as Vault's audit log has them, from the request to its response; nanoseconds are cut to microseconds. */
function readsOf(folder: string): Read[] {
  const begun = new Map<string, number>();
  const reads: Read[] = [];
  for (const line of readFileSync(vault.auditLogPath, 'utf8')
    .split('\n')
    .filter((text) => text !== '')) {
    const { time, type, request } = JSON.parse(line) as {
      readonly time: string;
      readonly type: string;
      readonly request: { readonly id: string; readonly path: string; readonly operation: string };
    };
    if (request.operation !== 'read' || !request.path.startsWith(folder)) continue;
    const microseconds = Date.parse(time) * 1000 + Number(/\.\d{3}(\d{3})/.exec(time)?.[1] ?? 0);
    if (type === 'request') begun.set(request.id, microseconds);
    else reads.push({ path: request.path, from: begun.get(request.id) ?? microseconds, to: microseconds });
  }
  return reads;
}

/** Two of the same path at the same time. */
function overlaps(reads: readonly Read[]): string[] {
  return [...Map.groupBy(reads, ({ path }) => path)].flatMap(([path, same]) => {
    const sorted = same.toSorted((a, b) => a.from - b.from);
    return sorted.some((read, index) => index > 0 && read.from < (sorted[index - 1]?.to ?? 0)) ? [path] : [];
  });
}
