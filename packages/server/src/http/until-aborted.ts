import type { Readable } from 'node:stream';

/** The stream, until nobody waits for it any more: then it is destroyed, and lets go of what it reads from. */
export function untilAborted(stream: Readable, signal: AbortSignal): Readable {
  const stop = (): void => {
    stream.destroy();
  };
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  stream.once('close', () => signal.removeEventListener('abort', stop));
  return stream;
}
