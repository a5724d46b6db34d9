import type { EmailPut } from '@strongroom/contract';
import type { Static } from 'typebox';
import type { HeldCredential } from '../credential-fields.ts';

/** The mail server as it is saved: its password as a reference. */
export interface EmailDocument {
  readonly description?: string;
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
  readonly security: 'starttls' | 'tls' | 'none';
  readonly username?: string;
  readonly senderAddress: string;
  readonly senderName?: string;
  /** PEM. */
  readonly caCertificate?: string;
  readonly password?: HeldCredential;
}

export type EmailInput = Static<typeof EmailPut>;
