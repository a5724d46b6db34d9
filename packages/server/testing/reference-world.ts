import type { Backend } from '@strongroom/backends';
import { ReferenceFixture } from '@strongroom/backends/testing/reference.ts';
import { SecretValue } from '@strongroom/crypto';
import { ManagedWorld } from './managed-world.ts';
import type { TestDatabase } from './stores.ts';

/** The Global scope with its values in the reference backend, which a test can edit, and stand around. */
export class ReferenceWorld {
  readonly fixture: ReferenceFixture;
  readonly world: ManagedWorld;
  readonly #around: Around;

  private constructor(fixture: ReferenceFixture, world: ManagedWorld, around: Around) {
    this.fixture = fixture;
    this.world = world;
    this.#around = around;
  }

  static async open(database: TestDatabase): Promise<ReferenceWorld> {
    const fixture = await ReferenceFixture.start();
    const bare = fixture.open();
    const around = { bare, current: bare };
    const open = () => Promise.resolve(delegating(() => around.current));
    return new ReferenceWorld(fixture, await ManagedWorld.open({ database, open }), around);
  }

  /** From now on this stands around the backend. */
  wrap(make: (backend: Backend) => Backend): void {
    this.#around.current = make(this.#around.bare);
  }

  unwrap(): void {
    this.#around.current = this.#around.bare;
  }

  async inBackend(key: string): Promise<string | null> {
    const backend = this.fixture.open();
    const entry = await backend.get(key, { signal: AbortSignal.timeout(100_000) });
    await backend.close();
    return entry === null ? null : entry.value.revealText();
  }

  editOutside(key: string, value: string): void {
    this.fixture.seed(key, { value: SecretValue.fromText(value), shape: 'text' });
  }

  async close(): Promise<void> {
    await this.world.close();
    await this.fixture.stop();
  }
}

interface Around {
  readonly bare: Backend;
  current: Backend;
}

function delegating(current: () => Backend): Backend {
  return {
    type: 'reference',
    get capabilities() {
      return current().capabilities;
    },
    get: (...args) => current().get(...args),
    getMany: (...args) => current().getMany(...args),
    check: (...args) => current().check(...args),
    list: (...args) => current().list(...args),
    put: (...args) => current().put(...args),
    delete: (...args) => current().delete(...args),
    close: () => current().close(),
  };
}
