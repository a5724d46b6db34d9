import type { StorageConfigCreate, StorageConfigUpdate } from '@strongroom/contract';
import type { Static } from 'typebox';
import type { HeldCredential } from '../credential-fields.ts';

/** A storage configuration as it is saved: its key pair as references. */
export interface StorageConfigDocument {
  readonly description?: string;
  readonly provider: 'aws' | 's3-compatible';
  readonly region?: string;
  /** Scheme, host and port alone. */
  readonly endpoint?: string;
  readonly bucket: string;
  /** Without slashes around it. */
  readonly basePath?: string;
  readonly usesPathStyle: boolean;
  readonly accessKey?: HeldCredential;
  readonly secretKey?: HeldCredential;
}

export type StorageConfigInput = Static<typeof StorageConfigCreate> | Static<typeof StorageConfigUpdate>;
