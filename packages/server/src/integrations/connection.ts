import {
  type BackendDeclaration,
  backendDeclarations,
  type FieldError,
  type IntegrationType,
  StrongroomError,
} from '@strongroom/contract';
import type { Egress } from '@strongroom/backends/egress';
import { isAuthority } from '../authorities.ts';

/** Settings of some kind, as valid JSON of its schema. */
export type Settings = object;

/** The only way to addresses that somebody typed; made at its first use. */
export type OpenEgress = () => Promise<Egress>;

/** Where an integration leads and how it signs in, as a form says it. */
export interface ConnectionInput {
  readonly type: IntegrationType;
  readonly settings: Settings;
  readonly credentials?: Readonly<Record<string, string | undefined>> | undefined;
  readonly profile?: string | null | undefined;
}

/** @throws StrongroomError `internal` for a kind that this server does not have */
export function declarationOf(type: string): BackendDeclaration {
  if (!isIntegrationType(type))
    throw new StrongroomError('internal', { detail: 'This server does not have this kind of integration.' });
  return backendDeclarations[type];
}

function isIntegrationType(type: string): type is IntegrationType {
  return Object.hasOwn(backendDeclarations, type);
}

/** The settings that a row holds: they were checked when it was written. */
export function storedSettings(json: string): Settings {
  const settings: unknown = JSON.parse(json);
  if (typeof settings !== 'object' || settings === null)
    throw new StrongroomError('internal', { detail: 'The settings of an integration are stored as no object.' });
  return settings;
}

/** A change may carry the settings of another kind: its schema is a union. @throws StrongroomError `validation_failed` */
export async function requireSettingsOf(type: string, settings: Settings): Promise<void> {
  // Not at the start of the server, which has no need of it.
  const { Value } = await import('typebox/value');
  if (Value.Check(declarationOf(type).settings, settings)) return;
  throw new StrongroomError('validation_failed', {
    errors: [{ pointer: '/settings', message: `are not those of ${declarationOf(type).title}` }],
  });
}

/** How it signs in. */
export function methodOf(settings: Settings): string {
  const authentication: unknown = 'authentication' in settings ? settings.authentication : undefined;
  const method =
    typeof authentication === 'object' && authentication !== null && 'method' in authentication
      ? authentication.method
      : undefined;
  return typeof method === 'string' ? method : '';
}

/** Names of the credentials that a way to sign in needs; none: it is the server's own identity. */
export function neededCredentials(declaration: BackendDeclaration, method: string): readonly string[] {
  return Object.entries(declaration.credentials)
    .filter(([, { methods }]) => methods.includes(method))
    .map(([name]) => name);
}

/**
 * The credentials that were typed, fit for the way to sign in.
 *
 * @param kept names of those that are stored and may stay
 * @param rebound pointers of settings whose change asks for the credentials anew
 * @throws StrongroomError `validation_failed` naming what is missing and what does not belong
 */
export function readCredentials(
  input: ConnectionInput,
  kept: ReadonlySet<string>,
  rebound: readonly string[],
): ReadonlyMap<string, string> {
  const declaration = declarationOf(input.type);
  const needed = neededCredentials(declaration, methodOf(input.settings));
  const given = new Map(
    Object.entries(input.credentials ?? {}).flatMap(([name, text]) =>
      text === undefined ? [] : [[name, text] as const],
    ),
  );
  const errors: FieldError[] = [];
  for (const [name, text] of given) {
    const { maxBytes = 0, problem } = declaration.credentials[name] ?? {};
    const found = problem?.(text) ?? null;
    if (!needed.includes(name))
      errors.push({ pointer: `/credentials/${name}`, message: 'is not used by this authentication method' });
    else if (Buffer.byteLength(text) > maxBytes)
      errors.push({ pointer: `/credentials/${name}`, message: `has more than ${maxBytes} bytes` });
    else if (found !== null) errors.push({ pointer: `/credentials/${name}`, message: found });
  }
  const missing = needed.filter((name) => !given.has(name) && (rebound.length > 0 || !kept.has(name)));
  const names = missing.join(', ');
  for (const pointer of missing.length === 0 ? [] : rebound)
    errors.push({ pointer: `/settings${pointer}`, message: `is another than before: type ${names} again` });
  for (const name of missing)
    errors.push({ pointer: `/credentials/${name}`, message: 'is required by this authentication method' });
  if (errors.length > 0) throw new StrongroomError('validation_failed', { errors });
  return given;
}

/**
 * Whether the addresses of the settings may be reached at all, as far as their text says it, and the authority that they name is
 * one; opens nothing.
 * @param vendor suffixes of the vendor’s own host names
 * @throws StrongroomError `egress_denied`, `validation_failed` naming the setting
 */
export async function checkAddresses(
  openEgress: OpenEgress,
  settings: Settings,
  vendor: readonly string[] = [],
): Promise<void> {
  requireAuthority(settings);
  const egress = await openEgress();
  const errors = Object.entries(settings).flatMap(([name, text]): FieldError[] => {
    if (typeof text !== 'string' || !/^https?:/i.test(text)) return [];
    try {
      egress.checkUrl(text, { schemes: ['https', 'http'], vendor });
      return [];
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      return [{ pointer: `/settings/${name}`, message: error.message, code: error.code }];
    }
  });
  const [first] = errors;
  if (first === undefined) return;
  throw new StrongroomError('egress_denied', { detail: first.message, errors });
}

/** @throws StrongroomError `validation_failed` */
function requireAuthority(settings: Settings): void {
  const pem: unknown = 'caCertificate' in settings ? settings.caCertificate : undefined;
  if (typeof pem !== 'string' || isAuthority(pem)) return;
  throw new StrongroomError('validation_failed', {
    errors: [{ pointer: '/settings/caCertificate', message: 'is not made of certificates in PEM that can be read' }],
  });
}
