import { Type, type Static } from 'typebox';
import { Closed } from '../route.ts';
import type { BackendDeclaration } from './declaration.ts';

const accessKeyId = Type.String({
  minLength: 16,
  maxLength: 128,
  pattern: '^[A-Za-z0-9_]+$',
  description: 'Access key id; its secret is a credential',
});

const roleArn = Type.String({
  maxLength: 2048,
  pattern: String.raw`^arn:[a-z0-9-]+:iam::\d{12}:role/[\w+=,.@/-]+$`,
  description: 'Role to assume',
  examples: ['arn:aws:iam::123456789012:role/strongroom-finance'],
});

const authentication = Type.Union([
  Closed({ method: Type.Literal('access-key'), accessKeyId }, { title: 'Access key' }),
  Closed(
    {
      method: Type.Literal('assume-role'),
      accessKeyId,
      roleArn,
      externalId: Type.Optional(
        Type.String({
          minLength: 2,
          maxLength: 1224,
          pattern: String.raw`^[\w+=,.@:/-]+$`,
          description: 'What the role’s trust policy asks for besides',
        }),
      ),
    },
    { title: 'Access key that assumes a role' },
  ),
  Closed(
    { method: Type.Literal('default-chain'), roleArn },
    { title: 'Identity of this server (IRSA, instance role), which a profile lends, assuming a role' },
  ),
]);

const endpoint = (service: string, description: string) =>
  Type.Optional(
    Type.String({
      maxLength: 2048,
      pattern: String.raw`^https?://[^\s/?#@\\%]+/?$`,
      description,
      examples: [`https://vpce-0a1b2c3d-4e5f6a7b.${service}.eu-central-1.vpce.amazonaws.com`],
    }),
  );

const settings = Closed({
  region: Type.String({
    maxLength: 40,
    pattern: '^[a-z]{2}(?:-[a-z]+)+-\\d$',
    description: 'Region of the secrets',
    examples: ['eu-central-1'],
  }),
  prefix: Type.Optional(
    Type.String({
      maxLength: 512,
      pattern: '^(?!!)[A-Za-z0-9/_+=.@!-]*$',
      default: '',
      description: 'Only secrets whose names begin like this; it stays part of their names',
      examples: ['prod/finance/'],
    }),
  ),
  versionStage: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      pattern: '^[!-~]+$',
      default: 'AWSCURRENT',
      description: 'Staging label of the version that is current',
    }),
  ),
  endpoint: endpoint('secretsmanager', 'Another endpoint of Secrets Manager than the region’s own'),
  stsEndpoint: endpoint('sts', 'Another endpoint of STS, where a role is assumed, than the region’s own'),
  authentication,
});

/**
 * AWS Secrets Manager, only read. Names and limits as in
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html.
 */
export const awsBackend = {
  type: 'AWS',
  title: 'AWS Secrets Manager',
  settings,
  credentials: {
    secretAccessKey: { title: 'Secret access key', methods: ['access-key', 'assume-role'], maxBytes: 1024 },
  },
  rebinds: [
    '/region',
    '/endpoint',
    '/stsEndpoint',
    '/authentication/method',
    '/authentication/accessKeyId',
    '/authentication/roleArn',
  ],
} as const satisfies BackendDeclaration<'AWS', typeof settings>;

export type AwsSettings = Static<typeof settings>;
export type AwsAuthentication = AwsSettings['authentication'];
