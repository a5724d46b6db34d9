/** A token as somebody issued it. */
export interface IssuedToken {
  readonly text: string;
  readonly lifetimeSeconds: number;
}

/** Has a token by the guard's own deadline: many calls wait for it, and the end of one must not end the others. */
export type TokenSource = () => Promise<IssuedToken>;

interface KeptToken {
  readonly text: string;
  /** Of `performance.now()`. */
  readonly endsAt: number;
}

/** Share of a token's time after which another one is had. */
const keptShare = 0.9;

/** The token of one backend: had once by however many wait for it, and kept until shortly before its end. */
export class AccessTokens {
  readonly #source: TokenSource;
  #kept: KeptToken | undefined;
  #flight: Promise<string> | undefined;

  constructor(source: TokenSource) {
    this.#source = source;
  }

  /** @throws StrongroomError what the source throws */
  current(): Promise<string> {
    if (this.#kept !== undefined && performance.now() < this.#kept.endsAt) return Promise.resolve(this.#kept.text);
    this.#flight ??= this.#obtain().finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  /** Google refused this token; another one that came meanwhile stays. */
  drop(text: string): void {
    if (this.#kept?.text === text) this.#kept = undefined;
  }

  async #obtain(): Promise<string> {
    const startedAt = performance.now();
    const { text, lifetimeSeconds } = await this.#source();
    this.#kept = { text, endsAt: startedAt + lifetimeSeconds * 1000 * keptShare };
    return text;
  }
}
