import type { Capabilities } from '../backend.ts';

/** https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html */
export const capabilities: Capabilities = {
  list: true,
  put: false,
  delete: false,
  cas: false,
  versions: true,
  batch: 20,
  fields: 'json',
  limits: { valueBytes: 65_536 },
};
