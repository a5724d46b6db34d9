// Helm, for the tests of the chart in `deploy/helm`.
import { join } from 'node:path';
import { installGoPrograms } from './go-programs.ts';
import { removeFolder, temporaryFolder } from './lifetime.ts';
import { isMissing, type LiveServer, locate } from './live-server.ts';
import { type Ended, runProgram } from './run-program.ts';

const variable = 'STRONGROOM_LIVE_HELM';

export const helm: LiveServer = {
  name: 'helm',
  async install(progress) {
    const programs = await installGoPrograms(
      { name: 'helm', version: '4.3.1', module: 'helm', packages: ['helm.sh/helm/v4/cmd/helm'], buildMinutes: 5 },
      progress,
    );
    if (isMissing(programs)) return programs;
    return { environment: { [variable]: programs.folder } };
  },
};

export interface Helm {
  /** `helm ARGS`; `stdin` is what `--values -` reads. Resolves also when it fails. */
  run(args: readonly string[], stdin?: string): Promise<Ended>;
  /** {@link run} that has to succeed; its output. */
  must(args: readonly string[], stdin?: string): Promise<string>;
  close(): void;
}

/** Helm with folders of its own. @param kubeconfigPath of the cluster, where it is to have one */
export async function openHelm(kubeconfigPath = '/dev/null'): Promise<Helm> {
  const program = join(await locate(helm, variable), 'helm');
  const folder = temporaryFolder('strongroom-helm');
  const environment = {
    KUBECONFIG: kubeconfigPath,
    // Where it keeps what a cluster serves; without it that is the working folder.
    HOME: folder,
    HELM_CACHE_HOME: join(folder, 'cache'),
    HELM_CONFIG_HOME: join(folder, 'config'),
    HELM_DATA_HOME: join(folder, 'data'),
  };
  const run: Helm['run'] = (args, stdin = '') => runProgram(program, args, { environment, stdin });
  return {
    run,
    async must(args, stdin) {
      const { code, stdout, stderr } = await run(args, stdin);
      if (code !== 0) throw new Error(`helm ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
      return stdout;
    },
    close: () => removeFolder(folder),
  };
}
