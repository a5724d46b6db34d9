// Plays a node for tests of what runs in pods: pods become Running, and end when a test says how. https://kwok.sigs.k8s.io/docs/
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loopbackCertificate } from '../packages/server/testing/certificate.ts';
import { freePort } from './free-port.ts';
import { installGoPrograms } from './go-programs.ts';
import type { Kubernetes } from './kubernetes.ts';
import { removeFolder, temporaryFolder } from './lifetime.ts';
import { isMissing, type LiveServer, locate } from './live-server.ts';
import { ServerProcess } from './server-process.ts';

const variable = 'STRONGROOM_LIVE_KWOK';
/** A pod with it ends, with this exit code. */
const exitAnnotation = 'kwok.test/exit-code';
const bindMilliseconds = 50;

export const kwok: LiveServer = {
  name: 'kwok',
  async install(progress) {
    const programs = await installGoPrograms(
      { name: 'kwok', version: '0.8.0', module: 'kwok', packages: ['sigs.k8s.io/kwok/cmd/kwok'], buildMinutes: 3 },
      progress,
    );
    if (isMissing(programs)) return programs;
    return { environment: { [variable]: programs.folder } };
  },
};

export interface KwokNode {
  /** What the containers of all pods have written, one line each, as a container runtime keeps it. */
  log(...lines: readonly string[]): void;
  /** Ends a running pod, all of its containers with this code. */
  end(namespace: string, pod: string, exitCode: number): Promise<void>;
  stop(): Promise<void>;
}

interface Pod {
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly spec: {
    readonly nodeName?: string;
    readonly volumes?: readonly { readonly secret?: { readonly secretName: string } }[];
  };
}

/**
 * One node. kwok looks at no Secret and there is no scheduler, so this gives it a pod as soon as the Secrets are there that its
 * volumes name: as a kubelet would begin with it.
 */
export async function startKwok(kubernetes: Kubernetes): Promise<KwokNode> {
  const program = join(await locate(kwok, variable), 'kwok');
  const folder = temporaryFolder('strongroom-kwok');
  const logFile = join(folder, 'containers.log');
  const port = await freePort();
  writeFileSync(logFile, '');
  const { key, certificate } = loopbackCertificate();
  writeFileSync(join(folder, 'key.pem'), key, { mode: 0o600 });
  writeFileSync(join(folder, 'certificate.pem'), certificate);
  writeFileSync(join(folder, 'kwok.yaml'), configuration(logFile, port));
  const child = new ServerProcess(program, [
    `--kubeconfig=${kubernetes.kubeconfigPath}`,
    `--config=${join(folder, 'kwok.yaml')}`,
    '--manage-all-nodes',
    '--node-ip=127.0.0.1',
    `--node-port=${port}`,
    `--server-address=127.0.0.1:${port}`,
    `--tls-cert-file=${join(folder, 'certificate.pem')}`,
    `--tls-private-key-file=${join(folder, 'key.pem')}`,
    '--node-lease-duration-seconds=40',
  ]);
  await kubernetes.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'kwok' } });
  await child.until(async () => {
    const { body } = await kubernetes.request<{ status?: { conditions?: { type: string; status: string }[] } }>(
      'GET',
      '/api/v1/nodes/kwok',
    );
    return body.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') || undefined;
  });
  const stopping = new AbortController();
  const binding = (async () => {
    while (!stopping.signal.aborted) {
      await bindPods(kubernetes);
      await sleep(bindMilliseconds);
    }
  })();
  let seconds = 0;
  return {
    log(...lines) {
      const at = (): string =>
        new Date(Date.UTC(2026, 0, 1, 0, 0, (seconds += 1))).toISOString().replace('000Z', '000000000Z');
      writeFileSync(logFile, lines.map((line) => `${at()} stdout F ${line}\n`).join(''), { flag: 'a' });
    },
    async end(namespace, pod, exitCode) {
      await kubernetes.kubectl('annotate', 'pod', pod, `--namespace=${namespace}`, `${exitAnnotation}=${exitCode}`);
    },
    async stop() {
      stopping.abort();
      await binding;
      await child.stop();
      removeFolder(folder);
    },
  };
}

async function bindPods(kubernetes: Kubernetes): Promise<void> {
  const { body } = await kubernetes.request<{ items: readonly Pod[] }>(
    'GET',
    '/api/v1/pods?fieldSelector=spec.nodeName%3D',
  );
  for (const { metadata, spec } of body.items) {
    const base = `/api/v1/namespaces/${metadata.namespace}`;
    const secrets = (spec.volumes ?? []).flatMap(({ secret }) => (secret === undefined ? [] : [secret.secretName]));
    const found = await Promise.all(secrets.map((name) => kubernetes.request('GET', `${base}/secrets/${name}`)));
    if (found.some(({ status }) => status !== 200)) continue;
    await kubernetes.request('POST', `${base}/pods/${metadata.name}/binding`, {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name: metadata.name },
      target: { apiVersion: 'v1', kind: 'Node', name: 'kwok' },
    });
  }
}

/** Stages in place of kwok's own, for which a pod of a Job ends at once. */
function configuration(logFile: string, port: number): string {
  const apiVersion = 'kwok.x-k8s.io/v1alpha1';
  const isLiving = { key: '.metadata.deletionTimestamp', operator: 'DoesNotExist' };
  const phase = (value: string) => ({ key: '.status.phase', operator: 'In', values: [value] });
  const exit = { key: `.metadata.annotations["${exitAnnotation}"]`, operator: 'Exists' };
  const stage = (name: string, matchExpressions: readonly object[], next: object, kind = 'Pod') => ({
    apiVersion,
    kind: 'Stage',
    metadata: { name },
    spec: { resourceRef: { apiGroup: 'v1', kind }, selector: { matchExpressions }, next },
  });
  const isReady = '.status.conditions.[] | select( .type == "Ready" ) | .status';
  const nodeStatus = {
    conditions: [{ type: 'Ready', status: 'True' }],
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
    allocatable: { cpu: '1k', memory: '1Ti', pods: '1k' },
    capacity: { cpu: '1k', memory: '1Ti', pods: '1k' },
  };
  const documents = [
    stage(
      'node-ready',
      [{ key: isReady, operator: 'NotIn', values: ['True'] }],
      { statusTemplate: JSON.stringify(nodeStatus) },
      'Node',
    ),
    stage('pod-run', [isLiving, phase('Pending')], { statusTemplate: runningStatus }),
    stage('pod-end', [isLiving, phase('Running'), exit], { statusTemplate: endedStatus }),
    stage('pod-delete', [{ key: '.metadata.deletionTimestamp', operator: 'Exists' }], {
      finalizers: { empty: true },
      delete: true,
    }),
    {
      apiVersion,
      kind: 'ClusterLogs',
      metadata: { name: 'all' },
      spec: { logs: [{ logsFile: logFile, follow: true }] },
    },
  ];
  // JSON is YAML.
  return documents.map((document) => JSON.stringify(document)).join('\n---\n');
}

const runningStatus = `
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
podIP: 127.0.0.1
conditions:
- { type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }} }
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  imageID: ""
  name: {{ .name | Quote }}
  ready: true
  restartCount: 0
  state: { running: { startedAt: {{ $now | Quote }} } }
{{ end }}
`;

const endedStatus = `
{{ $now := Now }}
{{ $code := index .metadata.annotations "${exitAnnotation}" }}
phase: {{ if eq $code "0" }}Succeeded{{ else }}Failed{{ end }}
conditions:
- { type: Ready, status: "False", lastTransitionTime: {{ $now | Quote }} }
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  imageID: ""
  name: {{ .name | Quote }}
  ready: false
  restartCount: 0
  state:
    terminated:
      exitCode: {{ $code }}
      reason: {{ if eq $code "0" }}Completed{{ else }}Error{{ end }}
      startedAt: {{ $now | Quote }}
      finishedAt: {{ $now | Quote }}
{{ end }}
`;
