import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CryptoError } from './errors.ts';
import { kekFromBytes } from './kek.ts';
import { createTerm } from './keyring.ts';
import { createToken, hashChosenToken, hashToken, isChosenToken } from './token.ts';

describe('a token made by an operator', () => {
  it.each([
    ['hex', `srt_${randomBytes(32).toString('hex')}`],
    ['base64url', `srt_${randomBytes(32).toString('base64url')}`],
    ['as short as may be', 'srt_0f7c1d2e3b4a5968778695a4b3c2d1e0'],
  ])('may be %s', (_, token) => {
    expect(isChosenToken(token)).toBe(true);
  });

  it.each([
    '',
    'srt_',
    'srt_0f7c1d2e3b4a5968778695a4b3c2d1e',
    `srt_${'0f7c1d2e'.repeat(26)}`,
    `srt_${'ab'.repeat(32)}`,
    'srs_0f7c1d2e3b4a5968778695a4b3c2d1e0',
    'srt_0f7c1d2e3b4a5968 78695a4b3c2d1e0',
    'srt_0f7c1d2e3b4a5968778695a4b3c2d1e0\n',
    'srt_0f7c1d2e3b4a5968778695a4b3c2d1\u00e90',
    createToken('srt_'),
  ])('is not %j', (token) => {
    expect(isChosenToken(token)).toBe(false);
  });

  it('has a hash that no token of ours can have', async () => {
    const kek = kekFromBytes(randomBytes(32));
    const { key } = await createTerm(kek, { installationId: 'ins', scopeId: 'all', purpose: 'token', number: 1 });
    const token = 'srt_0f7c1d2e3b4a5968778695a4b3c2d1e0';
    expect(hashChosenToken(key, token)).toEqual(hashChosenToken(key, token));
    expect(() => hashToken(key, token)).toThrow(CryptoError);
    expect(() => hashChosenToken(key, createToken('srt_'))).toThrow(CryptoError);
    expect(hashChosenToken(key, token)).not.toEqual(hashChosenToken(key, `${token}0`));
  });
});
