// What is started by the name of its file, and so is an entry of a bundle.
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Files by the names they get in a bundle. */
export type Entries = Readonly<Record<string, string>>;

const root = fileURLToPath(new URL('..', import.meta.url));
const store = join(root, 'packages/server/src/store');

/** The program, and what its threads start with: these find each other by name, beside themselves. */
export const programEntries: Entries = {
  main: join(root, 'packages/cli/src/main.ts'),
  writer: join(store, 'writer.ts'),
  reader: join(store, 'reader.ts'),
  'backup-thread': join(store, 'backup-thread.ts'),
  program: join(store, 'program.ts'),
};

/** All of the program, and what tests start in place of it. */
export const testEntries: Entries = {
  ...programEntries,
  ...Object.fromEntries(
    globSync('packages/server/testing/*-{child,program}.ts', { cwd: root }).map((path) => [
      basename(path, '.ts'),
      join(root, path),
    ]),
  ),
  'access-program': join(root, 'packages/server/src/access/testing/program.ts'),
  'identities-program': join(root, 'packages/server/src/identities/testing/program.ts'),
};

/** Among the packages, so that what is in no bundle is found. */
export const testBundlesFolder = new URL('../node_modules/.cache/strongroom-tests/', import.meta.url);
