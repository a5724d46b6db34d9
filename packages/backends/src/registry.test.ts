import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { backendDeclarations } from '@strongroom/contract';
import { expect, it } from 'vitest';
import { clouds } from './azure/clouds.ts';
import { registry } from './registry.ts';

const child = fileURLToPath(new URL('../testing/loaded-modules-child.ts', import.meta.url));
/** Of the vendors' SDKs, what a process has loaded. */
function loadedSdks(...args: string[]): string[] {
  const packages = JSON.parse(execFileSync(process.execPath, [child, ...args], { encoding: 'utf8' })) as string[];
  return packages.filter((name) => /^(?:@(?:aws-sdk|azure|google-cloud|grpc)\/|google-)/.test(name));
}

it('has code for every kind that the contract declares', async () => {
  expect(Object.keys(registry).toSorted()).toEqual(Object.keys(backendDeclarations).toSorted());
  for (const load of Object.values(registry))
    expect((await load()).capabilities.valueOf()).toMatchObject({ put: false });
});

it('loads an SDK when an integration that needs it is opened, and not before', () => {
  expect(loadedSdks()).toEqual([]);
  // All in one process: what none of them loads, each does not.
  expect(loadedSdks(Object.keys(registry).join())).toEqual([]);
  const aws = { region: 'eu-central-1', authentication: { method: 'access-key', accessKeyId: 'AKIA0123456789012345' } };
  const loaded = loadedSdks('AWS', JSON.stringify(aws));
  expect(loaded).toContain('@aws-sdk/client-secrets-manager');
  expect(loaded).not.toContain('@aws-sdk/client-sts');
  expect(loaded.filter((name) => !name.startsWith('@aws-sdk/'))).toEqual([]);
  const clientId = '11111111-2222-4333-8444-555555555555';
  const azure = {
    vaultUrl: 'https://finance.vault.azure.net',
    authentication: { method: 'client-secret', tenantId: clientId, clientId },
  };
  const forAzure = loadedSdks('AZURE', JSON.stringify(azure));
  expect(forAzure).toContain('@azure/keyvault-secrets');
  expect(forAzure.filter((name) => !name.startsWith('@azure/'))).toEqual([]);
  const google = { project: 'finance-prod', authentication: { method: 'service-account' } };
  const forGoogle = loadedSdks('GOOGLE', JSON.stringify(google));
  expect(forGoogle).toContain('@google-cloud/secret-manager');
  expect(forGoogle.filter((name) => /^@(?:aws-sdk|azure)\//.test(name))).toEqual([]);
});

it('knows the vaults of every cloud of Azure as the vendor’s own', () => {
  const suffixes = Object.values(clouds).map(({ vaultSuffix }) => vaultSuffix);
  expect(suffixes.toSorted()).toEqual(backendDeclarations.AZURE.vendorHosts.toSorted());
});
