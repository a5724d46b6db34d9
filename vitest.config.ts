import { defineConfig } from 'vitest/config';

// No limit here is one that a test means: each is many times what is needed, for a machine that does ten things at once.
const shared = {
  pool: 'forks',
  setupFiles: 'scripts/use-test-bundle.ts',
  testTimeout: 120_000,
  hookTimeout: 120_000,
  expect: { poll: { timeout: 60_000 } },
} as const;

export default defineConfig({
  test: {
    // One more than the two cores the suite is meant for: much of it waits for processes and disks.
    maxWorkers: 3,
    globalSetup: 'scripts/test-bundle.ts',
    projects: [
      {
        test: {
          ...shared,
          name: 'machine',
          // Files of one worker share its modules: to import the server anew for each takes longer than most of them.
          isolate: false,
          include: [
            'packages/**/*.test.ts',
            'e2e/**/*.test.ts',
            'examples/**/*.test.ts',
            'scripts/**/*.test.ts',
            'servers/**/*.test.ts',
          ],
          exclude: ['**/node_modules/**', '**/dist/**', '**/*.live.test.ts'],
        },
      },
      {
        test: {
          ...shared,
          name: 'live',
          include: ['{packages,e2e,servers}/**/*.live.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
