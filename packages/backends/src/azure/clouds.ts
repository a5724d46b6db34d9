import type { AzureSettings } from '@strongroom/contract';

export interface AzureCloud {
  /** Where applications sign in. It is no setting: client secrets are sent there. */
  readonly authority: string;
  /** What the names of its vaults end with. */
  readonly vaultSuffix: string;
}

/** https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#dns-suffixes-for-object-identifiers */
export const clouds: Readonly<Record<NonNullable<AzureSettings['cloud']>, AzureCloud>> = {
  public: { authority: 'https://login.microsoftonline.com', vaultSuffix: '.vault.azure.net' },
  'us-government': { authority: 'https://login.microsoftonline.us', vaultSuffix: '.vault.usgovcloudapi.net' },
  china: { authority: 'https://login.chinacloudapi.cn', vaultSuffix: '.vault.azure.cn' },
};
