import { Type } from 'typebox';

/** The ARN of a key of KMS, or of an alias; the region is in it. */
const keyArnPattern = String.raw`^arn:[a-z0-9-]+:kms:[a-z]{2}(?:-[a-z]+)+-\d:\d{12}:(?:key/[A-Za-z0-9-]{1,64}|alias/[A-Za-z0-9/_-]{1,250})$`;

/** Settings of the key in AWS KMS that the operator names. The server signs in with the identity that it has where it runs. */
export const kmsAccess = {
  keyArn: Type.Optional(
    Type.String({
      maxLength: 2048,
      pattern: keyArnPattern,
      description:
        'ARN of the key in KMS, or of an alias: `arn:aws:kms:REGION:ACCOUNT:key/ID`; symmetric, for encryption',
    }),
  ),
  region: Type.Optional(
    Type.String({
      maxLength: 40,
      pattern: String.raw`^[a-z]{2}(?:-[a-z]+)+-\d$`,
      description: 'Region of the key; that of its ARN without it',
    }),
  ),
  endpoint: Type.Optional(
    Type.String({
      maxLength: 2048,
      pattern: String.raw`^https?://[^\s/?#@\\%]+/?$`,
      description: 'Another endpoint of KMS than the region’s own',
    }),
  ),
  file: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 4096,
      description:
        'File of the key-encryption key as KMS encrypted it; by default `kek.aws-kms` in the data folder, made at first start',
    }),
  ),
} as const;

/** The region that an ARN of {@link keyArnPattern} names. */
export function regionOfArn(arn: string): string {
  return arn.split(':')[3] ?? '';
}
