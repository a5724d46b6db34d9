// Jupyter for tests: its server and the Python kernel. The product starts it itself; here it is only installed.
import { join } from 'node:path';
import { isMissing, type LiveServer, locate } from './live-server.ts';
import { installPythonPrograms } from './python-programs.ts';

const variable = 'STRONGROOM_LIVE_JUPYTER';

export const jupyter: LiveServer = {
  name: 'jupyter',
  async install(progress) {
    const wanted = { name: 'jupyter', version: '2.21.1', requirements: 'jupyter/requirements.txt', isForJobs: true };
    const made = await installPythonPrograms(wanted, progress);
    return isMissing(made) ? made : { environment: { [variable]: made.folder } };
  },
};

/** The folder that has `jupyter`, for a `PATH`. */
export async function jupyterPrograms(): Promise<string> {
  return join(await locate(jupyter, variable), 'bin');
}
