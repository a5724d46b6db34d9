import { readFile } from 'node:fs/promises';
import { StrongroomError } from '@strongroom/contract/core';

const namespaceFile = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';
const namespacePattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The namespace of the ServiceAccount that this pod has; `default` where there is none. The same for the server and for
 * workloads.
 *
 * @param path for tests
 * @throws StrongroomError `validation_failed` when the file isn't a namespace, or can't be read though it is there
 */
export async function detectNamespace(path = namespaceFile): Promise<string> {
  const text = await readIfThere(path);
  if (text === null) return 'default';
  const namespace = text.trim();
  if (namespacePattern.test(namespace)) return namespace;
  throw new StrongroomError('validation_failed', { detail: `The file ${path} does not hold the name of a namespace.` });
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
