import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, codeOf, startTestServer, type TestServer } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { type LoopbackCluster, openLoopbackCluster } from '../../testing/loopback-cluster.ts';
import { freshName } from '../../testing/samples.ts';
import type { ImpactView } from '../impact/gather.ts';

let test: TestServer;
let cluster: LoopbackCluster;
let canaries: Canaries;
/** References to secrets that hold the token, and a whole kubeconfig. */
const token = 'secret://admin/managed/cluster-token';
const kubeconfig = 'secret://admin/managed/cluster-kubeconfig';

beforeAll(async () => {
  cluster = await openLoopbackCluster();
  canaries = new Canaries();
  canaries.add('token of the cluster', cluster.token);
  test = await startTestServer({}, { canaries });
  await Promise.all(['finance', 'sales'].map((name) => test.createDomain(name)));
  await putSecret('cluster-token', cluster.token);
  await putSecret('cluster-kubeconfig', cluster.kubeconfig());
});
beforeEach(async () => {
  cluster.uid = randomUUID();
  cluster.trouble = null;
  cluster.mayReview = true;
  cluster.issuer = 'https://kubernetes.default.svc';
});
afterAll(async () => {
  await test.close();
  await cluster.close();
});

interface View {
  readonly id: string;
  readonly name: string;
  readonly uid: string;
  readonly issuer: string;
  readonly audience: string;
  readonly revision: number;
  readonly targets: number;
}

async function putSecret(key: string, value: string): Promise<void> {
  await test.call('POST', '/v1/admin/secrets', { body: { key, value } });
}

const register = (body: object = {}): Promise<Answer> =>
  test.request('POST', '/v1/clusters', { body: { name: freshName(), access: cluster.access(token), ...body } });

async function registered(body: object = {}): Promise<View> {
  const answer = await register(body);
  expect([answer.status, answer.text]).toEqual([201, expect.any(String)]);
  return answer.body as View;
}

const pointers = ({ body }: Answer): string[] =>
  ((body as { errors?: { pointer: string }[] }).errors ?? []).map(({ pointer }) => pointer);
const opened = (id: string) => test.server.services.clusters.open(id, AbortSignal.timeout(60_000));
const steps = async (name: string): Promise<Record<string, string>> => {
  const { lines } = await test.call<{ lines: { step: string; outcome: string }[] }>(
    'POST',
    `/v1/clusters/${name}/test`,
  );
  return Object.fromEntries(lines.map(({ step, outcome }) => [step, outcome]));
};

describe('registering a cluster', () => {
  it('learns which one it is and whose tokens it issues, by a token or by a kubeconfig', async () => {
    const byToken = await registered();
    expect(byToken).toMatchObject({ uid: cluster.uid, issuer: cluster.issuer, revision: 1, targets: 0 });
    expect(byToken.audience).toMatch(new RegExp(`^strongroom:ins_\\w+:${byToken.name}$`));
    cluster.uid = randomUUID();
    const byKubeconfig = await registered({ access: { kind: 'kubeconfig', secret: kubeconfig }, audience: 'ours' });
    expect(byKubeconfig).toMatchObject({ uid: cluster.uid, audience: 'ours' });
    expect(await test.call('GET', `/v1/clusters/${byKubeconfig.name}`)).toMatchObject({
      access: { kind: 'kubeconfig', secret: kubeconfig },
    });
  });

  it('is refused where the reference is not to a secret of the admin scope that holds what is needed', async () => {
    await test.call('POST', '/v1/global/secrets', { body: { key: 'token', value: cluster.token } });
    await putSecret('no-token', 'two words');
    const bad = {
      'secret://global/managed/token': 'validation_failed',
      'secret://domain/managed/token': 'validation_failed',
      'secret://admin/managed/absent': 'reference_unresolved',
      'secret://admin/managed/no-token': 'validation_failed',
      [cluster.token]: 'reference_malformed',
    };
    for (const [secret, code] of Object.entries(bad)) {
      const answer = await register({ access: cluster.access(secret) });
      const codes = ((answer.body as { errors?: { code?: string }[] }).errors ?? []).map((error) => error.code);
      expect([secret, codeOf(answer), ...codes]).toContain(code);
    }
    const exec = JSON.parse(cluster.kubeconfig()) as { users: { user: object }[] };
    exec.users[0] = { ...exec.users[0], user: { exec: { command: '/bin/sh' } } };
    await putSecret('exec', JSON.stringify(exec));
    const answer = await register({ access: { kind: 'kubeconfig', secret: 'secret://admin/managed/exec' } });
    expect([answer.status, answer.text]).toEqual([422, expect.stringContaining('starts a program')]);
  });

  it('is refused for addresses that may not be reached, for what is no certificate, and for the pod’s own identity', async () => {
    const access = (changes: object): object => ({ access: { ...cluster.access(token), ...changes } });
    for (const address of ['https://169.254.169.254', 'https://0x7f.1:6443', 'http://127.0.0.1:6443', 'https://a@b'])
      expect([address, codeOf(await register(access({ address })))]).toEqual([address, 'egress_denied']);
    expect(pointers(await register(access({ caCertificate: 'none' })))).toEqual(['/access/caCertificate']);
    expect(pointers(await register({ access: { kind: 'in-cluster' } }))).toEqual(['/access/kind']);
  });

  it('says which step failed when the cluster does not answer as one', async () => {
    cluster.trouble = { status: 503, body: {} };
    expect(codeOf(await register())).toBe('backend_unavailable');
    cluster.trouble = { status: 403, body: {} };
    expect(codeOf(await register())).toBe('backend_denied');
    cluster.trouble = { status: 200, body: { kind: 'Pod', metadata: { uid: 'x' } } };
    expect(codeOf(await register())).toBe('backend_malformed');
  });

  it('keeps one entry for each cluster, name and audience', async () => {
    const { name } = await registered({ audience: 'of the first'.replaceAll(' ', '-') });
    expect(codeOf(await register())).toBe('already_exists');
    cluster.uid = randomUUID();
    expect(codeOf(await register({ name }))).toBe('already_exists');
    expect(codeOf(await register({ audience: 'of-the-first' }))).toBe('already_exists');
    expect((await register()).status).toBe(201);
  });

  it('is for platform administrators', async () => {
    const owner = await test.createUser(freshName(), { domains: { finance: 'OWNER' } });
    const body = { name: freshName(), access: cluster.access(token) };
    const refused = await test.request('POST', '/v1/clusters', { token: owner.token, body });
    expect(refused.status).toBe(403);
  });
});

describe('a registered cluster', () => {
  it('is used with one credential for a while, and asked who it is at each use', async () => {
    const { id } = await registered();
    cluster.requests.length = 0;
    const [first, second] = await Promise.all([opened(id), opened(id)]);
    expect(first.api).toBe(second.api);
    expect(cluster.requests).toEqual(Array.from({ length: 2 }, () => 'GET /api/v1/namespaces/kube-system'));
    first.release();
    first.release();
    second.release();
  });

  it('gets nothing when another cluster answers at its address', async () => {
    const { id, name } = await registered();
    cluster.uid = randomUUID();
    await expect(opened(id)).rejects.toMatchObject({ code: 'state_conflict' });
    expect(await steps(name)).toMatchObject({ reachable: 'ok', identity: 'failed', issuer: 'skipped' });
    const answer = await test.request('PATCH', `/v1/clusters/${name}`, { body: { access: cluster.access(token) } });
    expect(codeOf(answer)).toBe('state_conflict');
  });

  it('can be reached another way when that leads to the same cluster', async () => {
    const { id, name } = await registered();
    (await opened(id)).release();
    const changed = await test.call<View>('PATCH', `/v1/clusters/${name}`, {
      body: { access: { kind: 'kubeconfig', secret: kubeconfig }, description: 'by kubeconfig' },
    });
    expect(changed).toMatchObject({ revision: 2, uid: cluster.uid });
    (await opened(id)).release();
  });

  it('is not reached any more when its secret, or who put the reference there, is gone', async () => {
    const key = freshName();
    await putSecret(key, cluster.token);
    const admin = await test.createUser(freshName(), { roles: ['PLATFORM_ADMIN'] });
    const name = freshName();
    const access = cluster.access(`secret://admin/managed/${key}`);
    const { id } = await test.call<View>('POST', '/v1/clusters', { token: admin.token, body: { name, access } });
    await test.call('PATCH', `/v1/users/${admin.id}`, { body: { isDisabled: true } });
    await expect(opened(id)).rejects.toMatchObject({ code: 'reference_unresolved' });
    await test.call('PATCH', `/v1/users/${admin.id}`, { body: { isDisabled: false } });
    (await opened(id)).release();
    test.server.services.clusters.forget(id);
    await test.call('DELETE', `/v1/admin/secrets/${key}?force=true`);
    await expect(opened(id)).rejects.toMatchObject({ code: 'reference_unresolved' });
    expect(await steps(name)).toMatchObject({ credential: 'failed', reachable: 'skipped' });
  });

  it('is tried step by step', async () => {
    const { name } = await registered();
    expect(await steps(name)).toEqual({
      credential: 'ok',
      reachable: 'ok',
      identity: 'ok',
      issuer: 'ok',
      'token-review': 'ok',
    });
    cluster.mayReview = false;
    expect(await steps(name)).toMatchObject({ issuer: 'ok', 'token-review': 'failed' });
    cluster.issuer = 'https://other.example';
    expect(await steps(name)).toMatchObject({ issuer: 'failed', 'token-review': 'skipped' });
  });
});

describe('a namespace of a cluster', () => {
  it('belongs to one domain', async () => {
    const { name } = await registered();
    const path = `/v1/clusters/${name}/targets/jobs`;
    await test.call('PUT', path, { body: { domain: 'finance' } });
    await test.call('PUT', path, { body: { domain: 'finance' } });
    expect(codeOf(await test.request('PUT', path, { body: { domain: 'sales' } }))).toBe('already_exists');
    expect(pointers(await test.request('PUT', path, { body: { domain: 'absent' } }))).toEqual(['/domain']);
    const owner = await test.createUser(freshName(), { domains: { finance: 'OWNER' } });
    const { items } = await test.call<{ items: object[] }>('GET', '/v1/domains/finance/targets', {
      token: owner.token,
    });
    expect(items).toContainEqual({ cluster: name, namespace: 'jobs', audience: expect.any(String) as string });
    expect(codeOf(await test.request('DELETE', `/v1/clusters/${name}`))).toBe('in_use');
    await test.call('DELETE', path);
    expect((await test.request('DELETE', path)).status).toBe(404);
    await test.call('DELETE', `/v1/clusters/${name}`);
    expect((await test.request('GET', `/v1/clusters/${name}`)).status).toBe(404);
  });

  it('is listed for its domain page by page, by its cluster where several have one of that name', async () => {
    await test.createDomain('wide');
    const { name: first } = await registered();
    cluster.uid = randomUUID();
    const { name: second } = await registered();
    const names = [first, second].toSorted();
    for (const name of names)
      for (const namespace of ['jobs', 'more'])
        await test.call('PUT', `/v1/clusters/${name}/targets/${namespace}`, { body: { domain: 'wide' } });
    const found: string[] = [];
    for (let cursor: string | undefined = ''; cursor !== undefined;) {
      const page: { items: { cluster: string; namespace: string }[]; nextCursor?: string } = await test.call(
        'GET',
        `/v1/domains/wide/targets?limit=1${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      found.push(...page.items.map((target) => `${target.namespace} ${target.cluster}`));
      ({ nextCursor: cursor } = page);
    }
    expect(found).toEqual(['jobs', 'more'].flatMap((namespace) => names.map((name) => `${namespace} ${name}`)));
  });

  it('says what would run there before it is taken, and what keeps it from being taken', async () => {
    const domain = freshName();
    await test.createDomain(domain);
    const { name } = await registered();
    for (const namespace of ['jobs', 'more'])
      await test.call('PUT', `/v1/clusters/${name}/targets/${namespace}`, { body: { domain } });
    const job = { command: ['true'], image: 'job:1' };
    const kubernetes = (options: object) => ({ ...job, runner: 'kubernetes', kubernetes: options });
    const jobs = {
      there: kubernetes({ namespace: 'jobs' }),
      'in-the-other': kubernetes({ cluster: name, namespace: 'more' }),
      'in-none': kubernetes({}),
      'in-no-cluster': { ...job, runner: 'process', kubernetes: { namespace: 'jobs' } },
    };
    for (const [each, body] of Object.entries(jobs))
      await test.call('POST', `/v1/domains/${domain}/spark-jobs`, { body: { name: each, ...body } });
    const hits = async (namespace: string) =>
      test.call<ImpactView>('GET', `/v1/clusters/${name}/targets/${namespace}/impact`);
    const named = async (namespace: string) =>
      (await hits(namespace)).configurations.map(({ configuration }) => configuration);
    expect(await hits('jobs')).toMatchObject({
      change: 'revoke',
      effect: 'launches-fail',
      configurations: [{ domain, surface: 'spark-job', configuration: 'there' }],
    });
    expect(await named('more')).toEqual(['in-the-other']);
    expect((await test.request('GET', `/v1/clusters/${name}/targets/nowhere/impact`)).status).toBe(404);
    const account = await test.call<{ id: string }>('POST', `/v1/domains/${domain}/service-accounts`, {
      body: { name: 'etl' },
    });
    const workload = { cluster: name, namespace: 'more', serviceAccount: 'job', uid: randomUUID() };
    await test.call('POST', `/v1/domains/${domain}/service-accounts/${account.id}/workloads`, { body: workload });
    const { refusal } = await hits('more');
    const refused = await test.request('DELETE', `/v1/clusters/${name}/targets/more`);
    expect([refused.status, refusal]).toEqual([
      409,
      { code: 'in_use', detail: (refused.body as { detail: string }).detail },
    ]);
    await test.call('DELETE', `/v1/clusters/${name}/targets/jobs`);
    // What names none means the one that is left.
    expect(await named('more')).toEqual(['in-none', 'in-the-other']);
  });

  it('goes with its domain', async () => {
    const { name } = await registered();
    const domain = freshName();
    await test.createDomain(domain);
    await test.call('PUT', `/v1/clusters/${name}/targets/gone`, { body: { domain } });
    await test.call('DELETE', `/v1/domains/${domain}`);
    expect(await test.call('GET', `/v1/clusters/${name}/targets`)).toEqual({ items: [] });
  });
});

describe('what was done', () => {
  it('leaves the credential nowhere but in the store', async () => {
    await expect(test.assertNoLeak()).resolves.toBeUndefined();
  });
});
