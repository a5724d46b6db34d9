// Runs the tests that need what this repository doesn't bring, one suite at a time; what can't be had is named, with the
// command that installs it. Arguments name the suites to run; without any, all of them.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { schemathesis } from '../servers/schemathesis.ts';
import type { LiveSuite } from '../servers/suite.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

const known: readonly LiveSuite[] = [schemathesis];

/** A test file that needs no preparation is a suite by itself. */
const others: readonly LiveSuite[] = globSync(['packages/**/*.live.test.ts', 'e2e/**/*.live.test.ts'], {
  cwd: root,
  exclude: (path) => path.includes('node_modules') || path.includes('/dist/'),
})
  .filter((file) => !known.some((suite) => suite.file === file))
  .map((file) => ({ name: file, file, prepare: () => ({ environment: {} }) }));

const wanted = process.argv.slice(2);
const suites = [...known, ...others].filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const unknown = wanted.filter((name) => !suites.some((suite) => suite.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `There is no live suite ${unknown.join(', ')}; there are ${[...known, ...others].map(({ name }) => name).join(', ')}.\n`,
  );
  process.exit(2);
}

const counts = { passed: 0, failed: 0, skipped: 0 };
for (const suite of suites) {
  const prepared = suite.prepare();
  if ('reason' in prepared) {
    counts.skipped += 1;
    process.stdout.write(`SKIPPED ${suite.name}: ${prepared.reason}; install it with: ${prepared.install}\n`);
    continue;
  }
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'live', suite.file],
    { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, env: { ...process.env, ...prepared.environment } },
  );
  const seconds = `${((performance.now() - started) / 1000).toFixed(0)} s`;
  if (status === 0) {
    counts.passed += 1;
    process.stdout.write(`ok      ${suite.name} (${seconds})\n`);
  } else {
    counts.failed += 1;
    process.stdout.write(`FAILED  ${suite.name} (${seconds})\n${stdout}${stderr}\n`);
  }
}
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
if (counts.failed > 0) process.exitCode = 1;
