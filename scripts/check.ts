// The one gate: types, lint, format, unused code, generated files. Runs all of them and names those that failed.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

const steps: readonly { readonly name: string; readonly command: readonly string[]; readonly hint: string }[] = [
  { name: 'types', command: ['tsc', '-b', 'tsconfig.json', 'tsconfig.tools.json'], hint: 'tsc -b' },
  { name: 'lint', command: ['oxlint', '--type-aware', '--deny-warnings'], hint: 'oxlint --type-aware --fix' },
  { name: 'format', command: ['oxfmt', '--check'], hint: 'npm run format' },
  { name: 'unused', command: ['knip'], hint: 'delete what nothing uses' },
  { name: 'generated', command: ['node', 'scripts/generate.ts', '--check'], hint: 'node scripts/generate.ts' },
];

const failed: string[] = [];
for (const step of steps) {
  const started = performance.now();
  const [program = '', ...args] = step.command;
  const result = spawnSync(program, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const passed = result.status === 0;
  process.stdout.write(`${passed ? 'ok    ' : 'FAILED'} ${step.name.padEnd(10)} ${seconds.padStart(6)} s\n`);
  if (!passed) {
    failed.push(step.name);
    process.stdout.write(
      `${result.stdout}${result.stderr}${result.error ? `${result.error.message}\n` : ''}\nTo mend it: ${step.hint}\n\n`,
    );
  }
}
if (failed.length > 0) {
  process.stdout.write(`check failed: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}
