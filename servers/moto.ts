// AWS for tests: Secrets Manager, KMS, S3, STS and IAM as moto has them, in memory. `node servers/moto.ts` starts it by hand.
import { join } from 'node:path';
import { runUntilInterrupted } from './command.ts';
import { httpRequest } from './http-request.ts';
import { isMissing, type LiveServer, locate } from './live-server.ts';
import { installPythonPrograms } from './python-programs.ts';
import { ServerProcess } from './server-process.ts';

const variable = 'STRONGROOM_LIVE_MOTO';

export const moto: LiveServer = {
  name: 'moto',
  async install(progress) {
    const wanted = { name: 'moto', version: '5.2.5', requirements: 'moto/requirements.txt' };
    const made = await installPythonPrograms(wanted, progress);
    return isMissing(made) ? made : { environment: { [variable]: made.folder } };
  },
};

export interface Moto {
  /** The endpoint of every service. Any region and any key are taken: https://docs.getmoto.org/en/latest/docs/server_mode.html */
  readonly url: string;
  readonly pid: number;
  /** Forgets everything. */
  reset(): Promise<void>;
  /** Kills it. */
  stop(): Promise<void>;
}

/** Starts moto on loopback; it ends with this process at the latest. */
export async function startMoto(): Promise<Moto> {
  const folder = await locate(moto, variable);
  const child = new ServerProcess(join(folder, 'bin', 'moto_server'), ['-H', '127.0.0.1', '-p', '0']);
  try {
    const [, url = ''] = await child.prints(/Running on (http:\S+)/);
    return {
      url,
      pid: child.pid,
      async reset() {
        const { status } = await httpRequest(`${url}/moto-api/reset`, { method: 'POST' });
        if (status !== 200) throw new Error(`moto can't be reset: ${status}`);
      },
      stop: () => child.stop(),
    };
  } catch (error) {
    await child.stop();
    throw error;
  }
}

if (import.meta.main)
  await runUntilInterrupted(startMoto, ({ url }) => ({
    AWS_ENDPOINT_URL: url,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'any',
    AWS_SECRET_ACCESS_KEY: 'any',
  }));
