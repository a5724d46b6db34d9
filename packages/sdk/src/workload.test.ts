import { setTimeout as pause } from 'node:timers/promises';
import { CompactEncrypt, importJWK, type JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { createClient, StrongroomError } from './index.ts';
import { openLaunch, startHeartbeat } from './workload.ts';

const id = 'lau_00000000000000000000000000';
const canary = 'canary-91ac7d';

interface Sealing {
  readonly header?: Record<string, unknown>;
  readonly payload?: unknown;
  readonly text?: string;
}

/** A server that seals `payload`; `fails` answers break off first. */
function serverOf({ header = {}, payload, text }: Sealing, fails = 0) {
  const keys: string[] = [];
  const client = createClient({
    url: 'http://127.0.0.1:8480',
    token: 'srt_x',
    fetch: async (url, init) => {
      const sent: unknown = JSON.parse(typeof init.body === 'string' ? init.body : '{}');
      const path = new URL(url).pathname;
      if (path.endsWith('/launches')) {
        const body = sent as { references: unknown[] };
        return Response.json({ id, expiresAt: '2026-01-01T00:00:00Z', references: body.references }, { status: 201 });
      }
      const { publicKey } = sent as { publicKey: JWK };
      keys.push(publicKey.x ?? '');
      if (keys.length <= fails) throw new TypeError('fetch failed');
      const plaintext = new TextEncoder().encode(text ?? JSON.stringify(payload));
      const jwe = await new CompactEncrypt(plaintext)
        .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: id, ...header })
        .encrypt(await importJWK(publicKey, 'ECDH-ES'));
      return Response.json({ jwe, expiresAt: '2026-01-01T00:00:00Z', heartbeatUntil: '2026-01-01T00:01:00Z' });
    },
  });
  return { client, keys };
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const wanted = [{ name: 'PGPASSWORD', reference: 'secret://domain/managed/db-password' }];
const whole = { launch: id, values: [{ name: 'PGPASSWORD', valueBase64: base64(canary) }] };

async function deliver(sealing: Sealing, fails = 0) {
  const { client, keys } = serverOf(sealing, fails);
  const launch = await openLaunch(client, { domain: 'finance', references: wanted });
  return { delivered: await launch.resolve(), keys };
}

describe('sealed delivery', () => {
  it('opens what was sealed to it, and zeroes it', async () => {
    const { delivered } = await deliver({ payload: whole });
    expect(delivered.names).toEqual(['PGPASSWORD']);
    expect(delivered.text('PGPASSWORD')).toBe(canary);
    const bytes = delivered.bytes('PGPASSWORD');
    delivered.destroy();
    expect([...bytes].every((byte) => byte === 0)).toBe(true);
  });

  it('keeps bytes that are no text, and a leading byte order mark', async () => {
    const values = [{ name: 'PGPASSWORD', valueBase64: '/wD+' }];
    const { delivered } = await deliver({ payload: { launch: id, values } });
    expect([...delivered.bytes('PGPASSWORD')]).toEqual([0xff, 0, 0xfe]);
    expect(() => delivered.text('PGPASSWORD')).toThrow(/not UTF-8/);
    const marked = { launch: id, values: [{ name: 'PGPASSWORD', valueBase64: base64('\ufeffa') }] };
    expect((await deliver({ payload: marked })).delivered.text('PGPASSWORD')).toBe('\ufeffa');
  });

  it('asks again with the same key when an answer is lost', async () => {
    const { delivered, keys } = await deliver({ payload: whole }, 2);
    expect(delivered.text('PGPASSWORD')).toBe(canary);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
  });

  it.each<[string, Sealing, string]>([
    [
      'another launch in the header',
      { payload: whole, header: { kid: 'lau_11111111111111111111111111' } },
      'launch_failed',
    ],
    ['no launch in the header', { payload: whole, header: { kid: undefined } }, 'launch_failed'],
    ['another cipher', { payload: whole, header: { enc: 'A128GCM' } }, 'launch_failed'],
    ['a wrapped key', { payload: whole, header: { alg: 'ECDH-ES+A256KW' } }, 'launch_failed'],
    ['another launch inside', { payload: { ...whole, launch: 'lau_1' } }, 'launch_failed'],
    ['no JSON', { text: `${canary}{` }, 'launch_failed'],
    [
      'broken base64',
      { payload: { launch: id, values: [{ name: 'PGPASSWORD', valueBase64: `${canary}*` }] } },
      'launch_failed',
    ],
    ['a missing value', { payload: { launch: id, values: [] } }, 'reference_unresolved'],
    [
      'more than was asked for',
      { payload: { launch: id, values: [...whole.values, { name: 'B', valueBase64: base64(canary) }] } },
      'reference_unresolved',
    ],
  ])('refuses %s, without a value in the error', async (_, sealing, code) => {
    const error: unknown = await deliver(sealing).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StrongroomError);
    expect(error).toMatchObject({ code });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(canary);
  });
});

describe('startHeartbeat', () => {
  it('takes its time when the server named none', async () => {
    let beats = 0;
    const client = createClient({
      url: 'http://127.0.0.1:8480',
      token: 'srt_x',
      fetch: () => {
        beats += 1;
        return Promise.resolve(Response.json({ heartbeatUntil: 'soon' }));
      },
    });
    const stop = startHeartbeat(client, { launch: id, heartbeatUntil: 'soon' });
    await pause(200);
    stop();
    expect(beats).toBe(0);
  });
});
