import { StrongroomError } from '@strongroom/contract';

/** Who comes: a stranger, or an account from a network that it signed in from lately. */
export type PasswordGuest = 'stranger' | 'familiar';

export interface PasswordPlace {
  /** Does the work of a password once it is its turn. */
  work<Result>(work: () => Promise<Result>): Promise<Result>;
  /** As often as one likes. */
  leave(): void;
}

/**
 * How much work with passwords there is at once. Each takes 19 MiB, tens of milliseconds and one of the few threads that files
 * and names of hosts need too, and however slowly each network may try, there can be any number of networks. So few work at
 * once, and only so many wait; others are told to come again before anything is looked up or counted, whoever they claim to be.
 * Accounts that come from where they usually come from have places of their own and go first, so that no number of strangers
 * keeps them out.
 */
export class PasswordPlaces {
  readonly #atOnce: number;
  readonly #places: number;
  readonly #taken: Record<PasswordGuest, number> = { stranger: 0, familiar: 0 };
  readonly #waiting: Record<PasswordGuest, (() => void)[]> = { stranger: [], familiar: [] };
  #working = 0;

  /** @param options.places for each of the two kinds of guests, those who work among them */
  constructor(options: { readonly atOnce?: number; readonly places?: number } = {}) {
    this.#atOnce = options.atOnce ?? 2;
    this.#places = options.places ?? 64;
  }

  /** @throws StrongroomError `throttled` when all places are taken */
  take(guest: PasswordGuest): PasswordPlace {
    if (this.#taken[guest] >= this.#places)
      throw new StrongroomError('throttled', {
        detail: 'Too many people are signing in just now.',
        retryAfterSeconds: 2,
      });
    this.#taken[guest] += 1;
    let isTaken = true;
    return {
      work: (work) => this.#work(guest, work),
      leave: () => {
        if (isTaken) this.#taken[guest] -= 1;
        isTaken = false;
      },
    };
  }

  async #work<Result>(guest: PasswordGuest, work: () => Promise<Result>): Promise<Result> {
    if (this.#working < this.#atOnce) this.#working += 1;
    else await new Promise<void>((resolve) => this.#waiting[guest].push(resolve));
    try {
      return await work();
    } finally {
      // Whose turn it is next takes over the count.
      const next = this.#waiting.familiar.shift() ?? this.#waiting.stranger.shift();
      if (next === undefined) this.#working -= 1;
      else next();
    }
  }
}
