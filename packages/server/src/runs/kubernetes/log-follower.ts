import { StrongroomError } from '@strongroom/contract';
import type { OpenedClusters } from '../../clusters/opened-clusters.ts';
import type { RunOutput } from '../runner.ts';
import { pause } from './changes.ts';

/** How long after the container's end its output may still come by itself. */
const graceMilliseconds = 1_000;
/** Bytes of a line that are passed on before its end is there. */
const maxHeldBytes = 64 * 1024;
/** What says nothing about the pod. */
const passing: ReadonlySet<string> = new Set(['backend_unavailable', 'backend_throttled', 'deadline_exceeded']);
/** RFC 3339 with nine digits, as the kubelet writes it in front of each line. */
const timestamp = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(?:Z|[+-]\d\d:\d\d)) /;

export interface LogPlace {
  readonly clusters: Pick<OpenedClusters, 'open'>;
  readonly clusterId: string;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

/**
 * Passes on what a container writes, from its beginning to its end, each line once and whole: a connection that is cut is begun
 * again at the newest line, behind what was passed on of the lines of that time.
 */
export class LogFollower {
  readonly #place: LogPlace;
  readonly #output: Pick<RunOutput, 'stdout' | 'note'>;
  readonly #ending = new AbortController();
  readonly #done: Promise<void>;
  readonly #over = new AbortController();
  /** Ends the reading that would go on. */
  readonly #following = new AbortController();
  readonly #retryMilliseconds: number;
  #newest = '';
  /** Bytes passed on of lines of that time. */
  #newestBytes = 0;
  /** What is older was passed on before this connection, and of what is just as old so many bytes. */
  #knownUntil = '';
  #knownBytes = 0;
  #held: Buffer = Buffer.alloc(0);
  #isLineBegun = false;
  #lineTime = '';

  constructor(place: LogPlace, output: Pick<RunOutput, 'stdout' | 'note'>, retryMilliseconds = 1_000) {
    this.#place = place;
    this.#retryMilliseconds = retryMilliseconds;
    this.#output = output;
    this.#done = this.#follow();
  }

  /** The container has ended: waits for what is still on its way, and gives up after `milliseconds`. */
  async finish(milliseconds: number): Promise<void> {
    this.#over.abort();
    // The connection ends with the container's output, or it has been cut without a word: then the rest is asked for.
    const timers = [
      setTimeout(() => this.#following.abort(), graceMilliseconds),
      setTimeout(() => this.stop(), milliseconds),
    ];
    await this.#done;
    for (const timer of timers) clearTimeout(timer);
  }

  stop(): void {
    this.#ending.abort();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#ending;
    let refusals = 0;
    while (!signal.aborted) {
      // Asked before it is read: what is over then is all there.
      const isLast = this.#over.signal.aborted;
      try {
        await this.#read(!isLast, isLast ? signal : AbortSignal.any([signal, this.#following.signal]));
        this.#flush();
        if (isLast) return;
        refusals = 0;
      } catch (error) {
        // The container has not begun, the pod is gone, the connection was cut: all of it is tried again while there is time.
        const code = error instanceof StrongroomError ? error.code : 'internal';
        // A pod that is over and gone does not come back.
        if (isLast && !passing.has(code)) return;
        if (code === 'backend_denied') refusals += 1;
        if (refusals === 3) {
          this.#output.note('The cluster does not let the server read the log of the pod.');
          return;
        }
      } finally {
        // The next connection begins with a line; one that was cut in two comes again whole.
        this.#held = Buffer.alloc(0);
        this.#isLineBegun = false;
      }
      // Told that it is over, it reads the rest at once; what fails after that waits again.
      const waking = isLast ? signal : AbortSignal.any([signal, this.#over.signal]);
      await pause(this.#retryMilliseconds, waking);
    }
  }

  async #read(isFollowed: boolean, signal: AbortSignal): Promise<void> {
    const { clusters, clusterId, namespace, pod, container } = this.#place;
    const cluster = await clusters.open(clusterId, signal);
    this.#knownUntil = this.#newest;
    this.#knownBytes = this.#newestBytes;
    try {
      const { NamespaceObjects } = await import('@strongroom/backends/kubernetes');
      const objects = new NamespaceObjects(cluster.api, namespace);
      const since = this.#newest === '' ? {} : { since: this.#newest };
      for await (const chunk of objects.log(pod, { container, isFollowed, ...since }, signal)) this.#take(chunk);
    } finally {
      cluster.release();
    }
  }

  #take(chunk: Uint8Array): void {
    this.#held = Buffer.concat([this.#held, chunk]);
    for (let end = this.#held.indexOf(10); end !== -1; end = this.#held.indexOf(10)) {
      this.#pass(this.#held.subarray(0, end + 1));
      this.#held = this.#held.subarray(end + 1);
      this.#isLineBegun = false;
    }
    if (this.#held.length > maxHeldBytes) this.#flush();
  }

  #flush(): void {
    if (this.#held.length > 0) {
      this.#pass(this.#held);
      this.#isLineBegun = true;
    }
    this.#held = Buffer.alloc(0);
  }

  #pass(piece: Buffer): void {
    if (this.#isLineBegun) return this.#passText(piece);
    const [prefix = '', time = ''] = timestamp.exec(piece.subarray(0, 40).toString('latin1')) ?? [];
    this.#lineTime = time;
    this.#passText(piece.subarray(prefix.length));
  }

  /** Of the line that is being read. Within a connection each comes once: a clock that is set gives earlier ones. */
  #passText(text: Buffer): void {
    const time = this.#lineTime;
    if (time !== '' && time < this.#knownUntil) return;
    const known = time !== '' && time === this.#knownUntil ? Math.min(this.#knownBytes, text.length) : 0;
    this.#knownBytes -= known;
    if (time > this.#newest) {
      this.#newest = time;
      this.#newestBytes = 0;
    }
    if (time === this.#newest) this.#newestBytes += text.length - known;
    if (known < text.length) this.#output.stdout(text.subarray(known));
  }
}
