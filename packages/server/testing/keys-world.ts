import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type ErrorCode, StrongroomError } from '@strongroom/contract';
import { SecretValue } from '@strongroom/crypto';
import type { NotNull } from 'kysely';
import type { AuditEvent } from '../src/audit/event.ts';
import { fileKekSource, type KekSource } from '../src/keys/kek-source.ts';
import { type Keyring, openKeyring } from '../src/keys/keyring.ts';
import type { ValuePlace } from '../src/keys/keys.ts';
import { dataFiles } from '../src/store/data-directory.ts';
import type { OpenStore, Store } from '../src/store/store.ts';
import type { KeysTestCommands } from './keys-program.ts';
import { testProgram } from './programs.ts';
import type { TestDatabase, TestPlace } from './stores.ts';

const program = testProgram('keys-program');

export const rotationEvent: AuditEvent = {
  principal: 'system',
  principalName: 'system',
  action: 'keys.rotate',
  outcome: 'allowed',
};

/** `TestPlace` says nothing of the program's own commands. */
async function openOwn(place: TestPlace): Promise<OpenStore<KeysTestCommands>> {
  const store: unknown = await place.open(program);
  return store as OpenStore<KeysTestCommands>;
}

/** One installation with its key in a file, or elsewhere, opened and closed as servers do. */
export class KeysWorld {
  readonly place: TestPlace;
  readonly kekFile: string;
  readonly #kekSource: KekSource;
  store!: OpenStore<KeysTestCommands>;
  keyring!: Keyring;

  constructor(place: TestPlace, kekSource?: (kekFile: string) => KekSource) {
    const kekFile = join(place.directory, 'keys', 'kek');
    this.place = place;
    this.kekFile = kekFile;
    this.#kekSource = (kekSource ?? fileKekSource)(kekFile);
    mkdirSync(dirname(kekFile), { recursive: true });
  }

  get kekSource(): KekSource {
    return this.#kekSource;
  }

  static async create(database: TestDatabase): Promise<KeysWorld> {
    const world = new KeysWorld(await database.create());
    await world.start();
    return world;
  }

  /** As a server starts: store, key file, keyring, audit. */
  async start(): Promise<void> {
    await this.openStore();
    try {
      this.keyring = await this.openKeys();
      await this.startAudit();
    } catch (error) {
      await this.store.close();
      throw error;
    }
  }

  async openStore(): Promise<void> {
    this.store = await openOwn(this.place);
  }

  /** What the world's commands are, the keyring doesn't ask. */
  get anyStore(): Store {
    return this.store;
  }

  async openKeys(): Promise<Keyring> {
    const { kek, installationId } = await this.kekSource.open(this.anyStore);
    return openKeyring(this.anyStore, kek, installationId);
  }

  async startAudit(): Promise<void> {
    await this.store.startAudit({
      keys: await this.keyring.auditKeys(),
      epoch: 1,
      anchor: { path: dataFiles(this.place.directory).anchor, isOnStdout: false },
    });
  }

  async stop(): Promise<void> {
    this.keyring.close();
    await this.store.close();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async remove(): Promise<void> {
    await this.store.close();
    await this.place.remove();
  }

  async tamper(statement: string): Promise<void> {
    await this.store.execute('test.tamper', { statement });
  }

  /** Every row of every table, as text: two dumps are equal when nothing was written in between. */
  async dump(): Promise<string> {
    const tables = await this.store.db.introspection.getTables();
    const lines: string[] = [];
    for (const { name } of tables.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const rows = await this.store.db
        .selectFrom(name as 'key_terms')
        .selectAll()
        .execute();
      lines.push(...rows.map((row) => `${name} ${JSON.stringify(row, hexBytes)}`).sort());
    }
    return lines.join('\n');
  }

  /** Files beside the key, with their content. */
  keyFiles(): Readonly<Record<string, string>> {
    const directory = dirname(this.kekFile);
    return Object.fromEntries(
      readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'utf8')]),
    );
  }

  async terms(scopeId: string, purpose = 'value') {
    return this.store.db
      .selectFrom('key_terms')
      .select(['id', 'number', 'state', 'uses', 'kek_id'])
      .where('scope_id', '=', scopeId)
      .where('purpose', '=', purpose)
      .orderBy('number')
      .execute();
  }

  /** A secret of one version in the admin or the global scope. */
  async addValue(scopeId: 'dom_admin' | 'dom_global', secretId: string, text: string): Promise<void> {
    const { epoch, version } = placeOf(scopeId, secretId);
    const sealed = await sealText(this.keyring, scopeId, secretId, text);
    await this.store.execute('secret.create', {
      id: secretId,
      scopeId,
      sourceId: scopeId.replace('dom_', 'src_'),
      key: secretId,
      foldedKey: secretId,
      folder: '',
      description: '',
      owner: 'system',
      tags: [],
      destinations: null,
      expiresAt: null,
      rotateEveryDays: null,
      keepVersions: 10,
      by: 'system',
      maxKeysPerScope: 1_000_000,
      sealed: { ...sealed, epoch, version, shape: 'text', fieldNames: null, isComparable: false, copiedFrom: null },
    });
  }

  /** The value as it is stored now. */
  async readValue(scopeId: string, secretId: string): Promise<string> {
    const { envelope } = await this.store.db
      .selectFrom('secret_versions')
      .select('envelope')
      .where('secret_id', '=', secretId)
      .$narrowType<{ envelope: NotNull }>()
      .executeTakeFirstOrThrow();
    return openText(this.keyring, scopeId, secretId, envelope);
  }
}

function hexBytes(_key: string, value: unknown): unknown {
  if (value !== null && typeof value === 'object' && 'type' in value && value.type === 'Buffer' && 'data' in value)
    return `hex ${Buffer.from(value.data as number[]).toString('hex')}`;
  return value instanceof Uint8Array ? `hex ${Buffer.from(value).toString('hex')}` : value;
}

export function placeOf(scopeId: string, secretId = 'sec_a'): ValuePlace {
  return { scopeId, secretId, epoch: 1, version: 1 };
}

export async function sealText(keyring: Keyring, scopeId: string, secretId: string, text: string) {
  const value = SecretValue.fromText(text);
  try {
    return await keyring.seal(placeOf(scopeId, secretId), value);
  } finally {
    value.destroy();
  }
}

export async function openText(
  keyring: Keyring,
  scopeId: string,
  secretId: string,
  envelope: Uint8Array,
): Promise<string> {
  const value = await keyring.open(placeOf(scopeId, secretId), envelope);
  try {
    return value.revealText();
  } finally {
    value.destroy();
  }
}

export function canary(): string {
  return `cnry${randomBytes(12).toString('hex')}`;
}

/** The code of the StrongroomError that a promise is refused with; anything else fails the test. */
export async function codeOf(promise: Promise<unknown>): Promise<ErrorCode | 'none'> {
  try {
    await promise;
    return 'none';
  } catch (error) {
    if (error instanceof StrongroomError) return error.code;
    throw error;
  }
}
