import type { Capabilities } from '../backend.ts';

/** https://learn.microsoft.com/azure/key-vault/secrets/about-secrets, https://learn.microsoft.com/azure/key-vault/general/service-limits */
export const capabilities: Capabilities = {
  list: true,
  put: false,
  delete: false,
  cas: false,
  versions: true,
  batch: 1,
  fields: 'json',
  limits: { valueBytes: 25_600 },
};
