import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { kubernetesRbac, type KubernetesRbacOptions } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import type { Kubernetes } from '../../../servers/kubernetes.ts';
import type { Content, Expectation, PutOptions } from '../src/backend.ts';
import type { ConformanceContext, ConformancePlace, ForeignThing } from '../src/conformance/index.ts';
import {
  type Fingerprints,
  type KubernetesBackend,
  type ManagedKubernetesSettings,
  openManagedKubernetes,
} from '../src/kubernetes/index.ts';
import { formatIdentity, type Identity, type Naming, objectName } from '../src/kubernetes/names.ts';
import { identityMark } from '../src/kubernetes/marks.ts';
import { FaultProxy, type NetworkFault } from './fault-proxy.ts';

const networkFaults: readonly NetworkFault[] = ['unreachable', 'cut', 'hanging', 'failing', 'throttled', 'malformed'];
const apiAudience = 'https://kubernetes.default.svc';

/** A Secret as the API has it. */
export interface LiveSecret {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>> | null;
}

/** The Secrets of one namespace as the administrator sees them. */
export class LiveSecrets {
  readonly #kubernetes: Kubernetes;
  readonly #path: string;

  constructor(kubernetes: Kubernetes, namespace: string) {
    this.#kubernetes = kubernetes;
    this.#path = `/api/v1/namespaces/${namespace}/secrets`;
  }

  async get(name: string): Promise<LiveSecret | null> {
    const { status, body } = await this.#kubernetes.request<LiveSecret>('GET', `${this.#path}/${name}`);
    if (status === 404) return null;
    if (status !== 200) throw new Error(`GET ${name}: ${status}`);
    return body;
  }

  async names(): Promise<string[]> {
    const { body } = await this.#kubernetes.request<{ readonly items: readonly LiveSecret[] }>('GET', this.#path);
    return body.items.map(({ metadata }) => metadata.name);
  }

  async create(secret: object): Promise<void> {
    const { status, body } = await this.#kubernetes.request('POST', this.#path, secret);
    if (status !== 201) throw new Error(`POST: ${status} ${JSON.stringify(body)}`);
  }

  /** Over whatever version is there. */
  async replace(name: string, change: (secret: LiveSecret) => object): Promise<void> {
    for (;;) {
      const secret = await this.get(name);
      if (secret === null) throw new Error(`No Secret ${name}`);
      const { status, body } = await this.#kubernetes.request('PUT', `${this.#path}/${name}`, change(secret));
      if (status === 200) return;
      if (status !== 409) throw new Error(`PUT ${name}: ${status} ${JSON.stringify(body)}`);
    }
  }

  async remove(name: string): Promise<void> {
    const { status } = await this.#kubernetes.request('DELETE', `${this.#path}/${name}`);
    if (status !== 200 && status !== 404) throw new Error(`DELETE ${name}: ${status}`);
  }
}

export function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

function base64Of(value: SecretValue): string {
  return Buffer.from(value.reveal()).toString('base64');
}

/** A text as it is written. */
export function text(value: string): Content {
  return { value: SecretValue.fromText(value), shape: 'text' };
}

/** Options of a write of its own. */
export function write(signal: AbortSignal, expect: Expectation = { kind: 'any' }): PutOptions {
  return { signal, expect, intentId: randomUUID() };
}

/** Opens stores of one namespace, all under one key of fingerprints; Global's, unless the settings say another scope. */
export class LiveStores {
  readonly fingerprints = testFingerprints();
  readonly #kubernetes: Kubernetes;
  readonly #namespace: string;
  readonly #opened: { close(): Promise<void> }[] = [];

  constructor(kubernetes: Kubernetes, namespace: string) {
    this.#kubernetes = kubernetes;
    this.#namespace = namespace;
  }

  async open(account: Account, settings: Partial<ManagedKubernetesSettings> = {}): Promise<KubernetesBackend> {
    const kubeconfigPath = account.kubeconfig(this.#kubernetes.url);
    const common = { namespace: this.#namespace, kubeconfigPath, scope: { kind: 'global' } as const };
    const given = { ...common, fingerprints: this.fingerprints, ...settings };
    return this.keep(await openManagedKubernetes(given, { now: Date.now }));
  }

  /** Closes it with the others. */
  keep<Opened extends { close(): Promise<void> }>(opened: Opened): Opened {
    this.#opened.push(opened);
    return opened;
  }

  async close(): Promise<void> {
    await Promise.all(this.#opened.map((each) => each.close()));
  }
}

export function testFingerprints(): Fingerprints {
  const key = randomBytes(32);
  const make = async (value: SecretValue) => createHmac('sha256', key).update(value.reveal()).digest('base64url');
  return { make, matches: async (value, fingerprint) => (await make(value)) === fingerprint };
}

/** Somebody who may do what `strongroom k8s rbac` prints, and a kubeconfig of theirs. */
export interface Account {
  readonly token: string;
  /** Writes a kubeconfig for an address of the API server. */
  kubeconfig(server: string): string;
}

/** Makes the namespaces and applies the manifests. */
export async function applyRbac(
  kubernetes: Kubernetes,
  options: Omit<KubernetesRbacOptions, 'name'> & { readonly name?: string },
): Promise<{ readonly server: Account; readonly runtime: Account }> {
  const { namespace, secretsNamespace, name: prefix = 'strongroom', secrets } = options;
  await kubernetes.request('POST', '/api/v1/namespaces', { metadata: { name: secretsNamespace } });
  const accounts = ['server', 'runtime'].map(async (who) => {
    const name = `${prefix}-${who}`;
    const token = await kubernetes.serviceAccountToken(namespace, name, apiAudience);
    return {
      token,
      kubeconfig: (server: string) => writeKubeconfig(kubernetes, server, `${namespace}-${name}`, token),
    };
  });
  const [server, runtime] = await Promise.all(accounts);
  for (const manifest of kubernetesRbac({ ...options, name: prefix })) await kubernetes.apply(manifest);
  if (server === undefined || runtime === undefined) throw new Error('no accounts');
  await untilAllowed(kubernetes, secretsNamespace, server.token, secrets?.server[0]);
  await untilAllowed(kubernetes, secretsNamespace, runtime.token, secrets?.runtime[0]);
  return { server, runtime };
}

/** Roles take a moment until they hold. */
async function untilAllowed(
  kubernetes: Kubernetes,
  namespace: string,
  token: string,
  name = noSuchName,
): Promise<void> {
  while ((await statusOf(kubernetes, namespace, token, name)) === 403);
}

async function untilDenied(kubernetes: Kubernetes, namespace: string, token: string): Promise<void> {
  while ((await statusOf(kubernetes, namespace, token, noSuchName)) !== 403);
}

const noSuchName = 'none-of-this-name';

async function statusOf(kubernetes: Kubernetes, namespace: string, token: string, name: string): Promise<number> {
  const path = `/api/v1/namespaces/${namespace}/secrets/${name}`;
  return (await kubernetes.request('GET', path, undefined, token)).status;
}

function writeKubeconfig(kubernetes: Kubernetes, server: string, name: string, token: string): string {
  const path = join(dirname(kubernetes.kubeconfigPath), `${name}-${new URL(server).port}.kubeconfig`);
  const authority = Buffer.from(kubernetes.caCertificate).toString('base64');
  const config = {
    clusters: [{ name, cluster: { server, 'certificate-authority-data': authority } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

/** All troubles: those of the network by a proxy, the refusal by the real thing. */
export async function liveFaults(
  kubernetes: Kubernetes,
  options: { readonly namespace: string; readonly secretsNamespace: string; readonly token: string },
): Promise<{ readonly proxy: FaultProxy; readonly faults: NonNullable<ConformanceContext['faults']> }> {
  const folder = join(dirname(kubernetes.kubeconfigPath), 'certificates');
  const key = readFileSync(join(folder, 'apiserver.key'), 'utf8');
  const proxy = new FaultProxy(kubernetes.url, { certificate: kubernetes.caCertificate, key });
  await proxy.listen();
  const { namespace, secretsNamespace, token } = options;
  const [, , binding] = kubernetesRbac({ namespace, secretsNamespace, name: 'strongroom' });
  if (binding === undefined) throw new Error('no binding');
  return {
    proxy,
    faults: {
      ...Object.fromEntries(networkFaults.map((kind) => [kind, proxy.fault(kind)])),
      denied: async () => {
        await kubernetes.kubectl('delete', 'rolebinding', binding.metadata.name, '--namespace', secretsNamespace);
        await untilDenied(kubernetes, secretsNamespace, token);
        return async () => {
          await kubernetes.apply(binding);
          await untilAllowed(kubernetes, secretsNamespace, token);
        };
      },
    },
  };
}

/** Each key an object of its own. */
export function objectPlace(
  secrets: LiveSecrets,
  identity: Omit<Identity, 'key'>,
  naming: Naming,
): { readonly place: ConformancePlace; readonly foreign: NonNullable<ConformanceContext['foreign']> } {
  const nameOf = (key: string) => objectName({ ...identity, key }, naming);
  return {
    place: {
      seed: async (key, { value }) => {
        const name = nameOf(key);
        const data = { value: base64Of(value) };
        if ((await secrets.get(name)) !== null) return secrets.replace(name, (secret) => ({ ...secret, data }));
        const annotations = { [identityMark]: formatIdentity({ ...identity, key }) };
        return secrets.create({ metadata: { name, annotations }, data });
      },
      remove: async (key) => {
        const name = nameOf(key);
        const mark = (await secrets.get(name))?.metadata.annotations?.[identityMark];
        // Of look-alikes only one is there.
        if (mark === formatIdentity({ ...identity, key })) await secrets.remove(name);
      },
    },
    foreign: {
      beside: (key) => besideIn(secrets, nameOf(key), 'other'),
      inPlaceOf: async (key) => {
        const name = nameOf(key);
        await secrets.create({ metadata: { name }, data: { value: encode('theirs') } });
        const before = JSON.stringify(await secrets.get(name));
        return {
          isUntouched: async () => JSON.stringify(await secrets.get(name)) === before,
          remove: () => secrets.remove(name),
        };
      },
    },
  };
}

/** All keys in one object. */
export function scopePlace(
  secrets: LiveSecrets,
  name: string,
  identity: string,
): { readonly place: ConformancePlace; readonly foreign: NonNullable<ConformanceContext['foreign']> } {
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  };
  return {
    place: {
      seed: (key, { value }) =>
        inTurn(async () => {
          const entry = Object.fromEntries([[key, base64Of(value)]]);
          if ((await secrets.get(name)) === null) {
            return secrets.create({ metadata: { name, annotations: { [identityMark]: identity } }, data: entry });
          }
          return secrets.replace(name, (secret) => ({ ...secret, data: { ...secret.data, ...entry } }));
        }),
      remove: (key) =>
        inTurn(async () => {
          if (!Object.hasOwn((await secrets.get(name))?.data ?? {}, key)) return;
          await secrets.replace(name, (secret) => ({
            ...secret,
            data: Object.fromEntries(Object.entries(secret.data ?? {}).filter(([each]) => each !== key)),
          }));
        }),
    },
    foreign: { beside: () => besideIn(secrets, name, '__proto__') },
  };
}

/** A label, an annotation, an owner and a key of somebody else in an object. */
async function besideIn(secrets: LiveSecrets, name: string, dataKey: string): Promise<ForeignThing> {
  const theirs = encode('theirs');
  await secrets.replace(name, (secret) => ({
    ...secret,
    metadata: {
      ...secret.metadata,
      labels: { ...secret.metadata.labels, team: 'theirs' },
      annotations: { ...secret.metadata.annotations, 'example.com/note': 'theirs' },
      finalizers: [],
    },
    data: { ...secret.data, ...Object.fromEntries([[dataKey, theirs]]) },
  }));
  return {
    isUntouched: async () => {
      const secret = await secrets.get(name);
      const { labels, annotations } = secret?.metadata ?? {};
      const data = secret?.data ?? {};
      const isThere = Object.hasOwn(data, dataKey) && data[dataKey] === theirs;
      return isThere && labels?.['team'] === 'theirs' && annotations?.['example.com/note'] === 'theirs';
    },
    remove: () => Promise.resolve(),
  };
}
