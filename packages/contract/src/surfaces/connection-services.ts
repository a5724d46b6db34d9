import { awsConfig, choice, destination, fields, flag, password, text } from './config-fields.ts';
import type { ConnectionType } from './connection-types.ts';

/**
 * Services beside databases, with the fields that OpenMetadata documents for their connectors
 * (https://docs.open-metadata.org/connectors), named as there.
 */

const saslMechanisms = ['PLAIN', 'GSSAPI', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'];

export const services: readonly ConnectionType[] = [
  {
    type: 's3',
    title: 'Amazon S3',
    category: 'storage',
    serviceType: 'S3',
    schema: fields({ awsConfig, bucketNames: { type: 'array', items: text('Bucket'), maxItems: 1000 } }, ['awsConfig']),
  },
  {
    type: 'kafka',
    title: 'Kafka',
    category: 'messaging',
    serviceType: 'Kafka',
    destination: { field: 'bootstrapServers', scheme: 'kafka', port: 9092 },
    schema: fields(
      {
        bootstrapServers: destination('Bootstrap servers', 'host:port, several joined with commas'),
        schemaRegistryURL: destination('Schema registry', 'URL'),
        saslUsername: text('SASL user'),
        saslPassword: password('SASL password'),
        saslMechanism: choice('SASL mechanism', saslMechanisms),
        securityProtocol: choice('Security protocol', ['PLAINTEXT', 'SASL_PLAINTEXT', 'SASL_SSL', 'SSL']),
        basicAuthUserInfo: password('USER:PASSWORD of the schema registry'),
        schemaRegistryTopicSuffixName: text('Suffix of topics in the schema registry'),
      },
      ['bootstrapServers'],
    ),
  },
  {
    type: 'airflow',
    title: 'Airflow',
    category: 'pipeline',
    serviceType: 'Airflow',
    destination: { field: 'hostPort', scheme: 'http', port: 8080 },
    schema: fields(
      {
        hostPort: destination('Address', 'URL'),
        numberOfStatus: { type: 'integer', title: 'Runs to read', minimum: 1, maximum: 1000 },
        connection: {
          title: 'Database of Airflow',
          ...fields(
            {
              type: choice('Type', ['Backend', 'Postgres', 'Mysql', 'SQLite']),
              username: text('User'),
              authType: { title: 'Authentication', ...fields({ password: password('Password') }) },
              hostPort: destination('Host and port'),
              database: text('Database'),
            },
            ['type'],
          ),
        },
      },
      ['hostPort', 'connection'],
    ),
  },
  {
    type: 'superset',
    title: 'Superset',
    category: 'dashboard',
    serviceType: 'Superset',
    destination: { field: 'hostPort', scheme: 'http', port: 8088 },
    schema: fields(
      {
        hostPort: destination('Address', 'URL'),
        connection: {
          title: 'API',
          ...fields(
            {
              provider: choice('Provider', ['db', 'ldap']),
              username: text('User'),
              password: password('Password'),
              verifySSL: choice('Certificate', ['validate', 'ignore', 'no-ssl']),
            },
            ['provider', 'username'],
          ),
        },
      },
      ['hostPort', 'connection'],
    ),
  },
  {
    type: 'tableau',
    title: 'Tableau',
    category: 'dashboard',
    serviceType: 'Tableau',
    destination: { field: 'hostPort', scheme: 'https', port: 443 },
    schema: fields(
      {
        hostPort: destination('Address', 'URL'),
        authType: {
          title: 'Authentication',
          ...fields({
            username: text('User'),
            password: password('Password'),
            personalAccessTokenName: text('Name of the personal access token'),
            personalAccessTokenSecret: password('Personal access token'),
          }),
        },
        siteName: text('Site'),
        apiVersion: text('Version of the API'),
      },
      ['hostPort', 'authType'],
    ),
  },
  {
    type: 'powerbi',
    title: 'Power BI',
    category: 'dashboard',
    serviceType: 'PowerBI',
    schema: fields(
      {
        clientId: text('Client id'),
        clientSecret: password('Client secret'),
        tenantId: { ...text('Tenant'), 'x-destination': true },
        authorityURI: destination('Authority', 'URL'),
        hostPort: destination('Address', 'URL'),
        apiURL: destination('API', 'URL'),
        useAdminApis: flag('Admin APIs'),
      },
      ['clientId', 'tenantId'],
    ),
  },
];

/** OpenMetadata's `AuthenticationMechanism` of a bot: the token that ingestion signs in to OpenMetadata with. */
export const bot: ConnectionType = {
  type: 'bot',
  title: 'OpenMetadata bot',
  category: 'bot',
  schema: fields(
    {
      authType: choice('Authentication', ['JWT']),
      config: fields({
        JWTToken: password('JWT'),
        JWTTokenExpiry: choice('Expires after', ['OneHour', '1', '7', '30', '60', '90', 'Unlimited']),
      }),
    },
    ['authType', 'config'],
  ),
};

/** Anything else: its schema comes with the connection. */
export const custom: ConnectionType = {
  type: 'custom',
  title: 'Custom',
  category: 'custom',
  schema: fields({}),
};
