/** How long an attempt may take before it keeps others waiting. */
const freeMilliseconds = 1000;
/** What a lane may keep waiting in one round: two attempts that are not answered. */
const budgetMilliseconds = 15_000;

export const mailLane = 'mail';

/** What goes one after another: all mail, which has one server, and the webhook of each scope. */
export function laneOf({
  channel,
  scope_id: scopeId,
}: {
  readonly channel: string;
  readonly scope_id: string;
}): string {
  return channel === 'mail' ? mailLane : scopeId;
}

/** The time that lanes took in a round. Who answers slowly, or not at all, has the rest of its deliveries in the next one. */
export class LaneTimes {
  readonly #now: () => number;
  readonly #slow = new Map<string, number>();

  /** @param now monotonic, in milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Lanes that are done for this round. */
  get spent(): readonly string[] {
    return [...this.#slow.keys()].filter((lane) => this.isSpent(lane));
  }

  isSpent(lane: string): boolean {
    return (this.#slow.get(lane) ?? 0) >= budgetMilliseconds;
  }

  /** Counts what the work takes beyond {@link freeMilliseconds}, however it ends. */
  async count<Result>(lane: string, work: () => Promise<Result>): Promise<Result> {
    const began = this.#now();
    try {
      return await work();
    } finally {
      const slow = Math.max(0, this.#now() - began - freeMilliseconds);
      this.#slow.set(lane, (this.#slow.get(lane) ?? 0) + slow);
    }
  }
}
