import type { Store } from '../store/store.ts';
import type { Keyring } from './keyring.ts';

const everyMilliseconds = 60_000;
const scopesAtOnce = 500;

/**
 * Forgets the keys of scopes that another server over the same database has destroyed, within a minute: they open nothing that is
 * left, but what they sealed may still be in a backup.
 */
export class DestroyedScopes {
  readonly #store: Pick<Store, 'db'>;
  readonly #keyring: Pick<Keyring, 'openedScopes' | 'forgetScope'>;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> = Promise.resolve();

  /** @param onError told when the store could not be asked; the next round asks again */
  constructor(
    store: Pick<Store, 'db'>,
    keyring: Pick<Keyring, 'openedScopes' | 'forgetScope'>,
    onError: (error: unknown) => void,
  ) {
    this.#store = store;
    this.#keyring = keyring;
    this.#timer = setInterval(() => {
      this.#running = this.#running.then(() => this.forget()).catch(onError);
    }, everyMilliseconds).unref();
  }

  async forget(): Promise<void> {
    const opened = this.#keyring.openedScopes();
    for (let at = 0; at < opened.length; at += scopesAtOnce) {
      const destroyed = await this.#store.db
        .selectFrom('key_terms')
        .select('scope_id')
        .distinct()
        .where('scope_id', 'in', opened.slice(at, at + scopesAtOnce))
        .where('state', '=', 'destroyed')
        .execute();
      for (const { scope_id } of destroyed) this.#keyring.forgetScope(scope_id);
    }
  }

  /** Before the store is closed. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }
}
