import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { StrongroomError } from '@strongroom/contract';
import { createPrivateFile, CryptoError, type Kek, kekFromBytes } from '@strongroom/crypto';
import type * as KmsKek from '@strongroom/backends/aws-kms';
import type { Egress } from '@strongroom/backends/egress';
import type { KekSettings, KmsKekLocation } from '../config/kek-settings.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import { lazyEgress } from '../integrations/lazy-egress.ts';
import { dataFiles } from '../store/data-directory.ts';
import { newId } from '../store/ids.ts';
import { readBeside, type Row } from '../store/read-beside.ts';
import { readInstallation } from './installation.ts';
import { formatEnvelope, type KekEnvelope, readEnvelope } from './kek-envelope.ts';
import { findKekFile, type KekFile, type KekForm, openKekFile, readKekFile, type StoredKek } from './kek-file.ts';
import type { KekSource } from './kek-source.ts';
import { orDestroyed, rotateKekFile, type RotationStep } from './rotation.ts';

/** For one call of KMS, with finding the identity. */
const callMilliseconds = 20_000;

/** What a new key has come to: KMS has encrypted and decrypted it; its file is there. */
export type KmsStep = 'encrypted' | 'written';

/**
 * A random key in a file that only KMS can decrypt. The file is bound to the installation: KMS refuses it for another one.
 *
 * @param reached told of each step once it is durable, for drills that stop there
 */
export function kmsKekSource(
  configuration: LoadedConfiguration,
  { file: path, kms }: Extract<KekSettings, { readonly kind: 'aws-kms' }>,
  reached: (step: KmsStep | RotationStep) => void = () => undefined,
): KekSource {
  const keys = new KmsKeys(configuration, kms);
  const fileOf = (installation: string | undefined): KekFile => ({
    path,
    form: new EnvelopeForm(keys, installation, reached),
    variable: 'STRONGROOM_KEK_AWS_KMS_FILE',
  });
  return {
    kind: 'aws-kms',
    place: `${path}, encrypted with ${kms.keyArn}`,
    makesKey: () => !existsSync(path),
    async open(store) {
      const row = await readInstallation(store);
      const kek = await openKekFile(fileOf(row?.id), row?.kek_id);
      const made = row === undefined ? await readEnvelope(path) : null;
      return { kek, ...(made === null ? {} : { installationId: made.installation }) };
    },
    read: () => readKekFile(fileOf(undefined)),
    find: (kekId) => findKekFile(fileOf(undefined), kekId),
    async rotate(store, keyring, audit) {
      await rotateKekFile(store, keyring, fileOf(keyring.installationId), audit, reached);
    },
    async put(kek) {
      if (existsSync(path)) throw new CryptoError('kek_invalid', `The key file ${path} exists and isn't overwritten`);
      const envelope = await keys.encrypt(kek, await installationOf(configuration));
      if (!(await createPrivateFile(path, formatEnvelope(envelope))))
        throw new CryptoError('kek_invalid', `The key file ${path} exists and isn't overwritten`);
      return path;
    },
  };
}

/** KMS as it is configured, reached through the egress guard; its SDK is loaded with the first call. */
class KmsKeys {
  readonly #configuration: LoadedConfiguration;
  readonly #kms: KmsKekLocation;

  constructor(configuration: LoadedConfiguration, kms: KmsKekLocation) {
    this.#configuration = configuration;
    this.#kms = kms;
  }

  /** Decrypts it at once, too: an identity that may only encrypt would leave data that no later start can open. */
  async encrypt(kek: Kek, installation: string): Promise<KekEnvelope> {
    const { keyArn } = this.#kms;
    const blob = await this.#call((kmsKek, egress, signal) =>
      kmsKek.wrapKmsKek(this.#settings(installation, kek.id), kek, egress, signal),
    );
    const envelope = { installation, kekId: kek.id, keyArn, blob };
    (await this.decrypt(envelope)).destroy();
    return envelope;
  }

  /** @throws StrongroomError `key_unavailable` for another key than the envelope names; what asking KMS throws */
  async decrypt({ installation, kekId, keyArn, blob }: KekEnvelope): Promise<Kek> {
    try {
      const kek = await this.#call((kmsKek, egress, signal) =>
        kmsKek.unwrapKmsKek(this.#settings(installation, kekId), blob, egress, signal),
      );
      if (kek.id === kekId) return kek;
      kek.destroy();
    } catch (error) {
      if (!(error instanceof StrongroomError) || keyArn === this.#kms.keyArn) throw error;
      throw new StrongroomError(error.code, {
        detail: `${error.message} The file was made with ${keyArn}, and ${this.#kms.keyArn} is configured.`,
        hint: error.hint,
        cause: error,
      });
    }
    throw new StrongroomError('key_unavailable', { detail: 'KMS gave back another key than it was given.' });
  }

  /** Both are authenticated with the blob, and seen in CloudTrail. */
  #settings(installation: string, kekId: string) {
    return { ...this.#kms, context: { installation, kek: kekId } };
  }

  async #call<Result>(
    run: (kmsKek: typeof KmsKek, egress: Egress, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const kmsKek = await import('@strongroom/backends/aws-kms');
    const egress = lazyEgress(this.#configuration);
    try {
      return await run(kmsKek, await egress.open(), AbortSignal.timeout(callMilliseconds));
    } finally {
      await egress.close();
    }
  }
}

/** Files with envelopes of one installation; of any, as long as there is none. */
class EnvelopeForm implements KekForm {
  readonly #keys: KmsKeys;
  readonly #installation: string | undefined;
  readonly #reached: (step: KmsStep) => void;

  constructor(keys: KmsKeys, installation: string | undefined, reached: (step: KmsStep) => void) {
    this.#keys = keys;
    this.#installation = installation;
    this.#reached = reached;
  }

  async read(path: string): Promise<StoredKek | null> {
    const envelope = await readEnvelope(path);
    if (envelope === null) return null;
    const wanted = this.#installation;
    if (wanted !== undefined && envelope.installation !== wanted)
      throw new StrongroomError('key_unavailable', {
        detail: `The file ${path} is of the installation ${envelope.installation}; this one is ${wanted}. Nothing was changed.`,
        hint: 'Put the right file in its place, or recover it with strongroom recovery restore.',
      });
    return { id: envelope.kekId, open: () => this.#keys.decrypt(envelope), discard: () => undefined };
  }

  async create(path: string): Promise<Kek> {
    const there = await this.read(path);
    if (there !== null) return there.open();
    const bytes = randomBytes(32);
    const kek = kekFromBytes(bytes);
    bytes.fill(0);
    const isCreated = await orDestroyed(kek, async () => {
      const envelope = await this.#keys.encrypt(kek, this.#installation ?? newId('installation'));
      this.#reached('encrypted');
      return createPrivateFile(path, formatEnvelope(envelope));
    });
    if (!isCreated) {
      // Another process made it in between; its key is the one.
      kek.destroy();
      return this.create(path);
    }
    this.#reached('written');
    return kek;
  }
}

/** Which installation a key that comes back is for. */
async function installationOf(configuration: LoadedConfiguration): Promise<string> {
  const { settings, secrets } = configuration;
  const isThere = secrets.databaseUrl !== undefined || existsSync(dataFiles(settings.dataDir).database);
  const [row] = isThere ? await readInstallationBeside(configuration) : [];
  if (row !== undefined) return String(row['id']);
  throw new StrongroomError('state_conflict', {
    detail: 'There is no installation here yet, and what KMS encrypts is bound to one.',
    hint: 'With STRONGROOM_KEK_SOURCE=file recover the key and restore the backup; then set it back, and repeat this.',
  });
}

const undefinedTable = '42P01';

async function readInstallationBeside(configuration: LoadedConfiguration): Promise<readonly Row[]> {
  try {
    const [rows = []] = await readBeside(configuration, 'recovery', ['select id from installation']);
    return rows;
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === undefinedTable) return [];
    throw new StrongroomError('storage_unavailable', { cause });
  }
}
