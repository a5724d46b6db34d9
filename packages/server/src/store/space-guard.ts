import { StrongroomError } from '@strongroom/contract/core';
import { type DiskReserve, isFull } from './disk-reserve.ts';
import type { LaneOutcome, LaneRequest } from './lane-protocol.ts';

type Outcome = LaneOutcome<StrongroomError>;
type RunBatch = (requests: readonly LaneRequest[]) => Promise<readonly Outcome[]>;

/**
 * Keeps the last of the disk for essential commands: those that a launch, a sign-in, a revocation or a refusal is recorded by,
 * and those that free space. When space is low the others are refused before they are run. When the disk is full the
 * reserve is given back, and what is essential in the batch is run once more.
 */
export class SpaceGuard {
  readonly #run: RunBatch;
  readonly #reserve: DiskReserve;
  readonly #essential: ReadonlySet<string>;

  constructor(run: RunBatch, reserve: DiskReserve, essential: ReadonlySet<string>) {
    this.#run = run;
    this.#reserve = reserve;
    this.#essential = essential;
  }

  /** Answers in the order of the requests; never rejects. */
  async run(requests: readonly LaneRequest[]): Promise<Outcome[]> {
    const isLow = this.#reserve.isLow();
    const outcomes = await this.#runSome(requests, isLow);
    const failures = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.error]));
    // The records are stored, but not anchored: the next batch's line goes first where there is room for it.
    if (failures.some(({ code, cause }) => code === 'audit_unavailable' && isFull(cause))) this.#reserve.release();
    if (isLow || !failures.some(({ code }) => code === 'storage_full')) return outcomes;
    return this.#runSome(requests, true);
  }

  /** All of them, or the essential ones; the others are refused. */
  async #runSome(requests: readonly LaneRequest[], onlyEssential: boolean): Promise<Outcome[]> {
    if (!onlyEssential) return [...(await this.#run(requests))];
    const essential = requests.filter(({ name }) => this.#essential.has(name));
    let outcomes: readonly Outcome[] = essential.length === 0 ? [] : await this.#run(essential);
    const isOutOfSpace = outcomes.some((outcome) => !outcome.ok && outcome.error.code === 'storage_full');
    if (isOutOfSpace && this.#reserve.release()) outcomes = await this.#run(essential);
    const answers = outcomes.values();
    return requests.map(({ name }) => (this.#essential.has(name) ? (answers.next().value ?? refused()) : refused()));
  }
}

function refused(): Outcome {
  return {
    ok: false,
    error: new StrongroomError('storage_full', {
      detail: 'The disk of the data directory is nearly full. What is left is kept for audit.',
    }),
  };
}
