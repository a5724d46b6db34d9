// Runs the tests that need what this repository doesn't bring (`*.live.test.ts`), one file at a time. A file says in a line
// `// @needs NAME …` what it needs; each of those is installed once. What can't be had is named, with what would install it.
// Arguments choose files, by a part of their path or by what they need; without any, all of them.
import { globSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { faketime } from '../servers/faketime.ts';
import { helm } from '../servers/helm.ts';
import { jupyter } from '../servers/jupyter.ts';
import { kubernetes } from '../servers/kubernetes.ts';
import { kwok } from '../servers/kwok.ts';
import { type Installation, isMissing, type LiveServer } from '../servers/live-server.ts';
import { elapsed, runLong } from '../servers/long-command.ts';
import { ldap } from '../servers/ldap.ts';
import { moto } from '../servers/moto.ts';
import { openbao } from '../servers/openbao.ts';
import { pythonReader } from '../servers/python-reader.ts';
import { schemathesis } from '../servers/schemathesis.ts';
import { spark } from '../servers/spark.ts';
import { vault } from '../servers/vault.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const servers: readonly LiveServer[] = [
  vault,
  openbao,
  kubernetes,
  kwok,
  helm,
  moto,
  schemathesis,
  spark,
  jupyter,
  ldap,
  pythonReader,
  faketime,
];

interface Suite {
  readonly file: string;
  readonly needs: readonly LiveServer[];
}

const all = globSync('{packages,e2e,servers}/**/*.live.test.ts', {
  cwd: root,
  exclude: (path) => path.includes('node_modules') || path.includes('/dist/'),
})
  .toSorted()
  .map((file): Suite => ({ file, needs: needsOf(file) }));

const wanted = process.argv.slice(2);
const isChosenBy = (word: string, { file, needs }: Suite): boolean =>
  file.includes(word) || needs.some(({ name }) => name === word);
const unknown = wanted.filter((word) => !all.some((suite) => isChosenBy(word, suite)));
if (unknown.length > 0) {
  const files = all.map(({ file, needs }) => `  ${[file, ...needs.map(({ name }) => name)].join('  ')}\n`).join('');
  process.stderr.write(`No live test is or needs ${unknown.join(', ')}. There are:\n${files}`);
  process.exit(2);
}
const suites = all.filter((suite) => wanted.length === 0 || wanted.some((word) => isChosenBy(word, suite)));

const begun = performance.now();
const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const say = (line: string): void => print(`        ${line}`);
const installations = new Map<LiveServer, Promise<Installation>>();
const counts = { passed: 0, failed: 0, skipped: 0 };

for (const { file, needs } of suites) {
  const problems: string[] = [];
  const environment: Record<string, string> = {};
  let isBroken = false;
  for (const server of needs) {
    try {
      const installing = installations.get(server) ?? server.install(say);
      installations.set(server, installing);
      const installation = await installing;
      if (isMissing(installation))
        problems.push(`no ${server.name}: ${installation.reason}. To have it: ${installation.install}`);
      else Object.assign(environment, installation.environment);
    } catch (error) {
      isBroken = true;
      problems.push(`${server.name}: ${(error as Error).message}`);
    }
  }
  if (problems.length > 0) {
    counts[isBroken ? 'failed' : 'skipped'] += 1;
    print(`${isBroken ? 'FAILED ' : 'SKIPPED'} ${file}: ${problems.join('; ')}`);
    continue;
  }
  const started = performance.now();
  const { passed, tests, output } = await run(file, environment);
  counts[passed ? 'passed' : 'failed'] += 1;
  print(`${passed ? 'ok     ' : 'FAILED '} ${file} (${tests}, ${elapsed(started)})${passed ? '' : `\n${output}`}`);
}
print(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped after ${elapsed(begun)}`);
if (counts.failed > 0) process.exitCode = 1;

/** Runs one file; says also how many of its tests were left out, which is no failure to vitest. */
async function run(
  file: string,
  environment: Readonly<Record<string, string>>,
): Promise<{ readonly passed: boolean; readonly tests: string; readonly output: string }> {
  const { code, stdout, stderr } = await runLong(
    {
      program: process.execPath,
      args: [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'live', file],
      cwd: root,
      // Clusters and their data want a disk.
      environment: { TMPDIR: tmpdir(), ...environment, NO_COLOR: '1' },
      doing: `running ${file}`,
      limitMinutes: 30,
      niceness: 0,
    },
    say,
  );
  const tests = /^ *Tests +(.+?)(?: \(\d+\))?$/m.exec(stdout)?.[1] ?? 'no tests';
  return { passed: code === 0, tests, output: `${stdout}${stderr}` };
}

/** What the file needs. Throws for a name that is none: the tests would fail without saying why. */
function needsOf(file: string): readonly LiveServer[] {
  const [, names = ''] = /^\/\/ @needs (.+)$/m.exec(readFileSync(join(root, file), 'utf8')) ?? [];
  return names
    .split(/[\s,]+/)
    .filter((name) => name !== '')
    .map((name) => {
      const server = servers.find((candidate) => candidate.name === name);
      if (server === undefined)
        throw new Error(`${file} needs ${name}; there are ${servers.map((known) => known.name).join(', ')}.`);
      return server;
    });
}
