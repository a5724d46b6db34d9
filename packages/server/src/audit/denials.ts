import type { Store } from '../store/store.ts';
import type { DenialCount } from './commands.ts';

const minuteMilliseconds = 60_000;
/** Kinds counted apart in a minute; what comes beyond is `other`. */
const maxActions = 32;

/**
 * Counts refusals of callers nobody knows, so that strangers can't fill the log: a few rows a minute, one record for each
 * minute that is over. Counts of the last seconds are in memory and go with a killed process.
 */
export class DenialCounter {
  readonly #store: Pick<Store, 'execute'>;
  #counts = new Map<number, Map<string, number>>();
  /** The minute up to which everything is folded. */
  #foldedTo = 0;

  constructor(store: Pick<Store, 'execute'>) {
    this.#store = store;
  }

  /** @param action what was refused: a route's id or an action, never what a caller typed */
  count(action: string, now = Date.now()): void {
    const minute = now - (now % minuteMilliseconds);
    const actions = this.#counts.get(minute) ?? new Map<string, number>();
    this.#counts.set(minute, actions);
    const name = actions.has(action) || actions.size < maxActions ? action : 'other';
    actions.set(name, (actions.get(name) ?? 0) + 1);
  }

  /** Stores what was counted and turns minutes that are over into records. @throws StrongroomError as `Store.execute` */
  async flush(now = Date.now()): Promise<void> {
    const counted = this.#counts;
    this.#counts = new Map();
    const counts: DenialCount[] = [...counted].flatMap(([minute, actions]) =>
      [...actions].map(([action, count]) => ({ minute, action, count })),
    );
    if (counts.length > 0) {
      try {
        await this.#store.execute('audit.countDenials', { counts });
      } catch (error) {
        this.#putBack(counts);
        throw error;
      }
    }
    const current = now - (now % minuteMilliseconds);
    // Another minute, also by a clock that was set back.
    if (current === this.#foldedTo) return;
    await this.#store.execute('audit.foldDenials', { before: current });
    this.#foldedTo = current;
  }

  #putBack(counts: readonly DenialCount[]): void {
    for (const { minute, action, count } of counts) {
      const actions = this.#counts.get(minute) ?? new Map<string, number>();
      this.#counts.set(minute, actions);
      actions.set(action, (actions.get(action) ?? 0) + count);
    }
  }
}
