import type { DomainSurface } from '@strongroom/contract';
import { surfaces } from '../src/surfaces/registry.ts';
import { emailForm, ldapForm } from './bodies.ts';
import { freshName } from './samples.ts';

/** A reference to what the samples use unless they are told another. */
const sampleReference = 'secret://domain/managed/db-password';

/** Configurations of the platform, one of each, have tests of their own. */
type RegisteredSurface = Extract<keyof typeof surfaces, DomainSurface>;
type PlatformSurface = Exclude<keyof typeof surfaces, DomainSurface>;

const types = Object.keys(surfaces) as (keyof typeof surfaces)[];

/** Every kind of a domain's configurations that is registered. */
export const domainSurfaces = types.filter((type): type is RegisteredSurface => surfaces[type].scope === 'domain');
/** And of the platform's. */
export const platformSurfaces = types.filter((type): type is PlatformSurface => surfaces[type].scope === 'admin');

/** The least that each surface takes, and where it takes a reference. */
export const surfaceSamples: Readonly<Record<RegisteredSurface, (reference?: unknown) => Record<string, unknown>>> = {
  'spark-job': (reference = sampleReference) => ({
    command: ['true'],
    environment: [{ name: 'PGPASSWORD', secret: reference }],
  }),
  'compute-cluster': (reference = sampleReference) => ({ sparkConfig: [{ name: 'spark.app.key', secret: reference }] }),
  notebook: (reference = sampleReference) => ({ environment: [{ name: 'PGPASSWORD', secret: reference }] }),
  'storage-config': (reference = sampleReference) => ({
    ...storageSample(),
    accessKey: { secret: reference },
  }),
  connection: (reference = sampleReference) => ({
    type: 'postgres',
    config: {
      username: 'ann',
      hostPort: '127.0.0.1:9',
      database: 'sales',
      authType: { password: { secret: reference } },
    },
  }),
};

/** The same of the platform's, where a reference is to a secret of the admin scope. */
export const platformSamples: Readonly<Record<PlatformSurface, (reference: string) => Record<string, unknown>>> = {
  email: (secret) => ({ ...emailForm, security: 'starttls', username: 'ann', password: { secret } }),
  ldap: (secret) => ({ ...ldapForm, bindDn: 'cn=reader,dc=example,dc=org', bindCredential: { secret } }),
};

/** Of a bucket that nobody answers for. */
export function storageSample(bucket = freshName()) {
  return { provider: 's3-compatible', endpoint: 'http://127.0.0.1:9', bucket };
}

/** Where configurations of a kind are, in a domain. */
export function surfacePath(type: string, domain = 'finance'): string {
  return `/v1/domains/${domain}/${type}s`;
}
