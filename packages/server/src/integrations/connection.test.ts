import { rootCertificates } from 'node:tls';
import { createEgress } from '@strongroom/backends/egress';
import { backendDeclarations } from '@strongroom/contract';
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

it('takes authorities in PEM, each of which can be read', async () => {
  const egress = createEgress({ allow: [], allowLoopback: true });
  const [one = '', other = ''] = rootCertificates;
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  const check = (caCertificate: string) =>
    checkAddresses(() => Promise.resolve(egress), { address: 'http://127.0.0.1:8200', caCertificate }).then(
      () => 'taken',
      (error: { readonly code?: string; readonly errors?: readonly { readonly pointer: string }[] }) => [
        error.code,
        error.errors?.map(({ pointer }) => pointer),
      ],
    );
  for (const good of [one, `\n${one}\n${other}`]) expect(await check(good)).toBe('taken');
  for (const bad of [broken, `${one}\n${broken}`, `${broken}${one}`, one.slice(0, 200), one.replaceAll('\n', ' '), ''])
    expect(await check(bad)).toEqual(['validation_failed', ['/settings/caCertificate']]);
  await egress.close();
});

/** JSON pointers of all members that a schema has, whichever of its variants they are of. */
function pointersIn(schema: object, above = ''): string[] {
  const members = 'properties' in schema ? Object.entries(schema.properties as Readonly<Record<string, object>>) : [];
  const own = members.flatMap(([name, member]) => [`${above}/${name}`, ...pointersIn(member, `${above}/${name}`)]);
  const variants = 'anyOf' in schema ? (schema.anyOf as readonly object[]) : [];
  return [...own, ...variants.flatMap((variant) => pointersIn(variant, above))];
}

it.each(Object.values(backendDeclarations))(
  'asks for the credentials of $type again by settings that there are, each address among them',
  ({ settings, rebinds }) => {
    const pointers = new Set(pointersIn(settings));
    expect(rebinds.filter((pointer) => !pointers.has(pointer))).toEqual([]);
    const addresses = [...pointers].filter((pointer) => /address|url|endpoint|\/method$/i.test(pointer));
    expect(addresses.filter((pointer) => !(rebinds as readonly string[]).includes(pointer))).toEqual([]);
  },
);
