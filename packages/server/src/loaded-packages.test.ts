import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const testing = (name: string): string => fileURLToPath(new URL(`../testing/${name}`, import.meta.url));
const vendors = /^(?:@(?:aws-sdk|smithy|azure|google-cloud|grpc|kubernetes)\/|google-|gaxios$|undici$)/;

/** The sources, not a bundle of them: which module needs which package is a matter of the imports that are written. */
it('a server that uses no vendor’s backend and no cluster loads none of their libraries', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-packages-'));
  const file = join(directory, 'packages');
  const child = spawn(process.execPath, ['--import', testing('record-packages-child.ts'), testing('serve-child.ts')], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      PACKAGES_FILE: file,
      STRONGROOM_DATA_DIR: join(directory, 'data'),
      STRONGROOM_LISTEN: '127.0.0.1:0',
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  const ended = once(child, 'exit');
  try {
    while (!output.includes('http://127.0.0.1:') && child.exitCode === null) await sleep(20);
    child.kill('SIGTERM');
    await ended;
    const packages = [...new Set(readFileSync(file, 'utf8').split('\n'))];
    expect(packages).toContain('fastify');
    expect(packages.filter((name) => vendors.test(name))).toEqual([]);
  } finally {
    child.kill('SIGKILL');
    await ended;
    rmSync(directory, { recursive: true });
  }
});
