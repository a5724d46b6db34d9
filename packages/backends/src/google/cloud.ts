import { googleBackend, googleTokenUrl } from '@strongroom/contract';

/** Where Google's identities are had and shown. No settings: assertions and tokens are sent there. */
export interface GoogleCloud {
  /** Names of Google's own; what begins with a dot is a suffix. */
  readonly hosts: readonly string[];
  /** Exchanges a service account's assertion for a token. */
  readonly tokenUrl: string;
  /** Gives tokens of a service account that another identity may act as; an origin. */
  readonly impersonationUrl: string;
  /** PEM of the only authority that is trusted; the well-known ones without it. */
  readonly ca?: string;
}

export const googleCloud: GoogleCloud = {
  hosts: googleBackend.vendorHosts,
  tokenUrl: googleTokenUrl,
  impersonationUrl: 'https://iamcredentials.googleapis.com',
};

/** What tokens are asked for. Secret Manager has no narrower one; what an identity may do is IAM's to say. */
export const scope = 'https://www.googleapis.com/auth/cloud-platform';
