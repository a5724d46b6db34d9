import type { SecretsManagerClientConfig } from '@aws-sdk/client-secrets-manager';

type SdkOptions = Pick<
  SecretsManagerClientConfig,
  | 'maxAttempts'
  | 'retryMode'
  | 'defaultsMode'
  | 'useDualstackEndpoint'
  | 'useFipsEndpoint'
  | 'userAgentAppId'
  | 'authSchemePreference'
>;

/**
 * What every client of the SDK is told, so that it asks neither the environment nor files in the home folder. One request
 * for each call: retries have a budget of their own (`limited`).
 */
export const sdkOptions: SdkOptions = {
  maxAttempts: 1,
  retryMode: 'standard',
  defaultsMode: 'standard',
  useDualstackEndpoint: false,
  useFipsEndpoint: false,
  userAgentAppId: 'strongroom',
  authSchemePreference: ['sigv4'],
};
