import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const testing = (name: string): URL => new URL(`../testing/${name}`, import.meta.url);
const vendors = /^(?:@(?:aws-sdk|smithy|azure|google-cloud|grpc|kubernetes)\/|google-|gaxios$|undici$)/;

/** The sources, not a bundle of them: which module needs which package is a matter of the imports that are written. */
it('a server that uses no vendor’s backend and no cluster loads none of their libraries', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-packages-'));
  const file = join(directory, 'packages');
  const recorder = testing('record-packages-child.ts');
  recorder.searchParams.set('file', file);
  const child = spawn(process.execPath, ['--import', recorder.href, fileURLToPath(testing('serve-child.ts'))], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
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
    const lines = readFileSync(file, 'utf8').split('\n');
    const of = (thread: string): string[] =>
      lines.filter((line) => line.startsWith(`${thread} `)).map((line) => line.slice(thread.length + 1));
    expect(of('main')).toContain('fastify');
    expect([...of('main'), ...of('thread')].filter((name) => vendors.test(name))).toEqual([]);
    // The schemas of all routes take a quarter of the time that a thread of the store starts in, and it needs none of them.
    expect(of('thread')).toContain('kysely');
    expect(of('thread')).not.toContain('typebox');
  } finally {
    child.kill('SIGKILL');
    await ended;
    rmSync(directory, { recursive: true });
  }
});
