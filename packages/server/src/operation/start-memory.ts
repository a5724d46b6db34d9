import { type EventLoopUtilization, performance } from 'node:perf_hooks';

const everyMilliseconds = 5_000;
/** Share of the time that the event loop had something to do: below it, nobody notices a pause. */
const idleShare = 0.1;

/** What Node's `--expose-gc` makes of V8's collector; absent without the flag. */
type Collect = (options: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void;

/**
 * Gives back what the start alone took, once, when the server first has nothing to do: some 20 MB, which the runtime would keep
 * as long as nothing asks for memory. It takes a tenth of a second. Does nothing where the process was started without
 * `--expose-gc` (Node's command line; experimental).
 */
export function releaseStartMemory(
  collect: Collect | undefined = (globalThis as { readonly gc?: Collect }).gc,
  utilization: () => EventLoopUtilization = () => performance.eventLoopUtilization(),
): void {
  if (collect === undefined) return;
  let before = utilization();
  const timer = setInterval(() => {
    const now = utilization();
    const active = now.active - before.active;
    const share = active / (active + now.idle - before.idle);
    before = now;
    if (share > idleShare) return;
    clearInterval(timer);
    collect({ type: 'major', flavor: 'last-resort' });
  }, everyMilliseconds).unref();
}
