import { defineConfig } from 'vitest/config';

const shared = { pool: 'forks', testTimeout: 30_000, hookTimeout: 60_000 } as const;

export default defineConfig({
  test: {
    // One more than the two cores the suite is meant for: much of it waits for processes and disks.
    maxWorkers: 3,
    projects: [
      {
        test: {
          ...shared,
          name: 'machine',
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
