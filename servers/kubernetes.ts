// The control plane of Kubernetes for tests: no nodes, nothing runs in a pod. `node servers/kubernetes.ts` starts one by hand.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runUntilInterrupted } from './command.ts';
import { freePort } from './free-port.ts';
import { installGoPrograms } from './go-programs.ts';
import { type HttpAnswer, httpRequest } from './http-request.ts';
import { removeFolder, temporaryFolder } from './lifetime.ts';
import { isMissing, type LiveServer, locate } from './live-server.ts';
import { runProgram } from './run-program.ts';
import { ServerProcess } from './server-process.ts';

const version = '1.34.4';
const controllers = [
  'garbage-collector-controller',
  'job-controller',
  'namespace-controller',
  'resourcequota-controller',
  'serviceaccount-controller',
  'serviceaccount-token-controller',
];
/** How often a port that was free is taken by somebody else before that is an error. */
const portAttempts = 5;
const variables = { etcd: 'STRONGROOM_LIVE_ETCD', kubernetes: 'STRONGROOM_LIVE_KUBERNETES' } as const;

export const kubernetes: LiveServer = {
  name: 'kubernetes',
  async install(progress) {
    const etcd = await installGoPrograms(
      { name: 'etcd', version: '3.7.3', module: 'etcd', packages: ['strongroom/servers/etcd'], buildMinutes: 1 },
      progress,
    );
    if (isMissing(etcd)) return etcd;
    const programs = await installGoPrograms(
      {
        name: 'kubernetes',
        version,
        module: 'kubernetes',
        packages: ['kube-apiserver', 'kube-controller-manager', 'kubectl'].map(
          (name) => `k8s.io/kubernetes/cmd/${name}`,
        ),
        variables: { 'k8s.io/component-base/version.gitVersion': `v${version}` },
        buildMinutes: 10,
      },
      progress,
    );
    if (isMissing(programs)) return programs;
    return { environment: { [variables.etcd]: etcd.folder, [variables.kubernetes]: programs.folder } };
  },
};

export interface Kubernetes {
  readonly url: string;
  /** PEM. */
  readonly caCertificate: string;
  /** A bearer token of the group `system:masters`. */
  readonly adminToken: string;
  /** Of the administrator. */
  readonly kubeconfigPath: string;
  /** Where etcd, which has everything unencrypted, serves its clients. */
  readonly etcdUrl: string;
  /** Of kube-apiserver, etcd and the controller manager. */
  readonly pids: { readonly apiServer: number; readonly etcd: number; readonly controllerManager: number };
  /** Standard output of kubectl as the administrator. Rejects with what it wrote to standard error when it fails. */
  kubectl(...args: string[]): Promise<string>;
  /** `kubectl apply` of one manifest, or of several in a `List`. */
  apply(manifest: object): Promise<void>;
  /** One request to the API, as the administrator or with another token. `path` begins with `/`. */
  request<Body = unknown>(method: string, path: string, body?: unknown, token?: string): Promise<HttpAnswer<Body>>;
  /**
   * A token of a ServiceAccount for one audience, for an hour, as a pod would have it projected. Namespace and ServiceAccount
   * are made when they are absent.
   */
  serviceAccountToken(namespace: string, name: string, audience: string): Promise<string>;
  /** Kills all of it. */
  stop(): Promise<void>;
}

/**
 * Starts etcd, kube-apiserver and the controllers of namespaces, jobs, service accounts, quotas and garbage on loopback, with RBAC.
 * Tokens without an audience of their own are for `https://kubernetes.default.svc` and `strongroom`. 400 MB; it ends with this
 * process at the latest.
 */
export async function startKubernetes(): Promise<Kubernetes> {
  const etcdFolder = await locate(kubernetes, variables.etcd);
  const programs = await locate(kubernetes, variables.kubernetes);
  const folder = temporaryFolder('strongroom-kubernetes');
  const started: ServerProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((child) => child.stop()));
    removeFolder(folder);
  };
  try {
    const etcd = await startEtcd(join(etcdFolder, 'etcd'), folder, started);
    const adminToken = randomBytes(24).toString('base64url');
    const api = await startApiServer(join(programs, 'kube-apiserver'), folder, etcd.url, adminToken, started);
    const kubeconfigPath = writeKubeconfig(folder, api.url, adminToken);
    const controllerManager = new ServerProcess(join(programs, 'kube-controller-manager'), [
      `--kubeconfig=${kubeconfigPath}`,
      `--service-account-private-key-file=${join(folder, 'sa.key')}`,
      '--leader-elect=false',
      '--secure-port=0',
      `--controllers=${controllers.join(',')}`,
    ]);
    started.push(controllerManager);
    const pids = { apiServer: api.child.pid, etcd: etcd.child.pid, controllerManager: controllerManager.pid };
    const server = new RunningKubernetes(
      { ...api, adminToken, kubeconfigPath, etcdUrl: etcd.url, pids },
      programs,
      stop,
    );
    // The controllers work when the ServiceAccount that every namespace has is there.
    await controllerManager.until(
      async () =>
        (await server.request('GET', '/api/v1/namespaces/default/serviceaccounts/default')).status === 200 || undefined,
    );
    return server;
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startEtcd(
  program: string,
  folder: string,
  started: ServerProcess[],
): Promise<{ readonly url: string; readonly child: ServerProcess }> {
  const anyPort = 'http://127.0.0.1:0';
  for (let attempt = 1; ; attempt += 1) {
    // Its HTTP interface calls itself at the address as it is written, so that the port has to be known.
    const url = `http://127.0.0.1:${await freePort()}`;
    const child = new ServerProcess(program, [
      `--data-dir=${join(folder, `etcd-${attempt}`)}`,
      '--unsafe-no-fsync',
      '--log-format=json',
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${anyPort}`,
      `--initial-advertise-peer-urls=${anyPort}`,
      `--initial-cluster=default=${anyPort}`,
    ]);
    started.push(child);
    try {
      await child.prints(/"serving client traffic insecurely/);
      return { url, child };
    } catch (error) {
      if (attempt === portAttempts || !child.output.includes('address already in use')) throw error;
    }
  }
}

async function startApiServer(
  program: string,
  folder: string,
  etcdUrl: string,
  adminToken: string,
  started: ServerProcess[],
): Promise<{ readonly url: string; readonly caCertificate: string; readonly child: ServerProcess }> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const secretFile = { mode: 0o600 };
  writeFileSync(join(folder, 'sa.key'), privateKey, secretFile);
  writeFileSync(join(folder, 'sa.pub'), publicKey, secretFile);
  writeFileSync(join(folder, 'tokens.csv'), `${adminToken},admin,admin,system:masters\n`, secretFile);
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const child = new ServerProcess(program, [
      `--etcd-servers=${etcdUrl}`,
      `--cert-dir=${join(folder, 'certificates')}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      '--authorization-mode=RBAC',
      `--token-auth-file=${join(folder, 'tokens.csv')}`,
      `--service-account-key-file=${join(folder, 'sa.pub')}`,
      `--service-account-signing-key-file=${join(folder, 'sa.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      '--api-audiences=https://kubernetes.default.svc,strongroom',
      '--service-cluster-ip-range=10.0.0.0/24',
      // It would hold pods back until their ServiceAccount has a secret; nothing runs in these pods.
      '--disable-admission-plugins=ServiceAccount',
    ]);
    started.push(child);
    try {
      const url = `https://127.0.0.1:${port}`;
      return { url, caCertificate: await whenReady(child, url, folder), child };
    } catch (error) {
      if (attempt === portAttempts || !child.output.includes('address already in use')) throw error;
    }
  }
}

/** The certificate of its authority, as soon as it answers. */
function whenReady(child: ServerProcess, url: string, folder: string): Promise<string> {
  return child.until(async () => {
    if (!/Serving securely on /.test(child.output)) return undefined;
    const caCertificate = readFileSync(join(folder, 'certificates', 'apiserver.crt'), 'utf8');
    const { status } = await httpRequest(`${url}/readyz`, { caCertificate });
    return status === 200 ? caCertificate : undefined;
  });
}

/** JSON is YAML. */
function writeKubeconfig(folder: string, url: string, adminToken: string): string {
  const path = join(folder, 'kubeconfig');
  const name = 'strongroom-test';
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name, cluster: { server: url, 'certificate-authority': join(folder, 'certificates', 'apiserver.crt') } },
    ],
    users: [{ name, user: { token: adminToken } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
    'current-context': name,
  };
  writeFileSync(path, JSON.stringify(config, undefined, 2), { mode: 0o600 });
  return path;
}

type Facts = Pick<Kubernetes, 'url' | 'caCertificate' | 'adminToken' | 'kubeconfigPath' | 'etcdUrl' | 'pids'>;

class RunningKubernetes implements Kubernetes {
  readonly url: string;
  readonly caCertificate: string;
  readonly adminToken: string;
  readonly kubeconfigPath: string;
  readonly etcdUrl: string;
  readonly pids: Kubernetes['pids'];
  readonly stop: () => Promise<void>;
  readonly #programs: string;

  constructor(facts: Facts, programs: string, stop: () => Promise<void>) {
    this.url = facts.url;
    this.caCertificate = facts.caCertificate;
    this.adminToken = facts.adminToken;
    this.kubeconfigPath = facts.kubeconfigPath;
    this.etcdUrl = facts.etcdUrl;
    this.pids = facts.pids;
    this.#programs = programs;
    this.stop = stop;
  }

  kubectl(...args: string[]): Promise<string> {
    return this.#kubectl(args, '');
  }

  async apply(manifest: object): Promise<void> {
    await this.#kubectl(['apply', '--filename', '-'], JSON.stringify(manifest));
  }

  request<Body = unknown>(method: string, path: string, body?: unknown, token = this.adminToken) {
    const { caCertificate } = this;
    const headers = { authorization: `Bearer ${token}`, accept: 'application/json' };
    return httpRequest<Body>(`${this.url}${path}`, { method, body, headers, caCertificate });
  }

  async serviceAccountToken(namespace: string, name: string, audience: string): Promise<string> {
    await this.#make('/api/v1/namespaces', { metadata: { name: namespace } });
    const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    await this.#make(accounts, { metadata: { name } });
    const spec = { audiences: [audience], expirationSeconds: 3600 };
    const made = await this.request<{ readonly status: { readonly token: string } }>(
      'POST',
      `${accounts}/${name}/token`,
      { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec },
    );
    if (made.status !== 201) throw new Error(`${accounts}/${name}/token: ${made.status} ${JSON.stringify(made.body)}`);
    return made.body.status.token;
  }

  /** Makes something unless it is there. */
  async #make(path: string, object: object): Promise<void> {
    const { status, body } = await this.request('POST', path, object);
    if (status !== 201 && status !== 409) throw new Error(`POST ${path}: ${status} ${JSON.stringify(body)}`);
  }

  async #kubectl(args: readonly string[], input: string): Promise<string> {
    const { code, stdout, stderr } = await runProgram(
      join(this.#programs, 'kubectl'),
      ['--kubeconfig', this.kubeconfigPath, ...args],
      {
        // Its cache of what the API offers is beside the kubeconfig.
        environment: { KUBECACHEDIR: `${this.kubeconfigPath}-cache` },
        stdin: input,
      },
    );
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  }
}

if (import.meta.main)
  await runUntilInterrupted(startKubernetes, (server) => ({
    KUBECONFIG: server.kubeconfigPath,
    url: server.url,
    'admin token': server.adminToken,
    etcd: server.etcdUrl,
  }));
