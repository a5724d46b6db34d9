import type { TSchema } from 'typebox';

/** Kinds of sources, as the catalogue keeps them. */
export const sourceTypes = ['DATABASE', 'KUBERNETES', 'VAULT', 'AWS', 'GOOGLE', 'AZURE'] as const;
export type SourceType = (typeof sourceTypes)[number];

/**
 * How a kind of integration is set up. One file per kind in this folder; request bodies, validation, reference pages and
 * forms are made from it.
 */
export interface BackendDeclaration<Type extends SourceType = SourceType, Settings extends TSchema = TSchema> {
  readonly type: Type;
  /** For people. */
  readonly title: string;
  /** Everything but credentials; closed. How it signs in is `authentication`, a union of closed objects told apart by `method`. */
  readonly settings: Settings;
  /** Credentials by name: written, kept sealed in the scope's managed store, never shown. */
  readonly credentials: Readonly<Record<string, CredentialDeclaration>>;
  /**
   * JSON pointers into the settings. Whoever changes one of them must type the credentials again: a stored credential is
   * never sent anywhere else than where it was meant to go.
   */
  readonly rebinds: readonly string[];
  /**
   * Suffixes of host names that are the vendor's own: on port 443 they may be private, and a proxy's list need not name them.
   * Only names that nobody else can have.
   */
  readonly vendorHosts?: readonly string[];
}

export interface CredentialDeclaration {
  readonly title: string;
  /** The values of `authentication.method` that need it. */
  readonly methods: readonly string[];
  readonly maxBytes: number;
  /** What is wrong with one, in words that hold nothing of it and complete "the credential …"; `null`: nothing that its text shows. */
  readonly problem?: (text: string) => string | null;
}
