// HashiCorp Vault for tests. `node servers/vault.ts [--tls] [--sealed | --uninitialised] [--standby]` starts one by hand.
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runUntilInterrupted } from './command.ts';
import { installGoPrograms } from './go-programs.ts';
import { removeFolder, temporaryFolder } from './lifetime.ts';
import { isMissing, type LiveServer, locate } from './live-server.ts';
import { ServerProcess } from './server-process.ts';
import { RunningVault, type Vault, type VaultOptions } from './vault-server.ts';

const variable = 'STRONGROOM_LIVE_VAULT';

export const vault: LiveServer = {
  name: 'vault',
  async install(progress) {
    const name = 'vault';
    const built = await installGoPrograms(
      { name, version: '1.21.4', module: 'vault', packages: ['strongroom/servers/vault'], buildMinutes: 8 },
      progress,
    );
    return isMissing(built) ? built : { environment: { [variable]: built.folder } };
  },
};

/**
 * Starts Vault on loopback; it has KV v2 at `secret/`, KV v1 at `kv1/` and a file audit device. AppRole, jwt, kubernetes and
 * userpass are there for `sys/auth`. It ends with this process at the latest.
 */
export async function startVault(options: VaultOptions = {}): Promise<Vault> {
  const program = join(await locate(vault, variable), 'vault');
  const folder = options.dir ?? temporaryFolder('strongroom-vault');
  const tlsFolder = join(folder, 'tls');
  mkdirSync(tlsFolder, { recursive: true });
  const child = new ServerProcess(program, [
    '-address',
    `127.0.0.1:${options.port ?? 0}`,
    ...(options.dir === undefined ? [] : ['-data', join(folder, 'data')]),
    ...(options.tls === true ? ['-tls', tlsFolder] : []),
    ...(options.standby === true ? ['-standby'] : []),
  ]);
  try {
    const [, url = ''] = await child.prints(/^vault listens on (\S+)$/m);
    const caCertificate = options.tls === true ? readFileSync(join(tlsFolder, 'ca.pem'), 'utf8') : undefined;
    const server = new RunningVault(child, folder, url, caCertificate, options.dir === undefined);
    if (options.state !== 'uninitialised') await server.open();
    if (options.standby === true) {
      const [, standbyUrl = ''] = await child.prints(/^standby listens on (\S+)$/m);
      await server.openStandby(standbyUrl);
    }
    if (options.state === 'sealed') await server.seal();
    return server;
  } catch (error) {
    await child.stop();
    if (options.dir === undefined) removeFolder(folder);
    throw error;
  }
}

if (import.meta.main) {
  const has = (option: string): boolean => process.argv.includes(option);
  const state = has('--sealed') ? 'sealed' : has('--uninitialised') ? 'uninitialised' : 'unsealed';
  await runUntilInterrupted(
    () => startVault({ tls: has('--tls'), standby: has('--standby'), state }),
    (server) => ({
      VAULT_ADDR: server.url,
      VAULT_TOKEN: server.rootToken,
      'unseal key': server.unsealKey,
      'audit log': server.auditLogPath,
      ...(server.standbyUrl === undefined ? {} : { standby: server.standbyUrl }),
      ...(server.caCertificate === undefined
        ? {}
        : { VAULT_CACERT: join(dirname(server.auditLogPath), 'tls', 'ca.pem') }),
    }),
  );
}
