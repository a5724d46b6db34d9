import type { ConformanceCheck } from '../check.ts';
import { askedVersionChecks } from './asked-versions.ts';
import { basicChecks } from './basics.ts';
import { deletingChecks } from './deleting.ts';
import { expectationChecks } from './expectations.ts';
import { faultChecks } from './faults.ts';
import { foreignChecks } from './foreign.ts';
import { leakChecks } from './leaks.ts';
import { limitChecks } from './limits.ts';
import { listingChecks } from './listing.ts';
import { manyChecks } from './many.ts';
import { nameChecks } from './names.ts';
import { readingChecks } from './reading.ts';
import { signalChecks } from './signals.ts';
import { versionChecks } from './versions.ts';
import { writingChecks } from './writing.ts';

/** Every check, in the order in which they run: what the later ones rely on comes first. */
export const conformanceChecks: readonly ConformanceCheck[] = [
  ...basicChecks,
  ...readingChecks,
  ...versionChecks,
  ...askedVersionChecks,
  ...manyChecks,
  ...nameChecks,
  ...listingChecks,
  ...writingChecks,
  ...expectationChecks,
  ...limitChecks,
  ...deletingChecks,
  ...foreignChecks,
  ...faultChecks,
  ...signalChecks,
  ...leakChecks,
];
