// @needs moto
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { StrongroomError } from '@strongroom/contract/core';
import { kekFromBytes } from '@strongroom/crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Moto, startMoto } from '../../../../servers/moto.ts';
import { jsonCall } from '../../testing/live-aws.ts';
import { createEgress, type Egress } from '../egress/index.ts';
import { type KmsKekSettings, unwrapKmsKek, wrapKmsKek } from './kms-kek.ts';

let moto: Moto;
let egress: Egress;
let settings: KmsKekSettings;
const signal = () => AbortSignal.timeout(20_000);
const makeKey = async (): Promise<string> =>
  /"Arn": ?"([^"]+)"/.exec(await jsonCall(moto, 'kms', 'TrentService.CreateKey', {}))?.[1] ?? '';

beforeAll(async () => {
  moto = await startMoto();
  egress = createEgress({ allow: [], allowLoopback: true });
  process.env['AWS_ACCESS_KEY_ID'] = 'any';
  process.env['AWS_SECRET_ACCESS_KEY'] = 'any';
  settings = { region: 'us-east-1', keyArn: await makeKey(), endpoint: moto.url, context: { installation: 'one' } };
});
afterAll(async () => {
  delete process.env['AWS_ACCESS_KEY_ID'];
  delete process.env['AWS_SECRET_ACCESS_KEY'];
  await egress.close();
  await moto.stop();
});

async function codeOf(call: () => Promise<unknown>, bytes: Uint8Array): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    const shown = inspect(error, { depth: 10, showHidden: true });
    for (const encoding of ['hex', 'base64'] as const)
      expect(shown).not.toContain(Buffer.from(bytes).toString(encoding));
    return error.code;
  }
  throw new Error('It did not throw');
}

it('comes back from its blob, and from no other key, context or blob', async () => {
  const bytes = randomBytes(32);
  const kek = kekFromBytes(bytes);
  const blob = await wrapKmsKek(settings, kek, egress, signal());
  expect(Buffer.from(blob).includes(bytes)).toBe(false);
  expect((await unwrapKmsKek(settings, blob, egress, signal())).id).toBe(kek.id);

  const unwrap = (change: Partial<KmsKekSettings>, of = blob) =>
    codeOf(() => unwrapKmsKek({ ...settings, ...change }, of, egress, signal()), bytes);
  expect(await unwrap({ context: { installation: 'two' } })).toBe('key_unavailable');
  expect(await unwrap({ context: {} })).toBe('key_unavailable');
  // AWS calls it an IncorrectKeyException, moto a refusal.
  expect(['key_unavailable', 'backend_denied']).toContain(await unwrap({ keyArn: await makeKey() }));
  const changed = Uint8Array.from(blob, (byte, index) => (index === blob.length - 1 ? byte ^ 1 : byte));
  expect(await unwrap({}, changed)).toBe('key_unavailable');
  expect(await unwrap({}, new Uint8Array())).toBe('key_unavailable');
  expect(await unwrap({}, new Uint8Array(6145))).toBe('key_unavailable');
  expect(await unwrap({ endpoint: 'https://169.254.169.254' })).toBe('egress_denied');
});
