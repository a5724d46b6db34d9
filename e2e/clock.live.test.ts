// @needs faketime
import { describe, expect, it } from 'vitest';
import { clockOfOne, clockOfOneOfTwo } from '../bench/drills/clock-drill.ts';
import { postgresUnavailable } from '../packages/server/testing/postgres.ts';

const missing = postgresUnavailable();
const note = missing === undefined ? '' : ` (skipped: ${missing})`;

describe.skipIf((process.env['STRONGROOM_LIVE_FAKETIME'] ?? '') === '')('a clock that is set by ten minutes', () => {
  it('disturbs nothing of a server under load', async () => {
    expect(await clockOfOne()).toContain('audit records verify');
  });

  it.skipIf(missing !== undefined)(`disturbs nothing where it is one of two servers’${note}`, async () => {
    expect(await clockOfOneOfTwo()).toContain('audit records verify');
  });
});
