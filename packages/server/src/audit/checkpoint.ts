import { checkpointState } from './queries.ts';
import { StrongroomError } from '@strongroom/contract';
import type { SigningKey } from '@strongroom/crypto';
import { newId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import { isSignedBy } from './anchor-line.ts';
import { flushAnchor, readAnchorTail } from './anchor.ts';
import { checkpointDigest, signCheckpoint } from './checkpoint-document.ts';
import type { AnchorPosition } from './record.ts';

const checkpointEveryRecords = 1_000;
const checkpointEveryMilliseconds = 60_000;

export interface CheckpointerParts {
  readonly store: Pick<Store, 'execute' | 'db' | 'dialect'>;
  readonly signing: SigningKey;
  readonly installationId: string;
  readonly epoch: number;
  /** The anchor file; null when the anchor is on the standard output alone. */
  readonly anchorPath: string | null;
}

/** Makes signed checkpoints over the heads of all chains. */
export class Checkpointer {
  readonly #parts: CheckpointerParts;
  /** When one was last due, as `performance.now()` says it. */
  #lookedAt = performance.now();

  constructor(parts: CheckpointerParts) {
    this.#parts = parts;
  }

  /**
   * A checkpoint when 1,000 records or 60 seconds have passed since the last one, by the clock or, where that was set back, by
   * the process's own.
   * @param steadyNow as `performance.now()` says it
   * @returns whether there was one to make
   */
  async makeWhenDue(now = Date.now(), steadyNow = performance.now()): Promise<boolean> {
    const { heads, previous, isOnlyCheckpoint } = await checkpointState(this.#parts.store);
    if (isOnlyCheckpoint) return false;
    const records = heads.reduce((sum, head) => sum + head.sequence - head.checkpointed, 0);
    const passed = Math.max(now - (previous?.at ?? 0), steadyNow - this.#lookedAt);
    if (records < checkpointEveryRecords && passed < checkpointEveryMilliseconds) return false;
    this.#lookedAt = steadyNow;
    return this.make(now);
  }

  /**
   * A checkpoint now, unless nothing but the last checkpoint's own record was added since.
   *
   * @throws StrongroomError as `Store.execute`; the file system's error when the anchor cannot be flushed
   */
  async make(now = Date.now()): Promise<boolean> {
    const { store, signing, installationId, epoch } = this.#parts;
    const { heads, previous, isOnlyCheckpoint } = await checkpointState(store);
    if (heads.length === 0 || isOnlyCheckpoint) return false;
    // Checkpoints are ordered by their time, which a clock set back must not turn around.
    const at = Math.max(now, (previous?.at ?? 0) + 1);
    const checkpoint = signCheckpoint(
      {
        id: newId('checkpoint', at),
        installation: installationId,
        epoch,
        at,
        previous: previous === null ? null : { id: previous.id, digest: checkpointDigest(previous.document) },
        heads,
        anchor: this.#anchorPosition(),
      },
      signing,
    );
    try {
      await store.execute('audit.storeCheckpoint', { checkpoint, previousId: previous?.id ?? null, heads });
    } catch (error) {
      // Another replica made one in this moment; it covers the same heads.
      if (error instanceof StrongroomError && error.code === 'version_conflict') return false;
      throw error;
    }
    return true;
  }

  /** What a checkpoint names must not be lost in a power cut, or the anchor would seem to have been cut. */
  #anchorPosition(): AnchorPosition | null {
    const { anchorPath, signing } = this.#parts;
    if (anchorPath === null) return null;
    const tail = readAnchorTail(anchorPath);
    if (tail === null || !isSignedBy(signing.publicKey, tail)) return null;
    flushAnchor(anchorPath);
    return { series: tail.series, line: tail.line, hash: tail.lineHash };
  }
}
