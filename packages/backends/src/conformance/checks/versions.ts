import type { Content } from '../../backend.ts';
import { errorOf, noError, refusals, type ConformanceCheck } from '../check.ts';
import { assert, describeError, NotApplicable } from '../failure.ts';
import { assertEntry, holds } from '../scope.ts';
import { StrongroomError } from '@strongroom/contract/core';

export const versionChecks: readonly ConformanceCheck[] = [
  {
    name: 'version-changes',
    needs: ['place'],
    about: 'Each write of a key gives it another version, never one that it had; reading gives it none.',
    async run(scope) {
      const backend = await scope.open();
      const key = scope.key('version');
      const seen = new Set<string>();
      for (let round = 1; round <= 4; round += 1) {
        await scope.seed(key);
        const version = (await backend.get(key, scope.options))?.version;
        assert(version !== undefined, 'what was written is not there');
        if (version === null) {
          assert(!backend.capabilities.versions, 'versions are declared, and an entry has none');
          throw new NotApplicable('the backend has no versions of single keys');
        }
        assert(!seen.has(version), `the version after write ${round} is one that was there before`);
        seen.add(version);
        const again = (await backend.get(key, scope.options))?.version;
        assert(again === version, 'reading changed the version');
      }
    },
  },
  {
    name: 'version-of-one-key',
    needs: ['place', 'versions'],
    about: 'A write of one key leaves the versions of others as they are.',
    async run(scope) {
      const backend = await scope.open();
      const [still, changed] = [scope.key('still'), scope.key('changed')];
      await scope.seed(still);
      await scope.seed(changed);
      const before = (await backend.get(still, scope.options))?.version;
      await scope.seed(changed);
      assert((await backend.get(still, scope.options))?.version === before, 'a write of another key changed it');
    },
  },
  {
    name: 'version-older',
    needs: ['place', 'versions'],
    about: 'Older versions are read as they were, under their own names.',
    async run(scope) {
      const backend = await scope.open();
      const key = scope.key('older');
      const written: { readonly version: string; readonly content: Content }[] = [];
      for (let round = 0; round < 3; round += 1) {
        const content = await scope.seed(key);
        const version = (await backend.get(key, scope.options))?.version ?? '';
        written.push({ version, content });
      }
      for (const { version, content } of written) {
        const entry = await backend.get(key, { ...scope.options, version });
        assertEntry(entry, content, 'an older version');
        assert(entry.version === version, 'the entry says another version than was asked for');
      }
    },
  },
  {
    name: 'version-unknown',
    needs: ['known keys', 'versions', 'unknownVersion'],
    about: 'A version that never was is `null`, also where the key is.',
    async run(scope) {
      const backend = await scope.open();
      const [key = ''] = await scope.knownKeys(backend, 1);
      const version = scope.context.unknownVersion ?? '';
      const entry = await backend.get(key, { ...scope.options, version });
      assert(entry === null, 'an entry came back for a version that never was');
      const absent = await backend.get(await scope.absentKey(backend), { ...scope.options, version });
      assert(absent === null, 'an entry came back for a key and a version that never were');
    },
  },
  {
    name: 'version-malformed',
    needs: ['known keys', 'versions'],
    about: 'What can not be a version is refused or not there; it never reads the current one.',
    async run(scope) {
      const backend = await scope.open();
      const [key = ''] = await scope.knownKeys(backend, 1);
      for (const version of ['', '0', '-1', '../1', '1?version=2', '1\n', 'é', 'latest#', '9'.repeat(400)]) {
        let found: Content | null = null;
        const error = await errorOf(async () => {
          found = await backend.get(key, { ...scope.options, version });
        });
        assert(found === null, 'an entry came back for text that is no version');
        const isRefused = error instanceof StrongroomError && refusals.includes(error.code);
        assert(error === noError || isRefused, `for text that is no version: ${describeError(error)}`);
      }
    },
  },
  {
    name: 'version-current',
    needs: ['known keys', 'versions'],
    about: 'The current version, asked for by its name, is the entry that is there without one.',
    async run(scope) {
      const backend = await scope.open();
      for (const key of await scope.knownKeys(backend, 3)) {
        const current = await backend.get(key, scope.options);
        assert(current !== null && current.version !== null, 'an entry has no version, or is not there');
        const named = await backend.get(key, { ...scope.options, version: current.version });
        assert(named !== null && holds(named, current), 'by its version, the entry is another');
      }
    },
  },
];
