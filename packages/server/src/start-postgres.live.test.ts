import { describe, expect, it } from 'vitest';
import { allRoutes } from '../testing/conformance.ts';
import { openMatrixWorld } from '../testing/matrix-world.ts';
import { postgresUnavailable, startPostgres } from '../testing/postgres.ts';
import { goodCall } from '../testing/recipes.ts';

const missing = postgresUnavailable();
const note = missing === undefined ? '' : ` (skipped: ${missing})`;

describe.skipIf(missing !== undefined)(`every route on PostgreSQL${note}`, () => {
  it('does what it declares when it is asked rightly', async () => {
    const postgres = await startPostgres();
    const world = await openMatrixWorld({ STRONGROOM_DATABASE_URL: await postgres.createDatabase('icu') });
    const failed: string[] = [];
    for (const route of allRoutes) {
      const { path, ...options } = await goodCall(world, route);
      const answer = await world.test.request(route.method, path, options);
      if (answer.status !== route.status) failed.push(`${route.id}: ${answer.status} ${answer.text}`);
    }
    expect(failed).toEqual([]);
    expect(world.conformance.problems).toEqual([]);
    await world.test.close();
    await postgres.stop();
  });
});
