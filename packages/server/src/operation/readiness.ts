import { accessSync, constants, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { StrongroomError } from '@strongroom/contract';
import type { Settings } from '../config/settings.ts';
import type { Keys } from '../keys/keys.ts';
import type { Store } from '../store/store.ts';

export interface ReadinessParts {
  readonly store: Pick<Store, 'authorisationRevision' | 'execute'>;
  readonly keys: Pick<Keys, 'bodyHmac'>;
  readonly settings: Pick<Settings, 'dataDir' | 'auditAnchor'>;
  /** Whether the server has begun to stop. */
  readonly isStopping: () => boolean;
}

/** Bytes that must be free: below it, audit could stop next. */
export const minFreeBytes = 64 * 1024 * 1024;
const checkMilliseconds = 2_000;
const believedMilliseconds = 1_000;

/** Whether the server can do its work; each dependency by name. */
export class Readiness {
  readonly #checks: readonly { readonly name: string; readonly check: () => unknown }[];
  #last: { readonly missing: Promise<readonly string[]>; readonly until: number } | undefined;

  constructor({ store, keys, settings, isStopping }: ReadinessParts) {
    const { auditAnchor, dataDir } = settings;
    this.#checks = [
      { name: 'server', check: () => refuseWhen(isStopping(), 'stopping') },
      { name: 'store', check: () => store.authorisationRevision() },
      {
        name: 'writer',
        check: () => store.execute('operation.probe', undefined, { deadlineMilliseconds: checkMilliseconds }),
      },
      { name: 'keys', check: () => keys.bodyHmac(new Uint8Array(1)) },
      { name: 'audit-anchor', check: () => auditAnchor.kind === 'stdout' || canAppend(auditAnchor.path) },
      { name: 'disk', check: () => refuseWhen(freeBytes(dataDir) < minFreeBytes, 'nearly full') },
    ];
  }

  /** Names of all dependencies. @throws StrongroomError `not_ready` naming those that are missing */
  async check(): Promise<string[]> {
    const now = performance.now();
    if (this.#last === undefined || now >= this.#last.until)
      this.#last = { missing: this.#missing(), until: now + believedMilliseconds };
    const missing = await this.#last.missing;
    if (missing.length > 0)
      throw new StrongroomError('not_ready', {
        errors: missing.map((name) => ({ pointer: name, message: 'is not available' })),
      });
    return this.#checks.map(({ name }) => name);
  }

  async #missing(): Promise<readonly string[]> {
    const outcomes = await Promise.all(
      this.#checks.map(async ({ name, check }) => ({ name, isThere: await succeeds(check) })),
    );
    return outcomes.flatMap(({ name, isThere }) => (isThere ? [] : [name]));
  }
}

async function succeeds(check: () => unknown): Promise<boolean> {
  const deadline = new AbortController();
  const late = delay(checkMilliseconds, false, { signal: deadline.signal, ref: false }).catch(() => false);
  try {
    return await Promise.race([Promise.resolve(check()).then(() => true), late]);
  } catch {
    // Which one failed is the answer; why is for the log of whoever owns it.
    return false;
  } finally {
    deadline.abort();
  }
}

export function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

/** @throws the file system's error */
export function canAppend(path: string): boolean {
  accessSync(path, constants.W_OK);
  accessSync(dirname(path), constants.W_OK);
  return true;
}

function refuseWhen(isBad: boolean, why: string): void {
  if (isBad) throw new RangeError(why);
}
