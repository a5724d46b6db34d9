import { SecretValue } from '@strongroom/crypto';
import { afterAll, beforeAll, describe } from 'vitest';
import { type AzureWorld, startAzureWorld } from '../../testing/azure-double.ts';
import { canServeTls } from '../../testing/certificate.ts';
import { checksNeeding, describeConformance } from '../../testing/conformance.ts';

describe.skipIf(!canServeTls)('against a double of Azure Key Vault (certificates made by openssl)', () => {
  let world: AzureWorld;
  beforeAll(async () => {
    world = await startAzureWorld();
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const answer = (status: number, body: (echo: string) => unknown, type = 'application/json') =>
    world.answering((echo) => ({ status, headers: { 'content-type': type, 'x-echo': echo }, body: body(echo) }));

  describeConformance(
    'Azure Key Vault',
    () => ({
      open: async () => world.open(),
      place: world.place,
      keyKinds: ['upper-case', 'long'],
      shapes: ['text'],
      unknownVersion: '0'.repeat(32),
      sizes: { keyCharacters: 127 },
      faults: {
        unreachable: world.proxy.fault('unreachable'),
        cut: world.proxy.fault('cut'),
        hanging: world.proxy.fault('hanging'),
        failing: answer(500, (echo) => ({ error: { code: echo, message: echo } })),
        throttled: answer(429, (echo) => ({ error: { code: 'Throttled', message: echo } })),
        denied: answer(403, (echo) => ({ error: { code: 'Forbidden', message: echo } })),
        malformed: answer(200, (echo) => `<!doctype html><title>${echo}</title>`, 'text/html'),
      },
      credentials: [SecretValue.fromText(world.vault.clientSecret)],
    }),
    {
      expectedSkips: checksNeeding(
        'put',
        'delete',
        'binary',
        'fields',
        'existing keys',
        'fault sealed',
        'foreign.beside',
        'foreign.inPlaceOf',
      ),
    },
  );
});
