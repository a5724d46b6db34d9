import { inspect } from 'node:util';
import { StrongroomError } from '@strongroom/contract/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type AwsAnswer, awsError, startScriptedAws } from '../../testing/scripted-aws.ts';
import { createEgress, type Egress } from '../egress/index.ts';
import { unwrapKmsKek } from './kms-kek.ts';

const canary = 'canary-71d5';
const keyArn = 'arn:aws:kms:us-east-1:123456789012:key/a';
const plaintext = (bytes: Uint8Array): AwsAnswer => ({
  body: { KeyId: keyArn, Plaintext: Buffer.from(bytes).toString('base64') },
});

let egress: Egress;
beforeAll(() => {
  egress = createEgress({ allow: [], allowLoopback: true });
  process.env['AWS_ACCESS_KEY_ID'] = 'any';
  process.env['AWS_SECRET_ACCESS_KEY'] = 'any';
});
afterAll(async () => {
  delete process.env['AWS_ACCESS_KEY_ID'];
  delete process.env['AWS_SECRET_ACCESS_KEY'];
  await egress.close();
});

const cases: Readonly<Record<string, readonly [AwsAnswer, string]>> = {
  'a key that is disabled': [awsError('DisabledException', canary), 'key_unavailable'],
  'a key that is to be deleted': [awsError('KMSInvalidStateException', canary), 'key_unavailable'],
  'no such key': [awsError('NotFoundException', canary), 'key_unavailable'],
  'another key': [awsError('IncorrectKeyException', canary), 'key_unavailable'],
  'another context': [awsError('InvalidCiphertextException', canary), 'key_unavailable'],
  'a refusal': [awsError('AccessDeniedException', canary), 'backend_denied'],
  throttling: [awsError('ThrottlingException', canary), 'backend_throttled'],
  'a failure': [awsError('KMSInternalException', canary, 500), 'backend_unavailable'],
  'a page': [{ headers: { 'content-type': 'text/html' }, body: `<p>${canary}</p>` }, 'backend_malformed'],
  'no plaintext': [{ body: { KeyId: keyArn } }, 'backend_malformed'],
  'a key that is too short': [plaintext(Buffer.from(canary)), 'key_unavailable'],
  'a key of zeros': [plaintext(new Uint8Array(32)), 'key_unavailable'],
};

it.each(Object.entries(cases))('gives no key-encryption key: %s', async (_, [answer, code]) => {
  await using aws = await startScriptedAws(() => answer);
  const settings = { region: 'us-east-1', keyArn, endpoint: aws.url };
  const outcome: unknown = await unwrapKmsKek(settings, Uint8Array.of(1), egress, AbortSignal.timeout(60_000)).catch(
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(StrongroomError);
  expect(outcome).toMatchObject({ code });
  expect(inspect(outcome, { depth: 10, showHidden: true })).not.toContain(canary);
  expect(aws.requests[0]?.input).toMatchObject({ KeyId: keyArn, EncryptionContext: { purpose: 'strongroom-kek' } });
});
