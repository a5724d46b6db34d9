import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serverOptions } from '../scripts/server-options.mjs';
import { httpRequest } from '../servers/http-request.ts';
import type { Kubernetes } from '../servers/kubernetes.ts';
import { ServerProcess } from '../servers/server-process.ts';
import type { PodSpec } from './helm-values.ts';

const bin = fileURLToPath(new URL('../packages/cli/bin/strongroom.mjs', import.meta.url));

/** A container of a pod as a process of this machine. */
export interface PodProcess {
  readonly url: string;
  readonly process: ServerProcess;
}

/**
 * Does what the kubelet would: mounts what the pod names, as the cluster has it, below `root`, and starts what it starts, with the
 * variables that it has and no others; then waits for its readiness probe. Paths of mounts are mapped, in variables and in
 * ConfigMaps.
 *
 * @param root what is in it stays, like a volume
 */
export async function startPod(
  kubernetes: Kubernetes,
  namespace: string,
  { containers: [container], volumes }: PodSpec,
  root: string,
  caCertificate?: string,
): Promise<PodProcess> {
  // All at once: `root` may be below a path that is a mount, too.
  const places = container.volumeMounts
    .map(({ mountPath }) => mountPath)
    .toSorted((one, other) => other.length - one.length);
  const mounts = new RegExp(`(^|[\\s"'])(${places.join('|')})/`, 'g');
  const mapped = (text: string): string => text.replaceAll(mounts, `$1${root}$2/`);
  const dataOf = async (kind: string, name: string): Promise<Readonly<Record<string, string>>> => {
    const { status, body } = await kubernetes.request<{ readonly data: Readonly<Record<string, string>> }>(
      'GET',
      `/api/v1/namespaces/${namespace}/${kind}/${name}`,
    );
    if (status !== 200) throw new Error(`The pod names ${kind}/${name}: ${status}`);
    return body.data;
  };
  const write = (path: string, content: string | Buffer | undefined): void => {
    if (content === undefined) throw new Error(`The pod names a key for ${path} that isn't there`);
    mkdirSync(dirname(path), { recursive: true });
    // The kubelet gives it to the pod's group; here it is of the user who runs this.
    writeFileSync(path, content, { mode: 0o600 });
  };
  for (const { name, mountPath } of container.volumeMounts) {
    const folder = `${root}${mountPath}`;
    mkdirSync(folder, { recursive: true });
    const volume = volumes.find((candidate) => candidate.name === name);
    if (volume?.configMap !== undefined)
      for (const [file, text] of Object.entries(await dataOf('configmaps', volume.configMap.name)))
        write(join(folder, file), mapped(text));
    for (const { secret, configMap } of volume?.projected?.sources ?? []) {
      const data = secret === undefined ? {} : await dataOf('secrets', secret.name);
      for (const { key, path } of secret?.items ?? [])
        write(join(folder, path), data[key] === undefined ? undefined : Buffer.from(data[key], 'base64'));
      const texts = configMap === undefined ? {} : await dataOf('configmaps', configMap.name);
      for (const { key, path } of configMap?.items ?? []) write(join(folder, path), texts[key]);
    }
  }
  const environment = {
    // Of the image.
    NODE_ENV: 'production',
    XDG_CACHE_HOME: join(root, 'tmp'),
    // Kubernetes sets it in every pod.
    KUBERNETES_SERVICE_HOST: '10.0.0.1',
    KUBERNETES_PORT: 'tcp://10.0.0.1:443',
    ...Object.fromEntries(container.env.map(({ name, value }) => [name, mapped(value)])),
  };
  const child = new ServerProcess(process.execPath, [...serverOptions, '--', bin, ...container.args], environment);
  const { path, scheme } = container.readinessProbe.httpGet;
  const port = container.ports.find(({ name }) => name === 'api')?.containerPort;
  const url = `${scheme.toLowerCase()}://127.0.0.1:${port}`;
  await child.until(async () => {
    const answer = await httpRequest(`${url}${path}`, { caCertificate }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') return undefined;
      throw error;
    });
    return answer?.status === 200 || undefined;
  });
  return { url, process: child };
}
