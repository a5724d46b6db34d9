import { readFile } from 'node:fs/promises';
import { request as requestHttp } from 'node:http';
import { request as requestHttps, type RequestOptions } from 'node:https';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { StrongroomError } from './errors.ts';

/**
 * Reading the secrets of connections in a runtime of OpenMetadata, from Kubernetes itself: `get` of one Secret and nothing
 * else. Where the settings are is said as OpenMetadata says it (https://docs.open-metadata.org, "Kubernetes Secrets Manager", 2).
 */

export const loaders = ['noop', 'airflow', 'env'] as const;
export type Loader = (typeof loaders)[number];

/** Where the Secrets are. */
export interface RuntimeSettings {
  readonly namespace: string;
  readonly inCluster: boolean;
  /** Empty: `~/.kube/config`. */
  readonly kubeconfigPath: string;
}

export interface LoaderOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Folder of the pod's ServiceAccount. */
  readonly serviceAccountPath?: string;
}

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount';
const namespacePattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The settings as a loader finds them: `env` in `KUBERNETES_NAMESPACE`, `KUBERNETES_IN_CLUSTER` and
 * `KUBERNETES_KUBECONFIG_PATH`; `airflow` in the section `openmetadata_secrets_manager` of `airflow.cfg`, or in
 * `AIRFLOW__OPENMETADATA_SECRETS_MANAGER__…`, which go first. Without a namespace it is the pod's, else `default`.
 *
 * @throws StrongroomError `not_supported` for `noop`; `validation_failed` for what can't be a setting
 */
export async function loadSettings(loader: Loader, options: LoaderOptions): Promise<RuntimeSettings> {
  if (loader === 'noop')
    throw new StrongroomError('not_supported', {
      detail: 'The loader noop has no settings, so that Kubernetes can not be read.',
      hint: 'Set secretsManagerLoader to env or airflow.',
    });
  const { environment, serviceAccountPath = serviceAccount } = options;
  const section = loader === 'airflow' ? await airflowSection(environment) : new Map<string, string>();
  const read = (name: string): string => {
    const variable = loader === 'env' ? name : `AIRFLOW__OPENMETADATA_SECRETS_MANAGER__${name}`;
    return (environment[variable] ?? section.get(name.toLowerCase()) ?? '').trim();
  };
  const inCluster = read('KUBERNETES_IN_CLUSTER').toLowerCase() || 'false';
  if (inCluster !== 'true' && inCluster !== 'false')
    throw new StrongroomError('validation_failed', { detail: 'KUBERNETES_IN_CLUSTER is true or false.' });
  const namespace = read('KUBERNETES_NAMESPACE') || (await podNamespace(serviceAccountPath)) || 'default';
  if (!namespacePattern.test(namespace))
    throw new StrongroomError('validation_failed', { detail: 'KUBERNETES_NAMESPACE is not the name of a namespace.' });
  return { namespace, inCluster: inCluster === 'true', kubeconfigPath: read('KUBERNETES_KUBECONFIG_PATH') };
}

async function podNamespace(folder: string): Promise<string> {
  return (await readIfThere(join(folder, 'namespace')))?.trim() ?? '';
}

/** The section of Airflow's file; empty where there is no file. Its keys are folded to lower case. */
async function airflowSection(environment: LoaderOptions['environment']): Promise<Map<string, string>> {
  const home = environment['AIRFLOW_HOME'] ?? join(homedir(), 'airflow');
  const text = await readIfThere(environment['AIRFLOW_CONFIG'] ?? join(home, 'airflow.cfg'));
  const found = new Map<string, string>();
  let isInside = false;
  for (const line of (text ?? '').split(/\r?\n/)) {
    const section = /^\[([^\]]+)\]\s*$/.exec(line);
    if (section !== null) isInside = section[1] === 'openmetadata_secrets_manager';
    const entry = /^([A-Za-z0-9_]+)\s*[=:](.*)$/.exec(line);
    if (isInside && entry?.[1] !== undefined) found.set(entry[1].toLowerCase(), (entry[2] ?? '').trim());
  }
  return found;
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new StrongroomError('validation_failed', { detail: `The file ${path} can not be read (${String(code)}).` });
  }
}

export interface SecretReader {
  /**
   * The value of a Secret, which is written as its name or as `secret:NAME`. As UTF-8.
   *
   * @throws StrongroomError `not_found` when there is no such Secret, `backend_denied` when the role does not allow `get`,
   * `backend_malformed` for a Secret without a text in `value`, `backend_unavailable`. It never answers nothing, nor the name.
   */
  get(reference: string): Promise<string>;
}

const objectName = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;
const requestMilliseconds = 10_000;
/** A Secret has 1 MiB at most; in base64, with what surrounds it. */
const maxAnswerBytes = 4 * 1024 * 1024;

/** Reads with the pod's ServiceAccount, or a kubeconfig. The cluster's client is loaded by the first read. */
export function openSecretReader(settings: RuntimeSettings): SecretReader {
  return {
    async get(reference) {
      const name = reference.startsWith('secret:') ? reference.slice('secret:'.length) : reference;
      if (!objectName.test(name))
        throw new StrongroomError('validation_failed', { detail: 'That is not the name of a Secret.' });
      const { status, body } = await getSecret(settings, name);
      if (status === 404)
        throw new StrongroomError('not_found', {
          detail: `The namespace ${settings.namespace} has no Secret ${name}.`,
        });
      if (status === 401 || status === 403)
        throw new StrongroomError('backend_denied', { detail: `Kubernetes does not allow to get the Secret ${name}.` });
      if (status >= 500 || status === 429)
        throw new StrongroomError('backend_unavailable', { detail: `Kubernetes answered with status ${status}.` });
      if (status !== 200) throw malformed(name);
      return textOf(name, body);
    },
  };
}

async function getSecret(
  { namespace, inCluster, kubeconfigPath }: RuntimeSettings,
  name: string,
): Promise<{ readonly status: number; readonly body: Buffer }> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  const options: RequestOptions = { timeout: requestMilliseconds, headers: { accept: 'application/json' } };
  let url: URL | null;
  try {
    if (inCluster) config.loadFromCluster();
    else config.loadFromFile(kubeconfigPath === '' ? join(homedir(), '.kube', 'config') : kubeconfigPath);
    await config.applyToHTTPSOptions(options);
    const server = config.getCurrentCluster()?.server ?? '';
    url = URL.parse(`${server.replace(/\/$/, '')}/api/v1/namespaces/${namespace}/secrets/${name}`);
  } catch {
    // What it says may quote the file.
    throw new StrongroomError('validation_failed', { detail: 'The settings of Kubernetes can not be read.' });
  }
  if (url === null) throw new StrongroomError('validation_failed', { detail: 'Kubernetes has no address.' });
  const request = url.protocol === 'http:' ? requestHttp : requestHttps;
  return new Promise((resolve, reject) => {
    const unavailable = (): void =>
      reject(new StrongroomError('backend_unavailable', { detail: 'Kubernetes could not be reached.' }));
    const sent = request(url, { ...options, signal: AbortSignal.timeout(requestMilliseconds) }, (answer) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > maxAnswerBytes) sent.destroy();
        else chunks.push(chunk);
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks) }));
      answer.on('error', unavailable);
      answer.on('close', unavailable);
    });
    sent.on('error', unavailable);
    sent.end();
  });
}

/** The text under `value`; what is not one is told without a word of it. */
function textOf(name: string, body: Buffer): string {
  let data: unknown;
  try {
    data = (JSON.parse(body.toString('utf8')) as { readonly data?: unknown } | null)?.data;
  } catch {
    // What a parser says quotes its input.
    throw malformed(name);
  }
  const base64 = typeof data === 'object' && data !== null && 'value' in data ? data.value : undefined;
  if (typeof base64 !== 'string') throw malformed(name);
  const bytes = Buffer.from(base64, 'base64');
  const text = bytes.toString('utf8');
  if (bytes.toString('base64') !== base64 || !Buffer.from(text, 'utf8').equals(bytes)) throw malformed(name);
  return text;
}

function malformed(name: string): StrongroomError {
  return new StrongroomError('backend_malformed', { detail: `The Secret ${name} has no text under the key value.` });
}
