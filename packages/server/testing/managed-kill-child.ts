import process from 'node:process';
import { json } from 'node:stream/consumers';
import { kekFromBytes } from '@strongroom/crypto';
import type { Backend } from '@strongroom/backends';
import type { Store } from '../src/store/store.ts';
import { type DrilledOperation, type DrilledStore, type Failpoint, openDrillWorld } from './managed-kills.ts';

/** Does one operation of `managed-kills.ts`, and kills itself at a failpoint. What to do comes on standard input. */
interface Input {
  readonly directory: string;
  readonly kek: string;
  readonly store: DrilledStore;
  readonly operation: DrilledOperation;
  readonly failpoint: Failpoint;
  readonly key: string;
}

const { directory, kek, store, operation, failpoint, key } = (await json(process.stdin)) as Input;

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Two turns of the event loop: what was sent is under way. */
function dieSoon(): void {
  setImmediate(() => setImmediate(die));
}

/** The process dies at a command, before it is sent or once it is on its way. */
function dieAt(target: Store, command: string, when: 'before' | 'sent'): void {
  const execute = target.execute.bind(target) as (...all: unknown[]) => Promise<unknown>;
  const value = (name: string, ...rest: unknown[]): Promise<unknown> => {
    if (name === command && when === 'before') die();
    if (name === command) dieSoon();
    return execute(name, ...rest);
  };
  Object.defineProperty(target, 'execute', { value });
}

function dieWhilePutting(backend: Backend): Backend {
  const dying = <Method extends 'put' | 'delete'>(name: Method): Backend[Method] => {
    const method = backend[name].bind(backend) as (...all: unknown[]) => Promise<unknown>;
    return ((...all: unknown[]) => {
      if (failpoint === 'putting') setTimeout(die, Math.random() * 6);
      return method(...all);
    }) as Backend[Method];
  };
  return {
    type: backend.type,
    capabilities: backend.capabilities,
    get: (...args) => backend.get(...args),
    getMany: (...args) => backend.getMany(...args),
    check: (...args) => backend.check(...args),
    list: (...args) => backend.list(...args),
    put: dying('put'),
    delete: dying('delete'),
    close: () => backend.close(),
  };
}

const place = { directory, kek: kekFromBytes(Buffer.from(kek, 'hex')), store };
const world = await openDrillWorld(
  place,
  (step) => {
    if (step === failpoint) die();
  },
  dieWhilePutting,
);
if (failpoint === 'before-intent') dieAt(world.test.store, 'managed.begin', 'before');
if (failpoint === 'intending') dieAt(world.test.store, 'managed.begin', 'sent');
if (failpoint === 'committing') dieAt(world.test.store, 'managed.commit', 'sent');
if (operation === 'create') await world.create(key, `new ${key}`);
else if (operation === 'rotate') await world.rotate(key, `new ${key}`);
else await world.purge(key);
// Done before it could be killed, which is as good; otherwise not reached.
die();
