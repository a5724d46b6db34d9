import type { ConfigSchema } from './connection-types.ts';

/** Words that the schemas of connection types are written in. */

/** Any text. */
export const text = (title: string, description?: string): ConfigSchema => ({
  type: 'string',
  title,
  maxLength: 4096,
  ...(description === undefined ? {} : { description }),
});

/** A text that is a secret. */
export const password = (title: string): ConfigSchema => ({ type: 'string', title, format: 'password' });

/** `host:port`, or an address: where the secrets go. */
export const destination = (title: string, description = 'host:port'): ConfigSchema => ({
  type: 'string',
  title,
  description,
  minLength: 1,
  maxLength: 2048,
  'x-destination': true,
});

export const flag = (title: string): ConfigSchema => ({ type: 'boolean', title });

export const choice = (title: string, values: readonly string[]): ConfigSchema => ({
  type: 'string',
  title,
  enum: values,
});

export const fields = (
  properties: Readonly<Record<string, ConfigSchema>>,
  required: readonly string[] = [],
): ConfigSchema => ({ type: 'object', properties, required, additionalProperties: false });

/** How a client proves itself over TLS and whom it trusts; all three in PEM. */
export const sslConfig: ConfigSchema = {
  title: 'TLS',
  ...fields({
    caCertificate: password('CA certificate'),
    sslCertificate: password('Client certificate'),
    sslKey: password('Client key'),
  }),
};

/** OpenMetadata's `awsConfig`. */
export const awsConfig: ConfigSchema = {
  title: 'AWS credentials',
  ...fields(
    {
      awsAccessKeyId: text('Access key id'),
      awsSecretAccessKey: password('Secret access key'),
      awsRegion: text('Region'),
      awsSessionToken: password('Session token'),
      endPointURL: destination('Endpoint', 'URL; absent: that of the region'),
      assumeRoleArn: text('Role to assume'),
      assumeRoleSessionName: text('Name of the session'),
    },
    ['awsRegion'],
  ),
};
