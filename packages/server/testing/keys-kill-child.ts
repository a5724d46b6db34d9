import process from 'node:process';
import { openSqliteStore } from '../src/store/sqlite.ts';
import type { Store } from '../src/store/store.ts';
import { resealRetired } from '../src/keys/reseal.ts';
import { keyFile } from '../src/keys/kek-file.ts';
import { rotateKekFile } from '../src/keys/rotation.ts';
import { KeysWorld, rotationEvent } from './keys-world.ts';
import { KmsWorld } from './kms-world.ts';
import { writeDeadlineMilliseconds } from './write-deadline.ts';

/**
 * Starts or rotates and kills itself at a failpoint: `node keys-kill-child.ts DIRECTORY FAILPOINT [KMS KEY_ARN]`, with the key in
 * a file, or under KMS. Failpoints: the steps of a rotation, and of making a key under KMS; `committing`, with the commit under
 * way; `resealing` and `resealed`, with a batch of values under way and stored. With `start ` before it, in the first start.
 */
const [directory = '', failpoint = '', kmsUrl, keyArn = ''] = process.argv.slice(2);
const isStart = failpoint.startsWith('start ');
const step = failpoint.replace('start ', '');
let isArmed = isStart;

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

function dieAtStep(reached: string): void {
  if (isArmed && reached === step) die();
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

const place = {
  directory,
  open: (program?: URL) =>
    openSqliteStore({ writeDeadlineMilliseconds, directory, ...(program !== undefined && { program }) }),
  remove: async () => undefined,
};
const world = kmsUrl === undefined ? new KeysWorld(place) : new KmsWorld(place, { url: kmsUrl }, keyArn, dieAtStep);
if (isStart) {
  await world.openStore();
  if (step === 'committing' || step === 'committed')
    dieAt(world.anyStore, 'keys.createInstallation', step === 'committing' ? 'sent' : 'answered');
  await world.openKeys();
} else {
  await world.start();
  isArmed = true;
  const store = world.anyStore;
  if (step === 'resealing' || step === 'resealed') {
    dieAt(store, 'keys.resealVersions', step === 'resealing' ? 'sent' : 'answered');
    await resealRetired(store, world.keyring, { batches: 100 });
  } else {
    if (step === 'committing') dieAt(store, 'keys.replaceKek', 'sent');
    if (kmsUrl === undefined)
      await rotateKekFile(store, world.keyring, keyFile(world.kekFile), rotationEvent, dieAtStep);
    else await world.kekSource.rotate(store, world.keyring, rotationEvent);
  }
}
// Not reached: the parent wants to see a signal.
process.exit(1);
