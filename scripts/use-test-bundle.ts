// Vitest loads this before each file of tests: what that starts comes from the bundle of `test-bundle.ts`, while it is one of
// the sources as they are.
import { pathToFileURL } from 'node:url';
import { currentBundle } from '../packages/cli/bin/bundle.mjs';
import { findStartedModules } from '../packages/server/src/store/started-modules.ts';
import { type Entries, testBundlesFolder, testEntries } from './bundle-entries.ts';

let bundled: ReadonlyMap<string, URL> | undefined;

function findBundled(): ReadonlyMap<string, URL> {
  const current = currentBundle(testBundlesFolder);
  if (current === undefined) return new Map();
  const { processes, threads } = testEntries;
  // A program is loaded by threads: the process of a test has the sources of all.
  return new Map([...bundledAs(processes, './', current.main), ...bundledAs(threads, './threads/', current.main)]);
}

function bundledAs(entries: Entries, folder: string, main: URL): [source: string, bundled: URL][] {
  return Object.entries(entries).map(([name, path]) => [
    pathToFileURL(path).href,
    new URL(`${folder}${name}.js`, main),
  ]);
}

findStartedModules((module) => {
  bundled ??= findBundled();
  return bundled.get(module.href) ?? module;
});
