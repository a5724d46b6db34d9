// Vitest loads this before each file of tests: what that starts comes from the bundle of `test-bundle.ts`, while it is one of
// the sources as they are.
import { pathToFileURL } from 'node:url';
import { currentBundle } from '../packages/cli/bin/bundle.mjs';
import { findStartedModules } from '../packages/server/src/store/started-modules.ts';
import { testBundlesFolder, testEntries } from './bundle-entries.ts';

let bundled: ReadonlyMap<string, URL> | undefined;

function findBundled(): ReadonlyMap<string, URL> {
  const current = currentBundle(testBundlesFolder);
  if (current === undefined) return new Map();
  return new Map(
    Object.entries(testEntries).map(([name, path]) => [pathToFileURL(path).href, new URL(`${name}.js`, current.main)]),
  );
}

findStartedModules((module) => {
  bundled ??= findBundled();
  return bundled.get(module.href) ?? module;
});
