import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReferenceFixture } from '@strongroom/backends/testing/reference.ts';
import { kekFromBytes } from '@strongroom/crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { drill, type DrillPlace } from '../../testing/managed-kills.ts';

let fixture: ReferenceFixture;
let place: DrillPlace;

beforeAll(async () => {
  fixture = await ReferenceFixture.start();
  const { port, token } = fixture.server;
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-intents-'));
  place = { directory, kek: kekFromBytes(randomBytes(32)), store: { kind: 'reference', port, token } };
});
afterAll(async () => {
  rmSync(place.directory, { recursive: true });
  await fixture.stop();
});

/** All pairs, also over the real stores, are in `bench/drills/intents.ts` and the live tests. */
it('leaves the old state or the new one, whole, wherever a process is killed', async () => {
  const outcomes = await drill(place, [
    ['rotate', 'intent'],
    ['rotate', 'putting'],
    ['rotate', 'put'],
    ['rotate', 'committing'],
    ['create', 'put'],
    ['purge', 'put'],
  ]);
  expect(outcomes.filter((outcome) => !outcome.startsWith('rotate putting'))).toEqual([
    'rotate intent: old',
    'rotate put: new',
    'rotate committing: new',
    'create put: new',
    'purge put: new',
  ]);
});
