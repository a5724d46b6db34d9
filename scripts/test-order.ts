import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The order of projects: what starts programs and waits for them first, what has hundreds of small files last. */
const projects = ['machine-alone', 'machine-backends', 'machine', 'live'];

/** Small files that run for long: they kill processes, or run a whole contract or thousands of made-up worlds. */
const long = /(?:^|[.-])(?:conformance|kill|oracle|property|scripts|stores)\.test\.ts$/;

/** What takes longest begins first: nobody waits at the end for one file that began last. Of the rest, the largest first. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const bySize = await super.sort(files);
    const rank = ({ project, moduleId }: TestSpecification): number =>
      2 * projects.indexOf(project.name) + (long.test(basename(moduleId)) ? 0 : 1);
    return bySize.toSorted((a, b) => rank(a) - rank(b));
  }
}
