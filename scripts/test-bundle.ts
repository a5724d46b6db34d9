// Tests run the sources; what they start (threads of stores, processes that are killed) loads in a quarter of the time from a
// bundle of the same sources. It is made here, before the tests; `use-test-bundle.ts` lets them use it.
import { readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { currentBundle } from '../packages/cli/bin/bundle.mjs';
import { bundle } from './bundle.ts';
import { testBundlesFolder, testEntries } from './bundle-entries.ts';

const keptMilliseconds = 24 * 60 * 60 * 1000;

/** Vitest calls it once. Without a bundle the sources are started, which takes longer and shows the same. */
export async function setup(): Promise<void> {
  const directory = fileURLToPath(testBundlesFolder);
  try {
    const id = currentBundle(testBundlesFolder)?.id ?? (await bundle(directory, testEntries, ['vitest']));
    const now = new Date();
    utimesSync(join(directory, id), now, now);
    removeUnused(directory);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    process.stderr.write(`What tests start could not be bundled and is started from its sources: ${error.message}\n`);
  }
}

/** Not at once: another run may use it still. */
function removeUnused(directory: string): void {
  for (const { name } of readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    const folder = join(directory, name);
    if (Date.now() - statSync(folder).mtimeMs > keptMilliseconds) rmSync(folder, { recursive: true, force: true });
  }
}
