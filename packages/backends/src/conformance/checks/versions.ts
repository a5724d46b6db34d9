import type { Content } from '../../backend.ts';
import { errorOf, noError, refusals, type ConformanceCheck } from '../check.ts';
import { assert, describeError, NotApplicable } from '../failure.ts';
import { assertEntry, holds } from '../content.ts';
import { StrongroomError } from '@strongroom/contract/core';

export const versionChecks: readonly ConformanceCheck[] = [
  {
    name: 'version-changes',
    needs: ['place'],
    about: 'Each write of a key gives it another version, never one that it had; reading gives it none.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('version');
      const seen = new Set<string>();
      for (let round = 1; round <= 4; round += 1) {
        await trial.seed(key);
        const version = (await backend.get(key, trial.options))?.version;
        assert(version !== undefined, 'what was written is not there');
        if (version === null) {
          assert(!backend.capabilities.versions, 'versions are declared, and an entry has none');
          throw new NotApplicable('the backend has no versions of single keys');
        }
        assert(!seen.has(version), `the version after write ${round} is one that was there before`);
        seen.add(version);
        const again = (await backend.get(key, trial.options))?.version;
        assert(again === version, 'reading changed the version');
      }
    },
  },
  {
    name: 'version-of-one-key',
    needs: ['place', 'versions'],
    about: 'A write of one key leaves the versions of others as they are.',
    async run(trial) {
      const backend = await trial.open();
      const [still, changed] = [trial.key('still'), trial.key('changed')];
      await trial.seed(still);
      await trial.seed(changed);
      const before = (await backend.get(still, trial.options))?.version;
      await trial.seed(changed);
      assert((await backend.get(still, trial.options))?.version === before, 'a write of another key changed it');
    },
  },
  {
    name: 'version-older',
    needs: ['place', 'versions'],
    about: 'Older versions are read as they were, under their own names.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('older');
      const written: { readonly version: string; readonly content: Content }[] = [];
      for (let round = 0; round < 3; round += 1) {
        const content = await trial.seed(key);
        const version = (await backend.get(key, trial.options))?.version ?? '';
        written.push({ version, content });
      }
      for (const { version, content } of written) {
        const entry = await backend.get(key, { ...trial.options, version });
        assertEntry(entry, content, 'an older version');
        assert(entry.version === version, 'the entry says another version than was asked for');
      }
    },
  },
  {
    name: 'version-unknown',
    needs: ['known keys', 'versions', 'unknownVersion'],
    about: 'A version that never was is `null`, also where the key is.',
    async run(trial) {
      const backend = await trial.open();
      const [key = ''] = await trial.knownKeys(backend, 1);
      const version = trial.context.unknownVersion ?? '';
      const entry = await backend.get(key, { ...trial.options, version });
      assert(entry === null, 'an entry came back for a version that never was');
      const absent = await backend.get(await trial.absentKey(backend), { ...trial.options, version });
      assert(absent === null, 'an entry came back for a key and a version that never were');
    },
  },
  {
    name: 'version-malformed',
    needs: ['known keys', 'versions'],
    about: 'What can not be a version is refused or not there; it never reads the current one.',
    async run(trial) {
      const backend = await trial.open();
      const [key = ''] = await trial.knownKeys(backend, 1);
      for (const version of ['', '0', '-1', '../1', '1?version=2', '1\n', 'é', 'latest#', '9'.repeat(400)]) {
        let found: Content | null = null;
        const error = await errorOf(async () => {
          found = await backend.get(key, { ...trial.options, version });
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
    async run(trial) {
      const backend = await trial.open();
      for (const key of await trial.knownKeys(backend, 3)) {
        const current = await backend.get(key, trial.options);
        assert(current !== null && current.version !== null, 'an entry has no version, or is not there');
        const named = await backend.get(key, { ...trial.options, version: current.version });
        assert(named !== null && holds(named, current), 'by its version, the entry is another');
      }
    },
  },
];
