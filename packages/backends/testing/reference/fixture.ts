import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretValue } from '@strongroom/crypto';
import type { Backend, Capabilities, Content } from '../../src/backend.ts';
import {
  type ConformanceContext,
  faultKinds,
  type ForeignThing,
  keyKinds,
  type KeyKind,
} from '../../src/conformance/index.ts';
import { openReferenceBackend, referenceCapabilities } from './backend.ts';
import { ReferenceServer } from './server.ts';
import { ReferenceStore } from './store.ts';

/** A running reference server over an SQLite file of its own, and what the suite needs of it. */
export class ReferenceFixture {
  readonly server: ReferenceServer;
  readonly store: ReferenceStore;
  /** For defects that several instances have together. */
  shared: Backend | undefined;
  opened = 0;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.store = new ReferenceStore(join(folder, 'reference.sqlite'));
    this.server = new ReferenceServer(this.store, `token-${randomBytes(16).toString('hex')}`);
  }

  static async start(): Promise<ReferenceFixture> {
    const fixture = new ReferenceFixture(mkdtempSync(join(tmpdir(), 'strongroom-reference-')));
    await fixture.server.listen();
    return fixture;
  }

  open(capabilities: Capabilities = referenceCapabilities): Backend {
    return openReferenceBackend(this.server.port, this.server.token, capabilities);
  }

  /** @param wrap what stands around each instance */
  context(
    wrap: (backend: Backend) => Backend = (backend) => backend,
    capabilities = referenceCapabilities,
  ): ConformanceContext {
    return {
      open: () => Promise.resolve(wrap(this.open(capabilities))),
      place: {
        seed: (key, content) => Promise.resolve(this.seed(key, content)),
        softDelete: (key) => Promise.resolve(this.store.softDelete(key)),
        remove: (key) => Promise.resolve(this.store.remove(key)),
      },
      keyKinds: Object.keys(keyKinds) as KeyKind[],
      shapes: ['text', 'binary', 'fields'],
      unknownVersion: '99999999',
      faults: Object.fromEntries(faultKinds.map((kind) => [kind, (echo: string) => this.server.inject(kind, echo)])),
      foreign: {
        beside: (key) => Promise.resolve(this.#beside(key)),
        inPlaceOf: (key) => Promise.resolve(this.#inPlaceOf(key)),
      },
      credentials: [SecretValue.fromText(this.server.token)],
      sizes: { abortGraceMs: 2_000, checkMs: 100_000 },
    };
  }

  seed(key: string, { value, shape }: Content): void {
    const valueBase64 = Buffer.from(value.reveal()).toString('base64');
    this.store.put({ key, shape, valueBase64, expect: { kind: 'any' }, intentId: null });
  }

  async stop(): Promise<void> {
    await this.server.close();
    this.store.close();
    rmSync(this.#folder, { recursive: true });
  }

  #beside(key: string): ForeignThing {
    this.store.annotate(key, 'theirs');
    return {
      isUntouched: () => Promise.resolve(this.store.annotationOf(key) === 'theirs'),
      remove: () => Promise.resolve(this.store.annotate(key, '')),
    };
  }

  #inPlaceOf(key: string): ForeignThing {
    this.seed(key, { value: SecretValue.fromText('theirs'), shape: 'text' });
    this.store.disown(key);
    const before = JSON.stringify(this.store.get(key, null));
    return {
      isUntouched: () => Promise.resolve(JSON.stringify(this.store.get(key, null)) === before),
      remove: () => Promise.resolve(this.store.remove(key)),
    };
  }
}
