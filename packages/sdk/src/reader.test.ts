import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompactEncrypt, importJWK, type JWK } from 'jose';
import { afterAll, describe, expect, it } from 'vitest';
import { createClient } from './index.ts';
import { clientFromEnvironment, readSecrets } from './reader.ts';
import { tokenFromFile } from './token-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'strongroom-reader-'));
const file = join(folder, 'token');
afterAll(() => rmSync(folder, { recursive: true }));

const id = 'lau_00000000000000000000000000';
const canary = 'canary-5c1f02';
const reference = 'secret://domain/managed/db-password';

/** A server that seals `canary`, with the calls it got and who made them. */
function server() {
  const calls: string[] = [];
  const client = createClient({
    url: 'http://127.0.0.1:8480',
    token: tokenFromFile(file),
    fetch: async (url, init) => {
      const path = new URL(url).pathname;
      calls.push(`${path.split('/').at(-1)} ${new Headers(init.headers).get('authorization')}`);
      const body = JSON.parse(typeof init.body === 'string' ? init.body : '{}') as { publicKey: JWK };
      if (path.endsWith('/launches'))
        return Response.json({ id, expiresAt: '2026-01-01T00:00:00Z', references: [] }, { status: 201 });
      if (path.endsWith('/end')) return new Response(null, { status: 204 });
      const values = [{ name: 'password', valueBase64: Buffer.from(canary).toString('base64') }];
      const jwe = await new CompactEncrypt(new TextEncoder().encode(JSON.stringify({ launch: id, values })))
        .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: id })
        .encrypt(await importJWK(body.publicKey, 'ECDH-ES'));
      return Response.json({ jwe, expiresAt: '2026-01-01T00:00:00Z', heartbeatUntil: '2999-01-01T00:00:00Z' });
    },
  });
  return { client, calls };
}

describe('reading in a workload', () => {
  it('gives values by one call, with the token that is in the file at each call, until it is closed', async () => {
    writeFileSync(file, 'first\n');
    const { client, calls } = server();
    const held = await readSecrets({ password: reference }, { domain: 'finance', client });
    expect([held.names, held.get('password')]).toEqual([['password'], canary]);
    const bytes = held.bytes('password');
    writeFileSync(file, 'second\n');
    await held.close();
    await held.close();
    expect([...bytes].every((byte) => byte === 0)).toBe(true);
    expect(() => held.get('password')).toThrow('closed');
    expect(calls).toEqual(['launches Bearer first', 'resolve Bearer first', 'end Bearer second']);
  });

  it('takes nothing for a reference that is none, and asks nobody', async () => {
    const { client, calls } = server();
    const reading = readSecrets({ password: canary }, { domain: 'finance', client });
    await expect(reading).rejects.toMatchObject({ code: 'reference_malformed' });
    await expect(reading).rejects.not.toThrow(canary);
    expect(calls).toEqual([]);
  });

  it('fails with a typed error when the file is not there or holds nothing', async () => {
    writeFileSync(file, '\n');
    for (const path of [file, join(folder, 'absent'), folder])
      await expect(tokenFromFile(path)()).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('finds its server and credential in the environment, and says what is missing', async () => {
    const bad = [{}, { STRONGROOM_URL: 'http://127.0.0.1:1', STRONGROOM_TOKEN: 'a', STRONGROOM_TOKEN_FILE: 'b' }];
    for (const environment of bad)
      await expect(clientFromEnvironment(environment)).rejects.toMatchObject({ code: 'validation_failed' });
    await expect(clientFromEnvironment({ STRONGROOM_URL: 'http://127.0.0.1:1' })).rejects.toMatchObject({
      code: 'unauthenticated',
    });
  });
});
