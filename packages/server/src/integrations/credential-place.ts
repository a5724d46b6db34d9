import { createHash } from 'node:crypto';
import { canonical } from '../surfaces/compare.ts';
import type { BoundSettings } from './bound-settings.ts';

/**
 * What stands in a credential's additional data where a secret has its id. No secret's id holds a slash, so this is no
 * secret's place; what the credential was typed for is in it as a digest.
 */
export function credentialPlaceId(sourceId: string, name: string, bound: BoundSettings): string {
  const digest = createHash('sha256').update(canonical(bound)).digest('base64url');
  return `${sourceId}/${name}/${digest}`;
}
