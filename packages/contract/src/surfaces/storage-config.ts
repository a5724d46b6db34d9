import { Type } from 'typebox';
import { Label } from '../names.ts';
import { Closed } from '../route.ts';
import { commonInput, configurationFields, CredentialInput, CredentialState, Warning } from './fields.ts';
import { formKeyword } from './unresolved-fields.ts';

/** A storage configuration: an S3-compatible bucket and the key pair that opens it. */

/** Amazon's rules for bucket names, which others follow (Amazon S3 User Guide, "Bucket naming rules"). */
export const bucketPattern = '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$';

const shared = {
  description: commonInput.description,
  provider: Type.Enum(['aws', 's3-compatible'], {
    description: 'aws: the endpoint follows from the region, unless one is given; s3-compatible: it needs an endpoint',
  }),
  region: Type.Optional(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' })),
  endpoint: Type.Optional(
    Type.String({
      minLength: 8,
      maxLength: 2048,
      description: 'http or https, host and port alone; http on loopback only',
    }),
  ),
  bucket: Type.String({ pattern: bucketPattern }),
  basePath: Type.Optional(
    Type.String({ maxLength: 1024, description: 'A prefix of keys; the same without its slashes' }),
  ),
  usesPathStyle: Type.Optional(
    Type.Boolean({
      description: 'ENDPOINT/BUCKET/KEY instead of BUCKET.ENDPOINT/KEY. Default: true for s3-compatible',
    }),
  ),
};

const input = {
  ...shared,
  ...commonInput,
  accessKey: Type.Optional(CredentialInput),
  secretKey: Type.Optional(CredentialInput),
};

export const StorageConfigCreate = Closed({ name: Label, ...input }, { [formKeyword]: 'storage-config' });
/** A whole new document but for credentials, which stay unless set or cleared. `bundle` left out: unchanged. */
export const StorageConfigUpdate = Closed(
  { name: Type.Optional(Label), ...input },
  { [formKeyword]: 'storage-config' },
);

export const StorageConfig = Closed({
  ...configurationFields,
  ...shared,
  accessKey: CredentialState,
  secretKey: CredentialState,
  warnings: Type.Array(Warning),
});
