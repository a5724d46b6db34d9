import type { RouteId } from '@strongroom/sdk';
import type { Command } from 'commander';
import { UsageError } from './errors.ts';

export interface ScopeOptions {
  readonly domain?: string;
  readonly global?: true;
  readonly admin?: true;
}

/** What the routes of every scope are about. */
type Noun =
  | 'Secret'
  | 'Secrets'
  | 'SecretVersions'
  | 'SecretUses'
  | 'SecretDrift'
  | 'SecretAccess'
  | 'SecretImpact'
  | 'Folders'
  | 'Inventory'
  | 'Integration'
  | 'Integrations'
  | 'IntegrationForm'
  | 'IntegrationConformance'
  | 'IntegrationImpact'
  | 'NoticeSettings'
  | 'Notices'
  | 'ReferenceUses';
type VerbOf<About extends Noun, Id = RouteId> = Id extends `${infer Verb}Domain${About}` ? Verb : never;

/** Where a secret or an integration is. */
export interface Scope {
  readonly kind: 'admin' | 'global' | 'domain';
  /** As it is said: `domain finance`, `global`. */
  readonly title: string;
  /** As it is written: `--domain finance`. */
  readonly flags: string;
  /** The scope's own path parameters. */
  readonly params: { readonly domain: string };
}

const routeWords = { admin: 'Admin', global: 'Global', domain: 'Domain' } as const;

/** The three scopes' routes are made by one function of the contract, so the domain's types stand for all of them. */
export function routeIn<const About extends Noun, const Verb extends VerbOf<About>>(
  scope: Scope,
  verb: Verb,
  noun: About,
): Extract<RouteId, `${Verb}Domain${About}`> {
  return `${verb}${routeWords[scope.kind]}${noun}` as Extract<RouteId, `${Verb}Domain${About}`>;
}

export function addScopeOptions(command: Command): Command {
  return command
    .option('-d, --domain <domain>', 'in this domain')
    .option('--global', 'in the global scope, which every domain may use')
    .option('--admin', 'in the admin scope, for the platform itself');
}

/** @throws UsageError unless exactly one scope is named */
export function scopeOf({ domain, global, admin }: ScopeOptions): Scope {
  const named = [domain, global, admin].filter((each) => each !== undefined).length;
  if (named !== 1) {
    throw new UsageError(
      named === 0 ? 'no scope is named' : 'more than one scope is named',
      'Add --domain NAME, --global or --admin.',
    );
  }
  // Only the domain's routes have the parameter; the others leave it out.
  if (domain !== undefined) {
    return { kind: 'domain', title: `domain ${domain}`, flags: `--domain ${domain}`, params: { domain } };
  }
  const kind = global === true ? 'global' : 'admin';
  return { kind, title: `the ${kind} scope`, flags: `--${kind}`, params: { domain: '' } };
}
