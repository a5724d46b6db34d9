import type { ItemOf } from '@strongroom/sdk';

type AuditRecord = ItemOf<'listAuditRecords'>;

/**
 * How far behind the newest record another one may still come in: servers over one database write chains of their own, by
 * clocks of their own.
 */
const overlapMilliseconds = 10_000;

/** Tells new records from seen ones, in lists that are read again and again from a little before the newest. */
export class AuditFollower {
  #seen: ReadonlySet<string>;
  #newest: number;

  /** @param walked what was read so far, newest first, from the newest to `isBehind` at least */
  constructor(walked: readonly AuditRecord[]) {
    this.#seen = new Set(walked.map(positionOf));
    this.#newest = newestOf(walked);
  }

  /** Whether a record is too old to be taken for a new one later, when these were read before it, newest first. */
  static isBehind(record: AuditRecord, walked: readonly AuditRecord[]): boolean {
    return Date.parse(record.at) < newestOf(walked) - overlapMilliseconds;
  }

  /** From when on to read next; `from` when that is later, or nothing was read. */
  since(from: string | undefined): string | undefined {
    const start = this.#newest - overlapMilliseconds;
    return start > (from === undefined ? -Infinity : Date.parse(from)) ? new Date(start).toISOString() : from;
  }

  /**
   * Those that are new, oldest first.
   * @param window all records from `since` on, newest first
   */
  take(window: readonly AuditRecord[]): AuditRecord[] {
    const fresh = window.filter((record) => !this.#seen.has(positionOf(record)));
    if (window.length > 0) {
      this.#seen = new Set(window.map(positionOf));
      this.#newest = newestOf(window);
    }
    return fresh.toReversed();
  }
}

function newestOf([first]: readonly AuditRecord[]): number {
  return first === undefined ? -Infinity : Date.parse(first.at);
}

function positionOf({ chain, sequence }: AuditRecord): string {
  return `${chain}/${sequence}`;
}
