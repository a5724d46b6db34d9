// Runs on any Node from 20 on, before anything is installed: installs what is missing, bundles what was changed, then hands
// over to the Node that the lockfile pins (node_modules/node), so that every machine runs the same one.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { currentBundle } from '../packages/cli/bin/bundle.mjs';
import { endWithParent } from './end-with-parent.mjs';
import { serverEnvironment, serverOptions } from './server-options.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = join(root, 'node_modules', '.bin');
const node = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
const stamp = join(root, 'node_modules', '.strongroom-install');

/** What to run for each npm script: a program of node_modules, or a file run by Node itself. */
const commands = {
  start: ['packages/cli/bin/strongroom.mjs', 'serve'],
  strongroom: ['packages/cli/bin/strongroom.mjs'],
  test: ['node_modules/vitest/vitest.mjs', 'run', '--project', 'machine*'],
  'test:live': ['scripts/test-live.ts'],
  check: ['scripts/check.ts'],
  bench: ['bench/main.ts'],
};

function installIfNeeded() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(process.platform)
    .update(process.arch)
    .digest('hex');
  if (existsSync(node) && existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  process.stderr.write('Installing dependencies (only when package-lock.json changed) …\n');
  const installed = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (installed.status !== 0) {
    process.stderr.write(
      'npm ci failed; nothing was started. Check the network or the registry setting of npm, then run it again.\n',
    );
    process.exit(1);
  }
  if (!existsSync(node)) {
    process.stderr.write(
      'The package `node` did not install its program. npm may be set to ignore install scripts: run `npm rebuild node --ignore-scripts=false`.\n',
    );
    process.exit(1);
  }
  writeFileSync(stamp, lock);
}

/** Nothing depends on it but the time a start takes: without a bundle of these sources, the sources themselves run. */
function bundleIfNeeded() {
  if (currentBundle() !== undefined) return;
  const bundled = spawnSync(node, [join(root, 'scripts', 'bundle.ts')], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (bundled.status !== 0)
    process.stderr.write('The sources could not be bundled (see above): they run as they are, which starts slower.\n');
}

const [name, ...rest] = process.argv.slice(2);
const command = Object.hasOwn(commands, name ?? '') ? commands[name] : undefined;
if (command === undefined) {
  process.stderr.write(`Usage: node scripts/bootstrap.mjs ${Object.keys(commands).join('|')} [arguments]\n`);
  process.exit(2);
}

installIfNeeded();
if (name !== 'check') bundleIfNeeded();

const isServer = name === 'start';
// Each test file is a process, and each store that it opens a thread: all of them compile the same modules.
const testEnvironment = name.startsWith('test')
  ? { NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'code') }
  : {};
const [file, ...defaults] = command;
// The command line works in the folder it is called from; everything else at the root of the repository.
const cwd = name === 'strongroom' ? (process.env.INIT_CWD ?? process.cwd()) : root;
// Up to `--` Node looks for options of its own, `--env-file` also behind the file that it runs.
const child = spawn(node, [...(isServer ? serverOptions : []), '--', join(root, file), ...defaults, ...rest], {
  cwd,
  stdio: 'inherit',
  env: {
    ...(isServer ? serverEnvironment : {}),
    ...testEnvironment,
    ...process.env,
    PATH: `${bin}${delimiter}${process.env.PATH ?? ''}`,
  },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    // Ctrl-C reaches the child by itself; a second one would end a server at once.
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  });
if (process.env.npm_lifecycle_event !== undefined) endWithParent(child);
child.on('error', (error) => {
  process.stderr.write(`Could not start ${node}: ${error.message}\n`);
  process.exit(1);
});
child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
