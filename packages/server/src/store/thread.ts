import { getCompileCacheDir } from 'node:module';
import { dirname, extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parentPort, Worker } from 'node:worker_threads';
import { StrongroomError } from '@strongroom/contract/core';
import { type ErrorRecord, fromErrorRecord, toErrorRecord } from './errors.ts';
import { Slots } from '../slots.ts';
import { threadModule } from './started-modules.ts';

interface Call {
  /** Given again once it is answered. */
  readonly id: number;
  readonly name: string;
  readonly args: unknown;
}

type Answer =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly id: number; readonly ok: false; readonly error: ErrorRecord };

/** A worker thread that answers calls by name. */
export class Thread {
  readonly #worker: Worker;
  readonly #waiting = new Slots<{ resolve: (result: unknown) => void; reject: (error: unknown) => void }>();
  #stopped: StrongroomError | undefined;

  /**
   * @param module of this folder, without its extension: the sources run as `.ts`, the published build as `.js`
   * @param onFatal the thread ended without being asked to; every call it had is already rejected
   */
  constructor(module: string, workerData: unknown, onFatal: (error: StrongroomError) => void) {
    const file = threadModule(new URL(`./${module}${extname(fileURLToPath(import.meta.url))}`, import.meta.url));
    // The thread has no business with the settings, which may name files of keys. The compile cache, where the process has
    // one, more than halves the time a thread takes to start.
    const cache = getCompileCacheDir();
    const env = cache === undefined ? {} : { NODE_COMPILE_CACHE: dirname(cache) };
    // Its garbage is small and short-lived: a small young generation costs no time here and saves 20 MB.
    const resourceLimits = { maxYoungGenerationSizeMb: 4 };
    this.#worker = new Worker(file, { workerData, env, name: module, stdin: false, resourceLimits });
    this.#worker.on('message', (answer: Answer) => this.#settle(answer));
    const fail = (cause: unknown) => {
      if (this.#stopped !== undefined) return;
      const error = new StrongroomError('storage_unavailable', { detail: `The ${module} thread ended.`, cause });
      this.#stop(error);
      onFatal(error);
    };
    this.#worker.on('error', fail);
    this.#worker.on('messageerror', fail);
    this.#worker.on('exit', (code) => fail(new Error(`The thread ended with code ${code}`)));
  }

  /** @throws DataCloneError when the arguments can't be cloned; the callee's StrongroomError; `storage_unavailable` */
  async call(name: string, args: unknown): Promise<unknown> {
    if (this.#stopped !== undefined) throw this.#stopped;
    return new Promise((resolve, reject) => {
      const call: Call = { id: this.#waiting.add({ resolve, reject }), name, args };
      try {
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
        this.#worker.postMessage(call);
      } catch (error) {
        this.#waiting.take(call.id);
        throw error;
      }
    });
  }

  /** Ends the thread; calls that are not answered yet are rejected with `reason`. */
  async end(reason = new StrongroomError('shutting_down')): Promise<void> {
    this.#stop(reason);
    await this.#worker.terminate();
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.take(answer.id);
    if (answer.ok) waiting?.resolve(answer.result);
    else waiting?.reject(fromErrorRecord(answer.error));
  }

  #stop(error: StrongroomError): void {
    this.#stopped ??= error;
    // Nothing answers any more: they stay where they are.
    for (const { reject } of this.#waiting.all()) reject(error);
  }
}

/** The thread's side: answers each call with what its handler returns or throws. */
export function answerCalls(handlers: Readonly<Record<string, (args: never) => unknown>>): void {
  const port = parentPort;
  if (port === null) throw new TypeError('This module runs in a worker thread');
  const known = new Map(Object.entries(handlers as Readonly<Record<string, (args: unknown) => unknown>>));
  port.on('message', (call: Call) => {
    void answer(known.get(call.name), call)
      .then((reply) => port.postMessage(reply))
      // A result that can't be cloned.
      .catch((error: unknown) => port.postMessage({ id: call.id, ok: false, error: toErrorRecord(error) }));
  });
}

async function answer(handler: ((args: unknown) => unknown) | undefined, call: Call): Promise<Answer> {
  try {
    if (handler === undefined) throw new TypeError(`There is no call ${call.name}`);
    return { id: call.id, ok: true, result: await handler(call.args) };
  } catch (error) {
    return { id: call.id, ok: false, error: toErrorRecord(error) };
  }
}
