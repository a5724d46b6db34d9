import { SecretValue } from '@strongroom/crypto';
import { grpc } from 'google-gax';
import { afterAll, beforeAll, describe } from 'vitest';
import { canServeTls } from '../../testing/certificate.ts';
import { checksNeeding, describeConformance } from '../../testing/conformance.ts';
import { type GoogleWorld, startGoogleWorld } from '../../testing/google-double.ts';

describe.skipIf(!canServeTls)('against a double of Google Secret Manager (certificates made by openssl)', () => {
  let world: GoogleWorld;
  beforeAll(async () => {
    world = await startGoogleWorld();
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const failing = (code: number) =>
    world.answering((echo) => ({ code, details: echo, metadata: { 'x-echo-bin': Buffer.from(echo) } }));

  describeConformance(
    'Google Secret Manager',
    () => ({
      open: async () => world.open(),
      place: world.place,
      keyKinds: ['upper-case', 'long'],
      shapes: ['text', 'binary'],
      keepsEmpty: false,
      unknownVersion: '999999999',
      sizes: { keyCharacters: 255 },
      faults: {
        unreachable: world.proxy.fault('unreachable'),
        cut: world.proxy.fault('cut'),
        hanging: world.proxy.fault('hanging'),
        failing: failing(grpc.status.INTERNAL),
        throttled: failing(grpc.status.RESOURCE_EXHAUSTED),
        denied: failing(grpc.status.PERMISSION_DENIED),
        malformed: world.answering((echo) => ({ bytes: Buffer.from(`<!doctype html><title>${echo}</title>`) })),
      },
      credentials: [world.tokens.serviceAccountKey, world.tokens.privateKey].map((text) => SecretValue.fromText(text)),
    }),
    {
      expectedSkips: checksNeeding(
        'put',
        'delete',
        'fields',
        'empty',
        'existing keys',
        'fault sealed',
        'foreign.beside',
        'foreign.inPlaceOf',
      ),
    },
  );
});
