import { type AzureWorld, canServeTls, startAzureWorld } from '@strongroom/backends/testing/azure.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { finance } from '../../testing/integration-world.ts';
import { launchWith } from '../../testing/workload.ts';
import { loadBackend } from './load-backend.ts';

describe.skipIf(!canServeTls)('an integration with a double of Azure Key Vault', () => {
  const canaries = new Canaries();
  let world: AzureWorld;
  let test: TestServer;

  beforeAll(async () => {
    world = await startAzureWorld();
    canaries.add('the client secret', world.vault.clientSecret);
    world.vault.set('reports-api', canaries.text('a password'));
    test = await startTestServer(
      {},
      { canaries, loadBackend: async (type) => (type === 'AZURE' ? world.definition : loadBackend(type)) },
    );
    await test.createDomain('finance');
  });
  afterAll(async () => {
    await test.close();
    await world[Symbol.asyncDispose]();
  });

  it('is tried, made and read from, and tells what was rotated there without reading it', async () => {
    const form = {
      type: 'AZURE',
      settings: world.settings,
      credentials: { clientSecret: world.vault.clientSecret },
    };
    const tried = await test.call('POST', `${finance}/integrations/test`, { body: form });
    expect(tried).toMatchObject({ ok: true });
    await test.call('POST', `${finance}/integrations`, { body: { name: 'azure-prod', ...form } });
    const worker = await test.createServiceAccount('finance', 'worker', { preset: 'MEMBER', grants: ['RESOLVE'] });
    const reference = 'secret://domain/azure-prod/reports-api';
    const id = await launchWith(test, worker.token, reference);
    const drifted = async () => {
      await test.server.services.sourceVersions.round(AbortSignal.timeout(20_000), -1);
      return (
        await test.call<{ items: { readonly version: string; readonly currentVersion: string }[] }>(
          'GET',
          `${finance}/drift`,
        )
      ).items;
    };
    expect(await drifted()).toEqual([]);
    world.vault.set('reports-api', canaries.text('another password'));
    const before = world.vault.requests.length;
    const [found, ...others] = await drifted();
    expect([found, others]).toMatchObject([
      { launch: id, reference, version: expect.stringMatching(/^[\da-f]{32}$/) },
      [],
    ]);
    expect(found?.currentVersion).not.toBe(found?.version);
    // Versions are listed; a value is read at the address of its secret.
    const asked = world.vault.requests.slice(before);
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.filter((request) => !/^GET \/secrets\/reports-api\/versions\b/.test(request))).toEqual([]);
  });

  it('leaves no credential and no value anywhere', async () => {
    await expect(test.assertNoLeak()).resolves.toBeUndefined();
  });
});
