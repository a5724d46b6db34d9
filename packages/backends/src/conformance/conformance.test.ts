import { afterAll, beforeAll } from 'vitest';
import { describeConformance } from '../../testing/conformance.ts';
import { ReferenceFixture } from '../../testing/reference/fixture.ts';

let fixture: ReferenceFixture;
beforeAll(async () => {
  fixture = await ReferenceFixture.start();
});
afterAll(() => fixture.stop());

describeConformance('the reference backend', () => fixture.context(), { expectedSkips: ['list-known-keys'] });
