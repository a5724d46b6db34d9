import type { GoogleSettings } from '@strongroom/contract';
import { StrongroomError } from '@strongroom/contract/core';
import type { BackendParts } from '../definition.ts';
import { AccessTokens, type TokenSource } from './access-tokens.ts';
import { applicationDefaultTokens, impersonatedTokens } from './application-default.ts';
import { GoogleBackend } from './backend.ts';
import { GoogleClient } from './client.ts';
import { type GoogleCloud, googleCloud } from './cloud.ts';
import { endpointOf } from './endpoint.ts';
import { serviceAccountTokens } from './service-account.ts';

/**
 * @param cloud where tokens are had
 * @throws StrongroomError `state_conflict` when the server's identity is wanted and no profile lends it; `validation_failed`
 * when it would be shown to an address that is not Google's own
 */
export function openGoogle(
  settings: GoogleSettings,
  parts: BackendParts,
  cloud: GoogleCloud = googleCloud,
): GoogleBackend {
  const { project, location, prefix = '', labels = [], version = 'latest' } = settings;
  const { egress, lent } = parts;
  const endpoint = endpointOf(settings, cloud.hosts);
  if (lent !== undefined && !endpoint.isOfGoogle)
    throw new StrongroomError('validation_failed', {
      errors: [{ pointer: '/settings/endpoint', message: 'is not one of Google’s own' }],
    });
  const tokens = new AccessTokens(sourceOf(settings, parts, cloud));
  const client = new GoogleClient({ egress, endpoint, tokens, ca: cloud.ca });
  return new GoogleBackend({
    client,
    egress,
    endpoint,
    ca: cloud.ca,
    project,
    location,
    prefix,
    labels,
    version,
  });
}

/** How the settings say that it signs in. */
function sourceOf({ authentication, project }: GoogleSettings, parts: BackendParts, cloud: GoogleCloud): TokenSource {
  if (authentication.method === 'service-account') return serviceAccountTokens(parts, cloud);
  if (parts.lent === undefined)
    throw new StrongroomError('state_conflict', {
      detail: 'The identity of the server is used only through a profile, which a platform administrator makes.',
    });
  const { serviceAccount } = authentication;
  const ownTokens = applicationDefaultTokens(project);
  return serviceAccount === undefined ? ownTokens : impersonatedTokens(serviceAccount, ownTokens, parts.egress, cloud);
}
