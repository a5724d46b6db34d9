import type { Capabilities } from '../backend.ts';

/** https://cloud.google.com/secret-manager/quotas */
export const capabilities: Capabilities = {
  list: true,
  put: false,
  delete: false,
  cas: false,
  versions: true,
  batch: 1,
  fields: 'json',
  limits: { valueBytes: 65_536 },
};
