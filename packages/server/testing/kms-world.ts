import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { loadConfiguration } from '../src/config/load.ts';
import { kmsKekSource, type KmsStep } from '../src/keys/kek-kms.ts';
import type { KekSource } from '../src/keys/kek-source.ts';
import type { RotationStep } from '../src/keys/rotation.ts';
import { KeysWorld } from './keys-world.ts';
import { kmsSettings, type LoopbackKms } from './loopback-kms.ts';
import type { TestPlace } from './stores.ts';

/** One installation with its key under KMS. */
export class KmsWorld extends KeysWorld {
  /** Of the envelope. */
  readonly path: string;
  readonly #kms: Pick<LoopbackKms, 'url'>;
  readonly #reached: ((step: KmsStep | RotationStep) => void) | undefined;
  #source: KekSource;

  constructor(
    place: TestPlace,
    kms: Pick<LoopbackKms, 'url'>,
    keyArn: string,
    reached?: (step: KmsStep | RotationStep) => void,
  ) {
    super(place);
    this.path = join(dirname(this.kekFile), 'kek.aws-kms');
    this.#kms = kms;
    this.#reached = reached;
    this.#source = this.#sourceOf(keyArn, kms.url);
  }

  override get kekSource(): KekSource {
    return this.#source;
  }

  /** From now on another key is configured, or another address. */
  use(keyArn: string, url = this.#kms.url): void {
    this.#source = this.#sourceOf(keyArn, url);
  }

  envelope(): Readonly<Record<string, string>> {
    return JSON.parse(readFileSync(this.path, 'utf8')) as Record<string, string>;
  }

  /** Changes fields of the envelope, as somebody with an editor would. */
  edit(changes: Readonly<Record<string, (old: string) => string>>): void {
    const changed = Object.entries(this.envelope()).map(([name, old]) => [name, changes[name]?.(old) ?? old]);
    writeFileSync(this.path, `${JSON.stringify(Object.fromEntries(changed))}\n`);
  }

  replace(bytes: Uint8Array): void {
    writeFileSync(this.path, bytes, { mode: 0o600 });
    chmodSync(this.path, 0o600);
  }

  chmod(mode: number): void {
    chmodSync(this.path, mode);
  }

  removeFile(): void {
    rmSync(this.path);
  }

  #sourceOf(keyArn: string, url: string): KekSource {
    const variables = {
      STRONGROOM_DATA_DIR: this.place.directory,
      STRONGROOM_KEK_AWS_KMS_FILE: this.path,
      ...kmsSettings({ url }, keyArn),
    };
    const configuration = loadConfiguration({ variables, workingDirectory: this.place.directory });
    const { kek } = configuration.settings;
    if (kek.kind !== 'aws-kms') throw new Error('It is configured otherwise');
    return kmsKekSource(configuration, kek, this.#reached);
  }
}
