// Python with what the one-file reader of clients/python needs.
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { isMissing, type LiveServer, locate } from './live-server.ts';
import { installPythonPrograms } from './python-programs.ts';

const variable = 'STRONGROOM_LIVE_PYTHON_READER';

export const pythonReader: LiveServer = {
  name: 'python-reader',
  async install(progress) {
    const requirements = 'python-reader/requirements.txt';
    const wanted = { name: 'python-reader', version: '1.6.1', requirements, isForJobs: true };
    const made = await installPythonPrograms(wanted, progress);
    return isMissing(made) ? made : { environment: { [variable]: made.folder } };
  },
};

/** The interpreter that has jwcrypto. */
export async function locatePython(): Promise<string> {
  return join(await locate(pythonReader, variable), 'bin', 'python');
}

/** Its packages, for the `PYTHONPATH` of another interpreter of the same version. */
export async function locatePythonPackages(): Promise<string> {
  const [packages] = globSync(join(await locate(pythonReader, variable), 'lib', 'python3.*', 'site-packages'));
  if (packages === undefined) throw new Error('The environment of the reader has no packages');
  return packages;
}
