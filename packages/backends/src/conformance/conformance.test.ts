import { afterAll, beforeAll } from 'vitest';
import { checksNeeding, describeConformance } from '../../testing/conformance.ts';
import { referenceCapabilities } from '../../testing/reference/backend.ts';
import { ReferenceFixture } from '../../testing/reference/fixture.ts';

let fixture: ReferenceFixture;
beforeAll(async () => {
  fixture = await ReferenceFixture.start();
});
afterAll(() => fixture.stop());

describeConformance('the reference backend', () => fixture.context(), {
  expectedSkips: checksNeeding('existing keys'),
});

describeConformance(
  'the reference backend, read only and without lists',
  () => {
    const capabilities = { ...referenceCapabilities, list: false, put: false, delete: false, cas: false, batch: 1 };
    return { ...fixture.context((backend) => backend, capabilities), keepsEmpty: false, shapes: ['fields'] };
  },
  {
    expectedSkips: checksNeeding('existing keys', 'list', 'put', 'delete', 'cas', 'empty', 'binary'),
  },
);
