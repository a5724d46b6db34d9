import { defineConfig } from 'vitest/config';
import { LongestFirst } from './scripts/test-order.ts';

// No limit here is one that a test means: each is many times what is needed, for a machine that does ten things at once.
const shared = {
  pool: 'forks',
  setupFiles: 'scripts/use-test-bundle.ts',
  // No test runs long enough to get back what V8's optimising compiler takes: a fourteenth of the suite's processor time.
  execArgv: ['--no-turbofan'] as string[],
  testTimeout: 120_000,
  hookTimeout: 120_000,
  expect: { poll: { timeout: 60_000 } },
} as const;

const never = ['**/node_modules/**', '**/dist/**'];
/** These set variables of their process for a while, and need its umask as it was: a server narrows that. They start none. */
const backends = ['packages/backends/**/*.test.ts'];
/** These start programs as people do, or have libraries read what they keep for all of their process. */
const alone = ['{e2e,examples,servers}/**/*.test.ts', 'packages/backends/src/{azure/identity,google/*}.test.ts'];

export default defineConfig({
  test: {
    // One more than the two cores the suite is meant for: much of it waits for processes and disks.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    globalSetup: ['scripts/test-folder.ts', 'scripts/test-bundle.ts'],
    projects: [
      {
        test: {
          ...shared,
          name: 'machine',
          // Files of one worker share its modules: to import the server anew for each takes longer than most of them.
          isolate: false,
          include: ['{packages,scripts}/**/*.test.ts'],
          exclude: [...never, '**/*.live.test.ts', ...backends, ...alone],
        },
      },
      {
        test: {
          ...shared,
          name: 'machine-backends',
          isolate: false,
          include: backends,
          exclude: [...never, '**/*.live.test.ts', ...alone],
        },
      },
      {
        test: {
          ...shared,
          name: 'machine-alone',
          include: alone,
          exclude: [...never, '**/*.live.test.ts'],
        },
      },
      {
        test: {
          ...shared,
          name: 'live',
          include: ['{packages,e2e,servers}/**/*.live.test.ts'],
          exclude: never,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
