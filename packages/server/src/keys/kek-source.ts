import { existsSync } from 'node:fs';
import { type Kek } from '@strongroom/crypto';
import type { AuditEvent } from '../audit/event.ts';
import type { KekSettings } from '../config/kek-settings.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import type { Store } from '../store/store.ts';
import { findKekFile, keyFile, openKekFile, putKeyFile, readKekFile } from './kek-file.ts';
import { kmsKekSource } from './kek-kms.ts';
import { vaultKekSource } from './kek-vault.ts';
import { readInstallation } from './installation.ts';
import type { Keyring } from './keyring.ts';
import { type RotatedStore, rotateKekFile } from './rotation.ts';

export interface OpenedKek {
  readonly kek: Kek;
  /** What a new installation is called, where the key was bound to it before it was made. */
  readonly installationId?: string;
}

/** Where the key-encryption key is. A failure is a `StrongroomError` and has changed nothing. */
export interface KekSource {
  readonly kind: KekSettings['kind'];
  /** For people. */
  readonly place: string;
  /** Whether {@link open} would make a key, for a new installation. */
  makesKey(): boolean;
  /**
   * The key that the installation was committed with; a rotation that was interrupted is finished. A new installation takes the
   * key that is there, or gets one where {@link makesKey}.
   *
   * @throws StrongroomError `key_unavailable` when it isn't there, or another one is; what asking Vault or KMS throws
   */
  open(store: Store): Promise<OpenedKek>;
  /** The same without a store to ask: for a restore, and for the recovery kit. */
  read(): Promise<Kek>;
  /** The key with this id, also where a rotation that is under way, or a past one, has left it. Changes nothing. */
  find(kekId: string): Promise<Kek>;
  /** Puts another key in force. @throws StrongroomError as `rotateKek` */
  rotate(store: RotatedStore, keyring: Keyring, audit: AuditEvent): Promise<void>;
  /**
   * Makes the file of a key that a recovery kit gave back; one that is there stays.
   * @returns its path. @throws CryptoError, StrongroomError `state_conflict`
   */
  put(kek: Kek): Promise<string>;
}

/** The one that is configured. */
export function kekSourceOf(configuration: LoadedConfiguration): KekSource {
  const { kek } = configuration.settings;
  switch (kek.kind) {
    case 'file':
      return fileKekSource(kek.file);
    case 'vault':
      return vaultKekSource(configuration, kek);
    case 'aws-kms':
      return kmsKekSource(configuration, kek);
  }
}

/** A file that has the key itself. */
export function fileKekSource(path: string): KekSource {
  const file = keyFile(path);
  return {
    kind: 'file',
    place: path,
    makesKey: () => !existsSync(path),
    open: async (store) => ({ kek: await openKekFile(file, (await readInstallation(store))?.kek_id) }),
    read: () => readKekFile(file),
    find: (kekId) => findKekFile(file, kekId),
    rotate: async (store, keyring, audit) => {
      await rotateKekFile(store, keyring, file, audit);
    },
    put: (kek) => putKeyFile(path, kek),
  };
}
