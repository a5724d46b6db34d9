import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createToken } from '@strongroom/crypto';
import { serverEnvironment, serverOptions } from '../scripts/server-options.mjs';

/** Long: drills start servers while others are at work on the same cores. */
const startMilliseconds = 180_000;
const main = fileURLToPath(new URL('../packages/cli/bin/strongroom.mjs', import.meta.url));

/** The real server as a process of its own, with a data directory that outlives it. */
export interface ServerProcess {
  readonly url: string;
  /** Of the service account `bootstrap`, PLATFORM_ADMIN. */
  readonly token: string;
  readonly directory: string;
  /** Milliseconds from spawn to the first answer of `/healthz`. */
  start(): Promise<number>;
  readonly child: ChildProcess;
  /** Before the start: shares a database with a server that was started. */
  useKeyOf(other: ServerProcess): void;
  /** Ends it and waits until it is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** Resident memory in MB. */
  residentMegabytes(): number;
}

export async function createServerProcess(environment: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
  const token = createToken('srt_');
  const tokenFile = join(directory, 'bootstrap-token');
  writeFileSync(tokenFile, token, { mode: 0o600 });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;
  let gone: Promise<void> = Promise.resolve();

  return {
    url,
    token,
    directory,
    get child() {
      if (child === undefined) throw new Error('The server was not started');
      return child;
    },
    async start() {
      const started = performance.now();
      let output = '';
      const spawned = spawn(process.execPath, [...serverOptions, main, 'serve'], {
        cwd: directory,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: process.env['PATH'],
          ...serverEnvironment,
          HOME: directory,
          STRONGROOM_DATA_DIR: join(directory, 'data'),
          STRONGROOM_LISTEN: `127.0.0.1:${port}`,
          STRONGROOM_BOOTSTRAP_TOKEN_FILE: tokenFile,
          ...environment,
        },
      });
      child = spawned;
      for (const stream of [spawned.stdout, spawned.stderr])
        stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
      gone = new Promise((resolve) => spawned.once('exit', () => resolve()));
      while (true) {
        try {
          const answer = await fetch(`${url}/healthz`);
          await answer.arrayBuffer();
          if (answer.ok) return performance.now() - started;
        } catch (error) {
          if (spawned.exitCode !== null || performance.now() - started > startMilliseconds)
            throw new Error(`The server did not start:\n${output}`, { cause: error });
        }
        await sleep(5);
      }
    },
    useKeyOf(other) {
      mkdirSync(join(directory, 'data'), { mode: 0o700 });
      copyFileSync(join(other.directory, 'data', 'kek'), join(directory, 'data', 'kek'));
    },
    async end(signal) {
      child?.kill(signal);
      await gone;
    },
    residentMegabytes() {
      const status = readFileSync(`/proc/${child?.pid}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
    },
  };
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
