import { Type } from 'typebox';
import {
  folderPattern,
  idPattern,
  integrationNamePattern,
  labelPattern,
  secretKeyPattern,
  tagPattern,
} from './name-patterns.ts';

/** Schemas of the names in `name-patterns.ts`. */

export const SecretKey = Type.String({
  pattern: secretKeyPattern,
  description: 'Key of a secret, unique in its scope after case folding',
  examples: ['finance-stripe-api-key'],
});
export const Label = Type.String({ pattern: labelPattern, description: 'DNS label of at most 53 characters' });
export const IntegrationName = Type.String({
  pattern: integrationNamePattern,
  description: 'Name of an integration, unique in its scope after case folding; never `managed`',
});
export const Folder = Type.String({ pattern: folderPattern, maxLength: 511 });
export const Tag = Type.String({ pattern: tagPattern });
export const Id = Type.String({ pattern: idPattern });
/** Of what a manifest made: which set of manifests it belongs to. */
export const ManagedBy = Type.Optional(
  Type.String({ minLength: 1, maxLength: 253, description: 'What applies it, when it comes from a manifest' }),
);
/** Free text kept exactly: no NUL, well-formed Unicode (checked when the request is parsed). */
export const FreeText = Type.String({ maxLength: 2000 });
export const Time = Type.String({ format: 'date-time', description: 'RFC 3339, UTC' });
