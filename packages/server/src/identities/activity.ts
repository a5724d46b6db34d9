import type { DenialCounter } from '../audit/denials.ts';
import type { Store } from '../store/store.ts';

/** A credential used this recently is not noted again. */
const noteEveryMilliseconds = 60_000;
const flushEveryMilliseconds = 30_000;
const sweepEveryMilliseconds = 60 * 60_000;
/** Beyond this many the rest waits for the next use. */
const maxNoted = 50_000;

/** Where refusals of callers nobody knows are counted. */
export type DenialSink = Pick<DenialCounter, 'count'>;

/**
 * Last uses of tokens and sessions, gathered in memory and written in batches: the hot path of a
 * call doesn't wait for a write. A crash loses at most the last half minute of them, a use is dated to the minute.
 */
export class CredentialActivity {
  readonly #store: Store;
  readonly #onError: (error: unknown) => void;
  readonly #timers: readonly NodeJS.Timeout[];
  #tokens = new Map<string, number>();
  #sessions = new Map<string, number>();
  readonly #denials: DenialSink;
  #flushing: Promise<void> = Promise.resolve();

  /** @param onError told when a batch could not be written; it is kept and tried again */
  constructor(store: Store, denials: DenialSink, onError: (error: unknown) => void) {
    this.#store = store;
    this.#denials = denials;
    this.#onError = onError;
    this.#timers = [
      setInterval(() => void this.#flushQuietly(), flushEveryMilliseconds).unref(),
      setInterval(() => void this.#sweepQuietly(), sweepEveryMilliseconds).unref(),
    ];
  }

  /**
   * @param lastUsedAt what the store knows, or what this returned for the use before
   * @returns the last use as it is known now, to the minute
   */
  tokenUsed(id: string, at: number, lastUsedAt: number | null): number {
    return note(this.#tokens, id, at, lastUsedAt ?? 0);
  }

  sessionSeen(id: string, at: number, lastSeenAt: number): void {
    note(this.#sessions, id, at, lastSeenAt);
  }

  /** The latest call of a session as far as this process knows. */
  sessionLastSeen(id: string, stored: number): number {
    return Math.max(stored, this.#sessions.get(id) ?? 0);
  }

  /** A credential that is none, or no longer. */
  credentialRefused(): void {
    this.#denials.count('authenticate');
  }

  /** Writes what is gathered. @throws StrongroomError the store's; what was gathered is kept */
  flush(): Promise<void> {
    const flushed = this.#flushing.then(() => this.#write());
    this.#flushing = flushed.catch(() => undefined);
    return flushed;
  }

  /** Stops the timers and writes what is left. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#flushQuietly();
  }

  async #write(): Promise<void> {
    const tokens = this.#tokens;
    const sessions = this.#sessions;
    if (tokens.size === 0 && sessions.size === 0) return;
    this.#tokens = new Map();
    // Sessions stay readable while they are written: idleness is judged by them.
    this.#sessions = new Map(sessions);
    try {
      await this.#store.execute('identities.recordActivity', {
        tokens: [...tokens].map(([id, at]) => ({ id, at })),
        sessions: [...sessions].map(([id, at]) => ({ id, at })),
      });
    } catch (error) {
      for (const [id, at] of tokens) note(this.#tokens, id, at, 0);
      throw error;
    }
    for (const [id, at] of sessions) if (this.#sessions.get(id) === at) this.#sessions.delete(id);
  }

  async #flushQuietly(): Promise<void> {
    try {
      await this.flush();
    } catch (error) {
      this.#onError(error);
    }
  }

  async #sweepQuietly(): Promise<void> {
    try {
      await this.#store.execute('identities.sweep', undefined);
    } catch (error) {
      this.#onError(error);
    }
  }
}

function note(map: Map<string, number>, id: string, at: number, known: number): number {
  const noted = Math.max(known, map.get(id) ?? 0);
  if (at - noted < noteEveryMilliseconds || (map.size >= maxNoted && !map.has(id))) return noted;
  map.set(id, at);
  return at;
}
