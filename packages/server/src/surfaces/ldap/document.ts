import type { LdapPut } from '@strongroom/contract';
import type { Static } from 'typebox';
import type { HeldCredential } from '../credential-fields.ts';

/** The directory as it is saved, with every default spelt out: its bind credential as a reference. */
export interface LdapDocument {
  readonly description?: string;
  /** `ldap://host:port` or `ldaps://host:port`. */
  readonly url: string;
  readonly startTls: boolean;
  /** PEM. */
  readonly caCertificate?: string;
  /** Absent: anonymous. */
  readonly bindDn?: string;
  readonly bindCredential?: HeldCredential;
  readonly baseDn: string;
  /** Of users (RFC 4515). */
  readonly filter: string;
  readonly syncPeriodSeconds: number;
  readonly groupBaseDn: string;
  readonly groupFilter: string;
  readonly attributes: LdapAttributes;
}

/** Names of attributes. */
export interface LdapAttributes {
  /** What stays the same when an entry is renamed. */
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
  readonly mail: string;
  readonly groupName: string;
  /** Of a group: distinguished names or names of its users. */
  readonly member: string;
}

export type LdapInput = Static<typeof LdapPut>;
