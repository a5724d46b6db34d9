import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { encodePublicKeyText } from '@strongroom/crypto';
import { syncDirectory } from '../store/data-directory.ts';
import { Checkpointer, type CheckpointerParts } from './checkpoint.ts';
import { DenialCounter } from './denials.ts';

const tickMilliseconds = 5_000;

/** The audit's work beside the write lane: checkpoints and counted denials. */
export interface AuditBackground {
  readonly denials: DenialCounter;
  /** Stops ticking, stores what is counted, and makes a last checkpoint. Call before the store closes. */
  stop(): Promise<void>;
}

/**
 * Makes the first checkpoint, then looks every five seconds whether one is due.
 *
 * @param onError a tick failed; the next one tries again
 * @throws StrongroomError when the first checkpoint cannot be stored
 */
export async function startAuditBackground(
  parts: CheckpointerParts,
  onError: (error: unknown) => void,
): Promise<AuditBackground> {
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

/** The file with the public keys, one a line, oldest first; beside the anchor. */
export function publicKeyFile(anchorPath: string): string {
  return join(dirname(anchorPath), 'audit.pub');
}

/** Adds the key to the file when it is not there. What offline verification trusts; copy it to where it is verified. */
export function publishPublicKey(path: string, publicKey: Uint8Array): void {
  const line = encodePublicKeyText(publicKey);
  const known = readIfThere(path)
    .split('\n')
    .filter((text) => text !== '');
  if (known.includes(line)) return;
  writeFileSync(path, `${[...known, line].join('\n')}\n`, { mode: 0o644, flush: true });
  syncDirectory(dirname(path));
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
