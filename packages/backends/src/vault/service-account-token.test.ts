import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretValue } from '@strongroom/crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkAudience, readServiceAccountToken } from './service-account-token.ts';

const canary = 'canary7f0a';
const tokenFor = (claims: unknown): string =>
  `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${canary}`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'strongroom-token-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the ServiceAccount token', () => {
  it('is read anew each time, without its line end', async () => {
    const file = join(folder, 'token');
    for (const sub of ['one', 'two']) {
      writeFileSync(file, `${tokenFor({ sub })}\n`);
      expect((await readServiceAccountToken(file)).revealText()).toBe(tokenFor({ sub }));
    }
  });

  it.each([
    ['nothing', ''],
    ['something else', `password=${canary}`],
    ['a token that goes on', `${tokenFor({})}\n${canary}`],
    ['too much', `${'x'.repeat(20_000)}.y.${canary}`],
  ])('is none in a file with %s', async (_, content) => {
    const file = join(folder, 'bad');
    writeFileSync(file, content);
    const error: unknown = await readServiceAccountToken(file).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'key_unavailable' });
    expect(String(error)).not.toContain(canary);
  });

  it('is none outside of a pod', async () => {
    await expect(readServiceAccountToken(join(folder, 'absent'))).rejects.toMatchObject({ code: 'key_unavailable' });
  });

  it.each([[{ aud: 'vault' }], [{ aud: ['api', 'vault'] }]])('for the audience may be sent: %j', (claims) => {
    const token = SecretValue.fromText(tokenFor(claims));
    checkAudience(token, 'vault');
    expect(token.revealText()).toBe(tokenFor(claims));
  });

  it.each([[{ aud: 'vaults' }], [{ aud: ['api'] }], [{ aud: { vault: true } }], [{}], ['vault'], [null]])(
    'for another audience is not sent: %j',
    (claims) => {
      const token = SecretValue.fromText(tokenFor(claims));
      expect(() => checkAudience(token, 'vault')).toThrow(expect.objectContaining({ code: 'backend_denied' }));
      expect(() => token.reveal()).toThrow(TypeError);
    },
  );

  it('that can not be read is not sent', () => {
    const token = SecretValue.fromText(`h.${Buffer.from(`{"aud":${canary}`).toString('base64url')}.s`);
    expect(() => checkAudience(token, 'vault')).toThrow(expect.objectContaining({ code: 'backend_denied' }));
  });
});
