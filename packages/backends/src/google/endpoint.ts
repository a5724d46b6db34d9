import type { GoogleSettings } from '@strongroom/contract';
import type { AddressRules, Egress } from '../egress/index.ts';

/** Where Secret Manager is, and what the egress guard is told about that. */
export interface Endpoint {
  /** As it was typed, where it was. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly rules: AddressRules;
  /** A name that is Google's own; elsewhere the identity of the server isn't shown. */
  readonly isOfGoogle: boolean;
}

const httpsPort = 443;

/**
 * https://cloud.google.com/secret-manager/docs/reference/rest#service-endpoint; for a location
 * https://cloud.google.com/secret-manager/docs/regional-secrets-overview
 */
export function endpointOf(
  { location, endpoint }: Pick<GoogleSettings, 'location' | 'endpoint'>,
  hosts: readonly string[],
): Endpoint {
  const own = location === undefined ? 'secretmanager.googleapis.com' : `secretmanager.${location}.rep.googleapis.com`;
  const url = (endpoint ?? `https://${own}`).replace(/\/$/, '');
  const { hostname: host, port } = new URL(url);
  return {
    url,
    host,
    port: port === '' ? httpsPort : Number(port),
    rules: { vendor: hosts },
    isOfGoogle: hosts.some((name) => (name.startsWith('.') ? host.endsWith(name) : host === name)),
  };
}

/**
 * Reads the address as it was typed; the SDK is told what a browser would make of it.
 *
 * @throws EgressError `egress_denied`
 */
export function checkEndpoint({ url, rules }: Endpoint, egress: Egress): void {
  egress.checkUrl(url, { schemes: ['https'], ...rules });
}
