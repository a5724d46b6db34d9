import { createEgress } from '@strongroom/backends/egress';
import { expect, it } from 'vitest';
import { checkAddresses, declarationOf } from './connection.ts';

it('takes addresses of the vendor through a proxy that does not list them, and no others', async () => {
  const egress = createEgress({ allow: [], allowLoopback: false, proxy: new URL('http://127.0.0.1:9') });
  const { vendorHosts } = declarationOf('AZURE');
  const check = (vaultUrl: string, vendor = vendorHosts) =>
    checkAddresses(() => Promise.resolve(egress), { vaultUrl }, vendor).then(
      () => 'taken',
      (error: { readonly code?: string }) => error.code,
    );
  expect(await check('https://finance.vault.azure.net')).toBe('taken');
  expect(await check('https://finance.vault.azure.net', [])).toBe('egress_denied');
  expect(await check('https://finance.vault.azure.net:8443')).toBe('egress_denied');
  expect(await check('https://finance.vault.azure.net.example.com')).toBe('egress_denied');
  expect(await check('https://vault.example.com')).toBe('egress_denied');
  await egress.close();
});
