import { join } from 'node:path';
import { isMissing, type LiveServer } from './live-server.ts';
import { installPythonPrograms } from './python-programs.ts';

/** Fuzzes the API from its own OpenAPI document: https://schemathesis.readthedocs.io. */
export const schemathesis: LiveServer = {
  name: 'schemathesis',
  async install(progress) {
    const requirements = 'schemathesis/requirements.txt';
    const made = await installPythonPrograms({ name: 'schemathesis', version: '4.32.5', requirements }, progress);
    if (isMissing(made)) return made;
    return { environment: { STRONGROOM_LIVE_SCHEMATHESIS: join(made.folder, 'bin', 'st') } };
  },
};
