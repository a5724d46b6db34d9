// What is started by the name of its file, and so is an entry of a bundle.
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Files by the names they get in a bundle. */
export type Entries = Readonly<Record<string, string>>;

const root = fileURLToPath(new URL('..', import.meta.url));
const store = join(root, 'packages/server/src/store');

/**
 * What a bundle is made of: twice, as a thread of a store takes half as long to start from modules of its own, which have
 * nothing in them that the server alone uses.
 */
export interface BundleEntries {
  /** What processes start with, or load by URL. */
  readonly processes: Entries;
  /** What threads start with, or load by URL. */
  readonly threads: Entries;
}

const program: Entries = { program: join(store, 'program.ts') };
const threads: Entries = {
  writer: join(store, 'writer.ts'),
  reader: join(store, 'reader.ts'),
  'backup-thread': join(store, 'backup-thread.ts'),
};
const testPrograms: Entries = {
  ...ofTests('*-program.ts'),
  'access-program': join(root, 'packages/server/src/access/testing/program.ts'),
  'identities-program': join(root, 'packages/server/src/identities/testing/program.ts'),
};

export const programEntries: BundleEntries = {
  processes: { main: join(root, 'packages/cli/src/main.ts'), ...program },
  threads: { ...threads, ...program },
};

/** All of the program, and what tests start in place of it. */
export const testEntries: BundleEntries = {
  processes: { ...programEntries.processes, ...testPrograms, ...ofTests('*-child.ts') },
  threads: { ...programEntries.threads, ...testPrograms },
};

function ofTests(pattern: string): Entries {
  const paths = globSync(`packages/server/testing/${pattern}`, { cwd: root });
  return Object.fromEntries(paths.map((path) => [basename(path, '.ts'), join(root, path)]));
}

/** Among the packages, so that what is in no bundle is found. */
export const testBundlesFolder = new URL('../node_modules/.cache/strongroom-tests/', import.meta.url);
