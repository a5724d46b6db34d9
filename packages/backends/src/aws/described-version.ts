import type { DescribeSecretResponse } from '@aws-sdk/client-secrets-manager';
import type { KeyVersion } from '../backend.ts';
import { isVersion } from './entries.ts';
import { malformed } from './failures.ts';

/** What DescribeSecret says of a secret, which holds no value. */
export type DescribedVersion = KeyVersion | null | 'deleted';

/**
 * The version that has the label; `null` where none has: then there is nothing to read.
 *
 * @see https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
 * @throws StrongroomError `backend_malformed` for what is no description, or that of another secret
 */
export function describedVersion(answer: DescribeSecretResponse, key: string, stage: string): DescribedVersion {
  const { Name: name, DeletedDate: deleted, VersionIdsToStages: stages } = answer;
  if (name !== key) throw malformed('describing a secret');
  if (deleted !== undefined && deleted !== null) return 'deleted';
  if (stages === undefined || stages === null) return null;
  if (typeof stages !== 'object') throw malformed('describing a secret');
  for (const [version, labels] of Object.entries(stages)) {
    if (!isVersion(version) || !Array.isArray(labels)) throw malformed('describing a secret');
    if (labels.includes(stage)) return { version };
  }
  return null;
}
