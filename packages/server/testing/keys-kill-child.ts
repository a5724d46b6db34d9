import process from 'node:process';
import { openSqliteStore } from '../src/store/sqlite.ts';
import type { Store } from '../src/store/store.ts';
import { resealRetired } from '../src/keys/reseal.ts';
import { keyFile } from '../src/keys/kek-file.ts';
import { rotateKekFile } from '../src/keys/rotation.ts';
import { KeysWorld, rotationEvent } from './keys-world.ts';
import { writeDeadlineMilliseconds } from './write-deadline.ts';

/**
 * Rotates and kills itself at a failpoint: `node keys-kill-child.ts DIRECTORY FAILPOINT`. Failpoints: the steps of
 * `rotateKekFile`; `committing`, with the commit under way; `resealing` and `resealed`, with a batch of values under way and
 * stored.
 */
const [directory = '', failpoint = ''] = process.argv.slice(2);

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** From now on the process dies once the command is on its way, or when it was answered. */
function dieAt(store: Store, command: string, when: 'sent' | 'answered'): void {
  const execute = store.execute.bind(store) as (...all: unknown[]) => Promise<unknown>;
  const value = async (name: string, ...rest: unknown[]): Promise<unknown> => {
    const answer = execute(name, ...rest);
    // Two turns of the event loop: the batch is with the writer thread.
    if (name === command && when === 'sent') setImmediate(() => setImmediate(die));
    const result = await answer;
    if (name === command && when === 'answered') die();
    return result;
  };
  Object.defineProperty(store, 'execute', { value });
}

const world = new KeysWorld({
  directory,
  open: (program) =>
    openSqliteStore({ writeDeadlineMilliseconds, directory, ...(program !== undefined && { program }) }),
  remove: async () => undefined,
});
await world.start();
const store = world.anyStore;
if (failpoint === 'resealing' || failpoint === 'resealed') {
  dieAt(store, 'keys.resealVersions', failpoint === 'resealing' ? 'sent' : 'answered');
  await resealRetired(store, world.keyring, { batches: 100 });
} else {
  if (failpoint === 'committing') dieAt(store, 'keys.replaceKek', 'sent');
  await rotateKekFile(store, world.keyring, keyFile(world.kekFile), rotationEvent, (step) => {
    if (step === failpoint) die();
  });
}
// Not reached: the parent wants to see a signal.
process.exit(1);
