import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '@strongroom/server/testing/app.ts';
import { Canaries } from '@strongroom/server/testing/canaries.ts';
import { type LoopbackCluster, openLoopbackCluster } from '@strongroom/server/testing/loopback-cluster.ts';
import { type LoopbackVault, openLoopbackVault } from '@strongroom/server/testing/loopback-vault.ts';
import { runScript } from './testing/run-script.ts';

const scripts = fileURLToPath(new URL('../testdata/', import.meta.url));
const names = readdirSync(scripts).filter((name) => name.endsWith('.txt'));

describe('scripts', () => {
  let server: TestServer;
  let folder: string;
  const canaries = new Canaries();
  const vaultToken = canaries.plain('the token of Vault');
  let vault: LoopbackVault;
  let cluster: LoopbackCluster;

  beforeAll(async () => {
    vault = await openLoopbackVault({
      token: vaultToken,
      secrets: { 'app/db': { value: canaries.plain('a value in Vault') }, 'app/smtp/password': { value: 'x' } },
    });
    cluster = await openLoopbackCluster();
    canaries.add('the token of the cluster', cluster.token);
    server = await startTestServer();
    folder = mkdtempSync(join(tmpdir(), 'strongroom-cli-'));
  });
  afterAll(async () => {
    await server.close();
    await vault.close();
    await cluster.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(names)('%s', async (name) => {
    const domain = name.replace(/\.txt$/, '');
    const own = join(folder, domain);
    mkdirSync(own);
    await expect(
      runScript(name, readFileSync(join(scripts, name), 'utf8'), {
        folder: own,
        canaries,
        serverErrors: () =>
          server.logged
            .filter(({ level }) => level === 'error' || level === 50)
            .slice(-3)
            .map((line) => JSON.stringify(line))
            .join('\n'),
        variables: {
          DOMAIN: domain,
          ADMIN: server.adminToken,
          URL: server.url,
          HOME: own,
          DATA: server.dataDir,
          VAULT: vault.url,
          VAULT_TOKEN: vaultToken,
          CLUSTER: cluster.url,
          CLUSTER_TOKEN: cluster.token,
          CLUSTER_AUTHORITY: cluster.caCertificate,
        },
      }),
    ).resolves.toBeUndefined();
  });

  it('no value is in any output, nor in what the server keeps', () => {
    canaries.watchDirectory(server.dataDir);
    canaries.saw('log', JSON.stringify(server.logged));
    expect(canaries.leaks()).toEqual([]);
  });
});
