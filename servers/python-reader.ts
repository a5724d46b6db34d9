// Python with what the one-file reader of clients/python needs.
import { join } from 'node:path';
import { isMissing, type LiveServer, locate } from './live-server.ts';
import { installPythonPrograms } from './python-programs.ts';

const variable = 'STRONGROOM_LIVE_PYTHON_READER';

export const pythonReader: LiveServer = {
  name: 'python-reader',
  async install(progress) {
    const wanted = { name: 'python-reader', version: '1.6.1', requirements: 'python-reader/requirements.txt' };
    const made = await installPythonPrograms(wanted, progress);
    return isMissing(made) ? made : { environment: { [variable]: made.folder } };
  },
};

/** The interpreter that has jwcrypto. */
export async function locatePython(): Promise<string> {
  return join(await locate(pythonReader, variable), 'bin', 'python');
}
