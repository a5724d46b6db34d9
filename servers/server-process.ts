import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { bindServer, releaseServer } from './lifetime.ts';

const startTimeoutMs = 120_000;
const keptOutput = 64 * 1024;

/** One process of a server, bound to the life of this one. */
export class ServerProcess {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #ended: Promise<void>;
  #output = '';

  /** @param environment all its variables, besides `PATH` */
  constructor(program: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    this.#name = program;
    this.#child = spawn(program, args, {
      env: { PATH: process.env['PATH'], ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.pid = this.#child.pid ?? 0;
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString('utf8')).slice(-keptOutput);
      });
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#output += error.message;
        resolve();
      });
      this.#child.once('close', () => resolve());
    });
    if (this.pid === 0) return;
    bindServer(this.pid);
    this.#child.once('exit', () => releaseServer(this.pid));
  }

  /** What it printed last, at most 64 KiB. */
  get output(): string {
    return this.#output;
  }

  get isRunning(): boolean {
    return this.pid !== 0 && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when `isReady` does with something; rejects when the process ends before that or two minutes have gone. */
  async until<Result>(isReady: () => Promise<Result | undefined> | Result | undefined): Promise<Result> {
    const deadline = performance.now() + startTimeoutMs;
    for (;;) {
      if (!this.isRunning) {
        await this.#ended;
        throw new Error(`${this.#name} ended:\n${this.#output}`);
      }
      const result = await isReady();
      if (result !== undefined) return result;
      if (performance.now() > deadline) throw new Error(`${this.#name} doesn't get ready:\n${this.#output}`);
      await sleep(20);
    }
  }

  /** Resolves with the first match in what it prints. */
  prints(pattern: RegExp): Promise<RegExpExecArray> {
    return this.until(() => pattern.exec(this.#output) ?? undefined);
  }

  /** Kills it: whatever it has is thrown away, and a paused process ends like this, too. */
  async stop(): Promise<void> {
    if (this.isRunning) this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
