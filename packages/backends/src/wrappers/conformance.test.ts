import { afterAll, beforeAll } from 'vitest';
import { checksNeeding, describeConformance } from '../../testing/conformance.ts';
import { ReferenceFixture } from '../../testing/reference/fixture.ts';
import type { Backend } from '../backend.ts';
import { faulty } from './faulty.ts';
import { limited } from './limited.ts';
import { traced } from './traced.ts';

let fixture: ReferenceFixture;
beforeAll(async () => {
  fixture = await ReferenceFixture.start();
});
afterAll(() => fixture.stop());

const wrappers: Readonly<Record<string, (backend: Backend) => Backend>> = {
  limited: (backend) => limited(backend, { maxConcurrent: 4 }),
  'traced around faulty': (backend) =>
    traced(
      faulty(backend, () => null),
      () => undefined,
    ),
};

for (const [name, wrap] of Object.entries(wrappers)) {
  describeConformance(name, () => fixture.context(wrap), { expectedSkips: checksNeeding('existing keys') });
}
