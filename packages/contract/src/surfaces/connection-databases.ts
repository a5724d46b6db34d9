import { awsConfig, choice, destination, fields, flag, password, sslConfig, text } from './config-fields.ts';
import type { ConnectionType } from './connection-types.ts';

/**
 * Databases, with the fields that OpenMetadata documents for their connectors
 * (https://docs.open-metadata.org/connectors/database), named as there.
 */

/** The password, or AWS credentials that get one (IAM database authentication). */
const authType = {
  title: 'Authentication',
  ...fields({ password: password('Password'), awsConfig }),
};

const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];

/** What most of them take beside their own. */
const common = {
  username: text('User'),
  database: text('Database'),
  databaseSchema: text('Schema'),
};

export const databases: readonly ConnectionType[] = [
  {
    type: 'postgres',
    title: 'PostgreSQL',
    category: 'database',
    serviceType: 'Postgres',
    destination: { field: 'hostPort', scheme: 'postgres', port: 5432 },
    schema: fields(
      {
        ...common,
        hostPort: destination('Host and port'),
        authType,
        sslMode: choice('TLS', sslModes),
        sslConfig,
        ingestAllDatabases: flag('All databases'),
        classificationName: text('Classification'),
      },
      ['username', 'hostPort', 'database'],
    ),
  },
  {
    type: 'mysql',
    title: 'MySQL',
    category: 'database',
    serviceType: 'Mysql',
    destination: { field: 'hostPort', scheme: 'mysql', port: 3306 },
    schema: fields(
      {
        username: text('User'),
        databaseName: text('Database'),
        databaseSchema: text('Schema'),
        hostPort: destination('Host and port'),
        authType,
        sslConfig,
      },
      ['username', 'hostPort'],
    ),
  },
  {
    type: 'mssql',
    title: 'Microsoft SQL Server',
    category: 'database',
    serviceType: 'Mssql',
    destination: { field: 'hostPort', scheme: 'mssql', port: 1433 },
    schema: fields(
      {
        ...common,
        password: password('Password'),
        hostPort: destination('Host and port'),
        scheme: choice('Driver', ['mssql+pyodbc', 'mssql+pytds', 'mssql+pymssql']),
        driver: text('ODBC driver'),
        ingestAllDatabases: flag('All databases'),
      },
      ['username', 'hostPort', 'database'],
    ),
  },
  {
    type: 'redshift',
    title: 'Amazon Redshift',
    category: 'database',
    serviceType: 'Redshift',
    destination: { field: 'hostPort', scheme: 'redshift', port: 5439 },
    schema: fields(
      {
        ...common,
        password: password('Password'),
        hostPort: destination('Host and port'),
        ingestAllDatabases: flag('All databases'),
        sslMode: choice('TLS', sslModes),
        sslConfig,
      },
      ['username', 'hostPort', 'database'],
    ),
  },
  {
    type: 'snowflake',
    title: 'Snowflake',
    category: 'database',
    serviceType: 'Snowflake',
    schema: fields(
      {
        ...common,
        account: { ...text('Account', 'ORGANISATION-ACCOUNT'), 'x-destination': true },
        password: password('Password'),
        privateKey: password('Private key'),
        snowflakePrivatekeyPassphrase: password('Passphrase of the private key'),
        role: text('Role'),
        warehouse: text('Warehouse'),
        clientSessionKeepAlive: flag('Keep the session alive'),
      },
      ['username', 'account', 'warehouse'],
    ),
  },
  {
    type: 'bigquery',
    title: 'Google BigQuery',
    category: 'database',
    serviceType: 'BigQuery',
    schema: fields(
      {
        hostPort: destination('Host', 'bigquery.googleapis.com'),
        credentials: {
          title: 'Service account',
          ...fields(
            {
              gcpConfig: fields(
                {
                  type: choice('Type', ['service_account']),
                  projectId: text('Project'),
                  privateKeyId: text('Id of the private key'),
                  privateKey: password('Private key'),
                  clientEmail: text('Account'),
                  clientId: text('Id of the account'),
                  authUri: destination('Authorisation address', 'URL'),
                  tokenUri: destination('Token address', 'URL'),
                },
                ['type', 'projectId', 'clientEmail'],
              ),
            },
            ['gcpConfig'],
          ),
        },
        taxonomyProjectID: { type: 'array', items: text('Project'), maxItems: 50 },
        usageLocation: text('Location of usage'),
      },
      ['credentials'],
    ),
  },
  {
    type: 'clickhouse',
    title: 'ClickHouse',
    category: 'database',
    serviceType: 'Clickhouse',
    destination: { field: 'hostPort', scheme: 'clickhouse', port: 8123 },
    schema: fields(
      {
        username: text('User'),
        password: password('Password'),
        hostPort: destination('Host and port'),
        databaseName: text('Database'),
        databaseSchema: text('Schema'),
        https: flag('HTTPS'),
        secure: flag('TLS'),
        sslConfig,
      },
      ['username', 'hostPort'],
    ),
  },
  {
    type: 'trino',
    title: 'Trino',
    category: 'database',
    serviceType: 'Trino',
    destination: { field: 'hostPort', scheme: 'trino', port: 8080 },
    schema: fields(
      {
        username: text('User'),
        authType: { title: 'Authentication', ...fields({ password: password('Password'), jwt: password('JWT') }) },
        hostPort: destination('Host and port'),
        catalog: text('Catalog'),
        databaseSchema: text('Schema'),
        verify: text('Path of the CA certificate'),
      },
      ['username', 'hostPort'],
    ),
  },
  {
    type: 'databricks',
    title: 'Databricks',
    category: 'database',
    serviceType: 'Databricks',
    destination: { field: 'hostPort', scheme: 'https', port: 443 },
    schema: fields(
      {
        hostPort: destination('Host and port'),
        token: password('Token'),
        httpPath: text('HTTP path'),
        catalog: text('Catalog'),
        databaseSchema: text('Schema'),
      },
      ['hostPort', 'httpPath'],
    ),
  },
];
