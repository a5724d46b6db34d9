import type { Store } from '../store/store.ts';

/** A credential used this recently is not noted again. */
const noteEveryMilliseconds = 60_000;
const flushEveryMilliseconds = 30_000;
const sweepEveryMilliseconds = 60 * 60_000;
/** Beyond this many the rest waits for the next use. */
const maxNoted = 50_000;

/**
 * Last uses of tokens and sessions, and refused credentials, gathered in memory and written in batches: the hot path of a
 * call doesn't wait for a write. A crash loses at most the last half minute of them, a use is dated to the minute.
 */
export class CredentialActivity {
  readonly #store: Store;
  readonly #onError: (error: unknown) => void;
  readonly #timers: readonly NodeJS.Timeout[];
  #tokens = new Map<string, number>();
  #sessions = new Map<string, number>();
  #denials = 0;
  #flushing: Promise<void> = Promise.resolve();

  /** @param onError told when a batch could not be written; it is kept and tried again */
  constructor(store: Store, onError: (error: unknown) => void) {
    this.#store = store;
    this.#onError = onError;
    this.#timers = [
      setInterval(() => void this.#flushQuietly(), flushEveryMilliseconds).unref(),
      setInterval(() => void this.#sweepQuietly(), sweepEveryMilliseconds).unref(),
    ];
  }

  /** @param lastUsedAt what the store knows */
  tokenUsed(id: string, at: number, lastUsedAt: number | null): void {
    note(this.#tokens, id, at, lastUsedAt ?? 0);
  }

  sessionSeen(id: string, at: number, lastSeenAt: number): void {
    note(this.#sessions, id, at, lastSeenAt);
  }

  /** The latest call of a session as far as this process knows. */
  sessionLastSeen(id: string, stored: number): number {
    return Math.max(stored, this.#sessions.get(id) ?? 0);
  }

  credentialRefused(): void {
    this.#denials += 1;
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
    const denials = this.#denials;
    if (tokens.size === 0 && sessions.size === 0 && denials === 0) return;
    this.#tokens = new Map();
    this.#denials = 0;
    // Sessions stay readable while they are written: idleness is judged by them.
    this.#sessions = new Map(sessions);
    try {
      await this.#store.execute('identities.recordActivity', {
        tokens: [...tokens].map(([id, at]) => ({ id, at })),
        sessions: [...sessions].map(([id, at]) => ({ id, at })),
        denials,
      });
    } catch (error) {
      for (const [id, at] of tokens) note(this.#tokens, id, at, 0);
      this.#denials += denials;
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

function note(map: Map<string, number>, id: string, at: number, known: number): void {
  const noted = Math.max(known, map.get(id) ?? 0);
  if (at - noted < noteEveryMilliseconds || (map.size >= maxNoted && !map.has(id))) return;
  map.set(id, at);
}
