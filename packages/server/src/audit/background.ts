import { Checkpointer, type CheckpointerParts } from './checkpoint.ts';
import { DenialCounter } from './denials.ts';
import { publicKeyFile, publishPublicKey } from './public-key-file.ts';

const tickMilliseconds = 5_000;

/** The audit's work beside the write lane: checkpoints and counted denials. */
export interface AuditBackground {
  readonly denials: DenialCounter;
  /** Stops ticking, stores what is counted, and makes a last checkpoint. Call before the store closes. */
  stop(): Promise<void>;
}

/**
 * Publishes the public key beside the anchor and makes a checkpoint, then looks every five seconds whether one is due.
 * Call after `server.start` was recorded, which begins the chain.
 *
 * @param onError a tick failed; the next one tries again
 * @throws StrongroomError when the first checkpoint cannot be stored
 */
export async function startAuditBackground(
  parts: CheckpointerParts,
  onError: (error: unknown) => void,
): Promise<AuditBackground> {
  if (parts.anchorPath !== null) publishPublicKey(publicKeyFile(parts.anchorPath), parts.signing.publicKey);
  const checkpointer = new Checkpointer(parts);
  const denials = new DenialCounter(parts.store);
  await denials.flush();
  await checkpointer.make();
  let running: Promise<void> = Promise.resolve();
  let isBusy = false;
  const tick = async (): Promise<void> => {
    try {
      await denials.flush();
      await checkpointer.makeWhenDue();
    } catch (error) {
      onError(error);
    } finally {
      isBusy = false;
    }
  };
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    running = tick();
  }, tickMilliseconds).unref();
  return {
    denials,
    async stop() {
      clearInterval(timer);
      await running;
      await denials.flush();
      await checkpointer.make();
    },
  };
}
