import type { Backend } from '../../src/backend.ts';
import type { ConformanceContext } from '../../src/conformance/index.ts';
import type { ReferenceFixture } from './fixture.ts';

/** Something that is wrong with a backend, and the checks that are there for it. */
export interface Defect {
  readonly title: string;
  /** Name of each check that must fail, and a part of what it says. */
  readonly caughtBy: Readonly<Record<string, string>>;
  /** Around each instance. */
  readonly plant: (backend: Backend, fixture: ReferenceFixture) => Backend;
  /** What else the suite is told. */
  readonly adjust?: (context: ConformanceContext, fixture: ReferenceFixture) => ConformanceContext;
}
