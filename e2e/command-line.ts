import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../packages/cli/bin/strongroom.mjs', import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line as a person at a terminal of this machine has it: real processes, a home folder of its own. */
export class CommandLine {
  readonly directory = mkdtempSync(join(tmpdir(), 'strongroom-e2e-'));
  readonly dataDirectory = join(this.directory, 'data');
  /** Everything that was printed, for looking through. */
  readonly printed: string[] = [];
  url = '';
  readonly #program: string;
  #server: ChildProcess | undefined;

  /** @param program what `strongroom` is: the bundle if it is current, unless another one is named */
  constructor(program = bin) {
    this.#program = program;
    mkdirSync(join(this.directory, 'home'));
  }

  /**
   * `strongroom serve` on a free port. Resolves with what it printed when it listens.
   * @param settings variables of its configuration, besides
   */
  async serve(settings: Readonly<Record<string, string>> = {}): Promise<string> {
    const child = spawn(process.execPath, [this.#program, 'serve'], {
      cwd: this.directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...this.#environment(),
        STRONGROOM_LISTEN: '127.0.0.1:0',
        STRONGROOM_DATA_DIR: this.dataDirectory,
        ...settings,
      },
    });
    this.#server = child;
    let output = '';
    await new Promise<void>((resolve, reject) => {
      const take = (chunk: Buffer): void => {
        output += chunk.toString('utf8');
        if (/Address\s+http\S+\n[^]*\n\n/.test(output)) resolve();
      };
      child.stdout.on('data', take);
      child.stderr.on('data', take);
      child.once('exit', (code) => reject(new Error(`The server ended with ${code}:\n${output}`)));
    });
    this.url = /Address\s+(http\S+)/.exec(output)?.[1] ?? '';
    this.printed.push(output);
    return output;
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | null> {
    const child = this.#server;
    if (child === undefined || child.exitCode !== null) return child?.exitCode ?? null;
    return new Promise((resolve) => {
      child.once('exit', (code) => resolve(code));
      child.kill('SIGTERM');
    });
  }

  /** `strongroom ARGS`. */
  async run(
    args: readonly string[],
    options: { readonly input?: string; readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
  ): Promise<Ran> {
    const child = spawn(process.execPath, [this.#program, ...args], {
      cwd: options.cwd ?? this.directory,
      env: {
        ...this.#environment(),
        STRONGROOM_URL: this.url,
        STRONGROOM_DATA_DIR: this.dataDirectory,
        ...options.env,
      },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
    child.stdin.end(options.input ?? '');
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    this.printed.push(stdout, stderr);
    return { code, stdout, stderr };
  }

  /** {@link run} that has to succeed; its output. */
  async must(args: readonly string[], options: Parameters<CommandLine['run']>[1] = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    if (code !== 0) throw new Error(`strongroom ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
    return stdout;
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #environment(): Record<string, string> {
    const home = join(this.directory, 'home');
    // The real cache folder: compiled code is the same for everybody, and starting with it takes a third of the time.
    const cache = process.env['XDG_CACHE_HOME'] ?? join(process.env['HOME'] ?? home, '.cache');
    return {
      PATH: process.env['PATH'] ?? '',
      HOME: home,
      XDG_CONFIG_HOME: join(home, '.config'),
      XDG_CACHE_HOME: cache,
      NO_COLOR: '1',
    };
  }
}
