// @needs kubernetes kwok
import { kubernetesRunnerRbac } from '@strongroom/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kubernetes, startKubernetes } from '../../../../../servers/kubernetes.ts';
import { type KwokNode, startKwok } from '../../../../../servers/kwok.ts';
import type { TestServer } from '../../../testing/app.ts';
import type { Canaries } from '../../../testing/canaries.ts';
import { allStored, sparkApplications } from '../../../testing/live-kubernetes-objects.ts';
import { registeredCluster } from '../../../testing/live-registered-cluster.ts';
import { runnerContract } from '../../../testing/runner-contract.ts';

let kubernetes: Kubernetes;
let node: KwokNode;
let test: TestServer;
let canaries: Canaries;
let value: string;
const namespace = 'jobs';
const base = '/v1/domains/finance';
const environment = [{ name: 'PGPASSWORD', secret: 'secret://domain/managed/db-password' }];

beforeAll(async () => {
  kubernetes = await startKubernetes();
  node = await startKwok(kubernetes);
  for (const name of [namespace, 'strongroom'])
    await kubernetes.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  await kubernetes.apply(sparkApplications);
  ({ test, canaries } = await registeredCluster(kubernetes, namespace, serverToken));
  value = canaries.plain('password');
  await test.call('POST', `${base}/secrets`, { body: { key: 'db-password', value } });
  await test.call('POST', `${base}/secrets`, { body: { key: 'odd', value: canaries.text('odd') } });
});
afterAll(async () => {
  await test.close();
  await node.stop();
  await kubernetes.stop();
});

/** What `strongroom k8s rbac --runner` prints, and the issuer, which a registration asks for; nothing else. */
async function serverToken(): Promise<string> {
  const options = { namespace: 'strongroom', name: 'strongroom', runnerNamespaces: [namespace] };
  for (const manifest of kubernetesRunnerRbac(options)) await kubernetes.apply(manifest);
  const group = 'rbac.authorization.k8s.io';
  const discovery = 'system:service-account-issuer-discovery';
  await kubernetes.apply({
    apiVersion: `${group}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name: 'strongroom-issuer' },
    subjects: [{ kind: 'ServiceAccount', name: 'strongroom-server', namespace: 'strongroom' }],
    roleRef: { apiGroup: group, kind: 'ClusterRole', name: discovery },
  });
  return kubernetes.serviceAccountToken('strongroom', 'strongroom-server', 'https://kubernetes.default.svc');
}

interface Run {
  readonly state: string;
  readonly exitCode?: number;
  readonly failure?: { readonly code: string; readonly detail: string };
}

interface KubernetesObject {
  readonly metadata: { readonly uid: string; readonly ownerReferences?: readonly { readonly uid: string }[] };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: { readonly phase?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

async function start(name: string, job: object, surface = 'spark-jobs'): Promise<string> {
  const isSpark = 'spark' in job || surface !== 'spark-jobs';
  const common = { name, image: 'registry.example/job:1', runner: 'kubernetes', environment };
  await test.call('POST', `${base}/${surface}`, {
    body: { ...common, ...(isSpark ? {} : { command: ['run'] }), ...job },
  });
  return again(name, surface);
}

async function again(name: string, surface = 'spark-jobs'): Promise<string> {
  return (await test.call<{ id: string }>('POST', `${base}/${surface}/${name}/runs`)).id;
}

const runOf = (id: string): Promise<Run> => test.call<Run>('GET', `${base}/runs/${id}`);
const logOf = async (id: string): Promise<string> =>
  (await test.request('GET', `${base}/runs/${id}/log?follow=true`)).text;
const nameOf = (id: string): string => `strongroom-${id.replace('_', '-')}`;
const groups: Readonly<Record<string, string>> = {
  jobs: 'apis/batch/v1',
  sparkapplications: 'apis/sparkoperator.k8s.io/v1beta2',
};
const pathOf = (plural: string): string => `/${groups[plural] ?? 'api/v1'}/namespaces/${namespace}/${plural}`;
const get = (plural: string, id: string) =>
  kubernetes.request<KubernetesObject>('GET', `${pathOf(plural)}/${nameOf(id)}`);
const podsOf = async (id: string) =>
  (
    await kubernetes.request<{ items: { metadata: { name: string }; status: { phase: string } }[] }>(
      'GET',
      `${pathOf('pods')}?labelSelector=strongroom/run=${id}`,
    )
  ).body.items;

async function running(id: string): Promise<string> {
  await expect.poll(async () => (await podsOf(id))[0]?.status.phase).toBe('Running');
  return (await podsOf(id))[0]?.metadata.name ?? '';
}

async function ended(id: string): Promise<Run> {
  await expect.poll(async () => (await runOf(id)).state).not.toMatch(/queued|running/);
  return runOf(id);
}

async function leavesNothing(id: string): Promise<void> {
  for (const plural of ['pods', 'jobs', 'sparkapplications', 'secrets'])
    await expect.poll(async () => (await get(plural, id)).status).toBe(404);
  await expect.poll(async () => (await podsOf(id)).length).toBe(0);
}

/** Everything that etcd holds, by key: Secrets of launches apart, which are to hold values. */
async function assertNothingStored(): Promise<void> {
  const stored = await allStored(kubernetes);
  const secrets = stored.filter(({ key }) => key.startsWith(`/registry/secrets/${namespace}/strongroom-`));
  // Else the search below could not find anything.
  expect(secrets.some(({ bytes }) => bytes.includes(value))).toBe(true);
  for (const { key, bytes } of stored) if (!secrets.some((secret) => secret.key === key)) canaries.saw(key, bytes);
  canaries.assertNoLeak();
}

describe('the Kubernetes runner', () => {
  runnerContract('kubernetes', () => ({
    test,
    value,
    job: { runner: 'kubernetes', image: 'registry.example/job:1', command: ['run'] },
    async end(id, exitCode) {
      const pod = await running(id);
      node.log(`it is ${value}`);
      await node.end(namespace, pod, exitCode);
    },
    assertGone: leavesNothing,
  }));
});

describe('a job in a cluster', () => {
  it('gets its values from one Secret that goes with it; etcd has them nowhere else', async () => {
    const files = [
      { name: 'conf/key', secret: 'secret://domain/managed/odd' },
      { name: 'app.json', content: '{"password": "${PGPASSWORD}"}', template: true },
    ];
    const id = await start('etl', { command: ['sh', '-c', 'echo $(PGPASSWORD) $$HOME'], files, timeoutSeconds: 600 });
    const pod = await running(id);
    const [{ body: job }, { body: secret }] = await Promise.all([get('jobs', id), get('secrets', id)]);
    expect(secret).toMatchObject({ immutable: true, metadata: { ownerReferences: [{ uid: job.metadata.uid }] } });
    expect(secret.data?.['.env-0']).toBe(Buffer.from(value).toString('base64'));
    expect(job.spec).toMatchObject({ backoffLimit: 0, activeDeadlineSeconds: 600 });
    const { body: found } = await kubernetes.request<KubernetesObject>('GET', `${pathOf('pods')}/${pod}`);
    expect(found.spec).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: 'Never',
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          // What Kubernetes makes of it is what the job says.
          command: ['sh', '-c', 'echo $$(PGPASSWORD) $$$$HOME'],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    });
    await assertNothingStored();
    node.log(`password ${value}`, 'bye');
    await node.end(namespace, pod, 3);
    expect(await ended(id)).toMatchObject({ state: 'failed', exitCode: 3, failure: { code: 'command_failed' } });
    // The node has one log for all pods.
    expect(await logOf(id)).toMatch(/password \[redacted:PGPASSWORD\]\nbye\n$/);
    await leavesNothing(id);
  });

  it('is a pod where it is asked for, and succeeds', async () => {
    const id = await start('pod', { kubernetes: { form: 'pod' } });
    await node.end(namespace, await running(id), 0);
    expect(await ended(id)).toMatchObject({ state: 'succeeded', exitCode: 0 });
    await leavesNothing(id);
  });

  it('is stopped, and is over when its pod is', async () => {
    const id = await start('endless', {});
    await running(id);
    await test.call('POST', `${base}/runs/${id}/stop`);
    expect(await ended(id)).toMatchObject({ state: 'stopped' });
    expect(await podsOf(id)).toEqual([]);
    await leavesNothing(id);
  });

  it('runs no longer than it may', async () => {
    const id = await start('late', { timeoutSeconds: 2 });
    expect(await ended(id)).toMatchObject({ state: 'failed', failure: { code: 'timeout' } });
    await leavesNothing(id);
  });

  it('fails when somebody deletes it there', async () => {
    const id = await start('deleted', {});
    await running(id);
    await kubernetes.request('DELETE', `${pathOf('jobs')}/${nameOf(id)}?propagationPolicy=Background`);
    expect(await ended(id)).toMatchObject({ state: 'failed', failure: { code: 'workload_failed' } });
    await leavesNothing(id);
  });

  it('goes on while the server is away, and is followed again', async () => {
    const id = await start('long', {});
    const pod = await running(id);
    await test.restart();
    expect((await runOf(id)).state).toBe('running');
    expect(await logOf(id)).toContain('[strongroom] The server was started anew.');
    await node.end(namespace, pod, 0);
    expect(await ended(id)).toMatchObject({ state: 'succeeded' });
    await leavesNothing(id);
  });

  it('keeps its namespace from being taken from the domain', async () => {
    const id = await start('holding', {});
    await running(id);
    const refused = await test.request('DELETE', `/v1/clusters/prod/targets/${namespace}`);
    expect([refused.status, refused.body]).toMatchObject([409, { code: 'in_use' }]);
    await test.call('POST', `${base}/runs/${id}/stop`);
    await ended(id);
  });
});

describe('a notebook', () => {
  it('is a pod until it is stopped', async () => {
    const id = await start('desk', {}, 'notebooks');
    await running(id);
    expect((await get('pods', id)).status).toBe(200);
    const second = await test.request('POST', `${base}/notebooks/desk/runs`);
    expect(second.status).toBe(409);
    await test.call('POST', `${base}/runs/${id}/stop`);
    expect(await ended(id)).toMatchObject({ state: 'stopped' });
    await leavesNothing(id);
  });
});

describe('a compute cluster', () => {
  const sparkConfig = [{ name: 'spark.db.password', secret: 'secret://domain/managed/db-password' }];
  const sizes = { workers: 2, workerCores: 2, workerMemory: '3g' };

  it('is one pod with its master and workers, until it is stopped', async () => {
    const one = `${base}/compute-clusters/shared`;
    const id = await start('shared', { sparkConfig, sizes }, 'compute-clusters');
    const pod = await running(id);
    expect(pod).toBe(nameOf(id));
    const [{ body: found }, { body: secret }] = await Promise.all([get('pods', id), get('secrets', id)]);
    expect(found.spec).toMatchObject({
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      containers: [
        {
          image: 'registry.example/job:1',
          command: ['sh', '/strongroom/cluster.sh', '/strongroom/spark.properties', '2', '2', '3g'],
          resources: { requests: { cpu: '4' } },
        },
      ],
    });
    expect(secret).toMatchObject({ immutable: true, metadata: { ownerReferences: [{ uid: found.metadata.uid }] } });
    const text = (key: string): string => Buffer.from(secret.data?.[key] ?? '', 'base64').toString();
    expect(text('.env-0')).toBe(value);
    expect(text('spark.properties')).toContain(`spark.db.password=${value}\n`);
    expect(text('cluster.sh')).toContain('org.apache.spark.deploy');
    await assertNothingStored();

    expect((await test.request('POST', `${one}/runs`)).status).toBe(409);
    expect(await test.call('GET', one)).toMatchObject({ running: { run: id, restartRequired: false } });
    await test.restart();
    expect(await test.call('GET', one)).toMatchObject({ running: { run: id } });
    const body = { image: 'registry.example/job:1', runner: 'kubernetes', environment, sparkConfig };
    await test.call('PUT', one, { body: { ...body, sizes: { workers: 3 } } });
    expect(await test.call('GET', one)).toMatchObject({ running: { run: id, restartRequired: true } });

    await test.call('POST', `${base}/runs/${id}/stop`);
    expect(await ended(id)).toMatchObject({ state: 'stopped' });
    await leavesNothing(id);
    expect((await test.call<{ running?: object }>('GET', one)).running).toBeUndefined();
  });

  it('that ends by itself has failed, and what it wrote is masked', async () => {
    const id = await again('shared', 'compute-clusters');
    const pod = await running(id);
    node.log(`Starting Spark master at spark://127.0.0.1:7077 with ${value}`);
    await node.end(namespace, pod, 1);
    expect(await ended(id)).toMatchObject({ state: 'failed', exitCode: 1, failure: { code: 'command_failed' } });
    expect(await logOf(id)).toMatch(/spark:\/\/127.0.0.1:7077 with \[redacted:[\w.]+\]\n$/);
    await leavesNothing(id);
  });
});

describe('a Spark program', () => {
  const spark = { mainFile: 'local:///opt/job.py', arguments: ['--day', '$(PGPASSWORD)'], javaOptions: '-Xss4m' };
  const sparkConfig = [
    { name: 'spark.db.password', secret: 'secret://domain/managed/db-password' },
    { name: 'spark.sql.shuffle.partitions', value: '8' },
  ];

  it('is a SparkApplication whose secrets are in its Secret', async () => {
    const sizes = { driverMemory: '2g', executorInstances: 3 };
    const id = await start('spark', { spark, sparkConfig, sizes, kubernetes: { serviceAccount: 'spark' } });
    await expect.poll(async () => (await get('secrets', id)).status).toBe(200);
    const { body: application } = await get('sparkapplications', id);
    const driver = { serviceAccount: 'spark', memory: '2g', secrets: [{ name: nameOf(id), secretType: 'Generic' }] };
    expect(application.spec).toMatchObject({
      type: 'Python',
      mainApplicationFile: 'local:///opt/job.py',
      arguments: ['--day', '$$(PGPASSWORD)'],
      sparkConf: { 'spark.sql.shuffle.partitions': '8' },
      restartPolicy: { type: 'Never' },
      driver: { ...driver, envSecretKeyRefs: { PGPASSWORD: { name: nameOf(id), key: '.env-0' } } },
      executor: { instances: 3 },
    });
    expect(application.spec['sparkConf']).toHaveProperty(['spark.redaction.regex']);
    const data = (await get('secrets', id)).body.data ?? {};
    const options = Buffer.from(data['.java-options'] ?? '', 'base64').toString();
    expect(options).toBe(`"-Dspark.db.password=${value}"\n`);
    await assertNothingStored();
    await kubernetes.request('PUT', `${pathOf('sparkapplications')}/${nameOf(id)}/status`, {
      ...application,
      apiVersion: 'sparkoperator.k8s.io/v1beta2',
      kind: 'SparkApplication',
      status: { applicationState: { state: 'COMPLETED' } },
    });
    expect(await ended(id)).toMatchObject({ state: 'succeeded' });
    await leavesNothing(id);
  });

  it('is a Job with a properties file where there is no operator', async () => {
    const id = await start('submit', { spark, sparkConfig, kubernetes: { form: 'job' } });
    const pod = await running(id);
    const data = (await get('secrets', id)).body.data ?? {};
    expect(Buffer.from(data['spark.properties'] ?? '', 'base64').toString()).toContain(`spark.db.password=${value}\n`);
    await node.end(namespace, pod, 0);
    expect(await ended(id)).toMatchObject({ state: 'succeeded' });
    await leavesNothing(id);
  });
});

describe('a cluster that refuses', () => {
  it('takes the owner and not the Secret: nothing is left', async () => {
    const role = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/roles/strongroom-runner`;
    const { body } = await kubernetes.request<{ rules: { resources: string[] }[] }>('GET', role);
    const rules = body.rules.filter(({ resources }) => !resources.includes('secrets'));
    await kubernetes.request('PUT', role, { ...body, rules });
    const id = await start('half', {});
    expect(await ended(id)).toMatchObject({ state: 'failed', failure: { code: 'backend_denied' } });
    await leavesNothing(id);
    const { body: now } = await kubernetes.request<object>('GET', role);
    await kubernetes.request('PUT', role, { ...now, rules: body.rules });
  });

  it('does not know the operator: the run says so', async () => {
    await kubernetes.kubectl('delete', 'crd', sparkApplications.metadata.name);
    const id = await again('spark');
    expect(await ended(id)).toMatchObject({ state: 'failed', failure: { code: 'runner_unavailable' } });
  });
});

describe('a configuration', () => {
  it('names an image, and a namespace of the domain', async () => {
    const preflight = async (name: string, job: object) => {
      const body = { name, command: ['run'], runner: 'kubernetes', ...job };
      await test.call('POST', `${base}/spark-jobs`, { body });
      return test.call<{ problems: string[] }>('POST', `${base}/spark-jobs/${name}/preflight`);
    };
    expect((await preflight('bare', {})).problems).toMatchObject(
      [/names no image/].map((each) => expect.stringMatching(each)),
    );
    const away = await preflight('away', { image: 'a', kubernetes: { namespace: 'kube-system' } });
    expect(away.problems).toEqual(['The namespace that the configuration names is not one of the domain.']);
    await test.call('POST', `${base}/secrets`, { body: { key: 'large', value: 'x'.repeat(65_000) } });
    const files = ['a', 'b', 'c', 'd'].map((name) => ({ name, content: 'x'.repeat(230_000) }));
    const many = ['A', 'B'].map((name) => ({ name, secret: 'secret://domain/managed/large' }));
    const large = await preflight('large', { image: 'a', environment: many, files });
    expect(large.problems).toEqual([expect.stringContaining('which is what a Secret takes')]);
  });

  it('leaves no value anywhere', async () => {
    await expect(test.assertNoLeak()).resolves.toBeUndefined();
  });
});
