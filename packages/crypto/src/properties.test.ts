import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { openCursor, sealCursor } from './cursor.ts';
import { decodeBase64url, encodeFields } from './encoding.ts';
import { CryptoError } from './errors.ts';
import { kekFromBytes, kekFromText } from './kek.ts';
import { createTerm, openTerm, type TermKey } from './keyring.ts';
import { fingerprint } from './mac.ts';
import { hashPassword, MAX_PASSWORD_BYTES, burnPassword, needsRehash, verifyPassword } from './password.ts';
import { createRecoveryKit, openRecoveryKit } from './recovery-kit.ts';
import { SecretValue } from './secret-value.ts';
import { createSigningKey, decodePublicKeyText, openSigningKey, verifySignature } from './signing.ts';
import { createToken, parseToken } from './token.ts';
import { envelopeTermId, openValue, sealValue, type ValueContext } from './value-envelope.ts';

const kek = kekFromBytes(Buffer.alloc(32, 7));
const text = fc.string({ unit: 'binary' });
const field = fc.oneof(text, fc.maxSafeNat(), fc.uint8Array());
const context = fc.record({
  secretId: text,
  version: fc.record({ epoch: fc.maxSafeNat(), n: fc.maxSafeNat() }),
});

const keys = new Map<string, TermKey>();
const keyFor = (purpose: string): TermKey => {
  const key = keys.get(purpose);
  if (key === undefined) throw new Error(`no key for ${purpose}`);
  return key;
};
const place = (partial: Pick<ValueContext, 'secretId' | 'version'>): ValueContext => ({
  installationId: 'inst',
  scopeId: 'scope',
  ...partial,
});

beforeAll(async () => {
  for (const purpose of ['value', 'fingerprint', 'cursor'] as const) {
    const { key } = await createTerm(kek, { installationId: 'inst', scopeId: 'scope', purpose, number: 1 });
    keys.set(purpose, key);
  }
});

/** Reads the fields back, which is possible for every output only if the encoding is injective. */
function decodeFields(bytes: Uint8Array): Buffer[] {
  const buffer = Buffer.from(bytes);
  const fields: Buffer[] = [];
  for (let at = 0; at < buffer.length;) {
    const length = buffer.readUInt32BE(at);
    fields.push(buffer.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return fields;
}

function readAs(original: string | number | Uint8Array, bytes: Buffer): string | number | Uint8Array {
  if (typeof original === 'string') return bytes.toString('utf8');
  return typeof original === 'number' ? Number(bytes.readBigUInt64BE()) : Uint8Array.from(bytes);
}

describe('encoding', () => {
  it('can be read back, so no two lists of one shape meet', () => {
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        const decoded = decodeFields(encodeFields(fields));
        expect(decoded.length).toBe(fields.length);
        for (const [index, original] of fields.entries()) {
          const bytes = decoded[index] ?? Buffer.alloc(0);
          expect(readAs(original, bytes)).toEqual(original);
        }
      }),
    );
  });
  it('takes canonical base64url only', () => {
    fc.assert(
      fc.property(fc.oneof(text, fc.base64String(), fc.string()), (candidate) => {
        const isCanonical = Buffer.from(candidate, 'base64url').toString('base64url') === candidate;
        fc.pre(!isCanonical);
        expect(() => decodeBase64url(candidate)).toThrow(CryptoError);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const encoded = Buffer.from(bytes).toString('base64url');
        expect(Uint8Array.from(decodeBase64url(encoded))).toEqual(bytes);
        expect(() => decodeBase64url(`${encoded}=`)).toThrow(CryptoError);
        expect(() => decodeBase64url(`${encoded} `)).toThrow(CryptoError);
      }),
    );
  });
});

describe('values', () => {
  it('open where they were sealed and nowhere else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), context, context, (bytes, here, there) => {
        const key = keyFor('value');
        const value = SecretValue.fromBytes(bytes);
        const envelope = sealValue(key, place(here), value);
        expect(envelopeTermId(envelope)).toBe(key.id);
        expect(openValue(key, place(here), envelope).equals(value)).toBe(true);
        const isSamePlace = JSON.stringify(here) === JSON.stringify(there);
        fc.pre(!isSamePlace);
        expect(() => openValue(key, place(there), envelope)).toThrow(
          expect.objectContaining({ code: 'decryption_failed' }),
        );
      }),
    );
  });
  it('never repeat a nonce or a ciphertext', () => {
    const here = place({ secretId: 's', version: { epoch: 1, n: 1 } });
    const value = SecretValue.fromText('same');
    const envelopes = Array.from({ length: 2000 }, () => Buffer.from(sealValue(keyFor('value'), here, value)));
    expect(new Set(envelopes.map((bytes) => bytes.toString('hex', 19, 31))).size).toBe(2000);
    expect(new Set(envelopes.map((bytes) => bytes.toString('hex', 31))).size).toBe(2000);
  });
  it('have one length per size class, and cost little', () => {
    const here = place({ secretId: 's', version: { epoch: 1, n: 1 } });
    fc.assert(
      fc.property(fc.nat({ max: 70_000 }), (length) => {
        const envelope = sealValue(keyFor('value'), here, SecretValue.fromBytes(new Uint8Array(length)));
        const padded = envelope.length - 47;
        expect(padded % 64).toBe(0);
        expect(padded).toBeGreaterThanOrEqual(length + 4);
        expect(padded).toBeLessThanOrEqual(Math.max((length + 4) * 1.125, length + 4 + 63));
      }),
    );
  });
  it('are never read from noise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
        const here = place({ secretId: 's', version: { epoch: 1, n: 1 } });
        const header = Buffer.concat([Buffer.from('SR\x01'), Buffer.from(keyFor('value').id, 'hex')]);
        expect(() => openValue(keyFor('value'), here, noise)).toThrow(CryptoError);
        expect(() => openValue(keyFor('value'), here, Buffer.concat([header, noise]))).toThrow(CryptoError);
      }),
    );
  });
});

it('fingerprints equal values equally and others differently', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      const print = (bytes: Uint8Array) =>
        Buffer.from(fingerprint(keyFor('fingerprint'), SecretValue.fromBytes(bytes))).toString('hex');
      expect(print(a) === print(b)).toBe(Buffer.compare(a, b) === 0);
    }),
  );
});

describe('tokens', () => {
  it('are read back, and no single wrong character is', () => {
    fc.assert(
      fc.property(fc.nat({ max: 52 }), fc.string({ unit: 'binary', minLength: 1, maxLength: 2 }), (at, other) => {
        const token = createToken();
        expect(parseToken(token)).toEqual({ prefix: 'srt_', text: token });
        fc.pre(token[at] !== other);
        expect(parseToken(token.slice(0, at) + other + token.slice(at + 1))).toBeNull();
      }),
    );
  });
  it('spread evenly over the alphabet', () => {
    const counts = new Map<string, number>();
    for (let round = 0; round < 2000; round += 1) {
      for (const character of createToken().slice(4, 47)) counts.set(character, (counts.get(character) ?? 0) + 1);
    }
    // 86,000 draws over 62 characters: mean 1387, standard deviation 37; eight of them either way.
    expect(counts.size).toBe(62);
    expect(Math.min(...counts.values())).toBeGreaterThan(1087);
    expect(Math.max(...counts.values())).toBeLessThan(1687);
  });
  it.each(['', 'srt', 'S_', 'srt__', 'a_', 'toolongprefix_'])('refuse the prefix %j', (prefix) => {
    expect(() => createToken(prefix)).toThrow(TypeError);
  });
});

it('opens a cursor for its own binding only', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), text, text, (payload, binding, other) => {
      const expected: unknown = JSON.parse(JSON.stringify(payload));
      const cursor = sealCursor(keyFor('cursor'), payload, binding);
      expect(openCursor(keyFor('cursor'), cursor, binding)).toEqual(expected);
      expect(openCursor(keyFor('cursor'), other, binding)).toBeNull();
      fc.pre(other !== binding);
      expect(openCursor(keyFor('cursor'), cursor, other)).toBeNull();
    }),
  );
  expect(() => sealCursor(keyFor('cursor'), { a: 'a'.repeat(4096) }, '')).toThrow(TypeError);
});

it('signs with a key that went through the keyring', async () => {
  const signingKey = createSigningKey();
  const term = await signingKey.wrap(kek, { installationId: 'inst', scopeId: 'scope', number: 1 });
  const opened = await openSigningKey(kek, 'inst', term);
  const { publicKey } = signingKey;
  expect(decodePublicKeyText(JSON.parse(JSON.stringify(opened)).slice('[signing key '.length, -1))).toEqual(
    Buffer.from(publicKey),
  );
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (message, other) => {
      const signature = opened.sign(message);
      expect(verifySignature(publicKey, message, signature)).toBe(true);
      expect(verifySignature(publicKey, other, signature)).toBe(Buffer.compare(message, other) === 0);
    }),
  );
});

it('recovers any KEK, and finds any single mistyped character', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.nat({ max: 35 }),
      fc.nat({ max: 30 }),
      (bytes, at, step) => {
        fc.pre(bytes.some((byte) => byte !== 0));
        const { kit, recoveryKey } = createRecoveryKit(bytes);
        expect(recoveryKey).toMatch(/^([0-9A-HJKMNP-TV-Z]{6}-){5}[0-9A-HJKMNP-TV-Z]{6}$/);
        expect(Buffer.from(openRecoveryKit(kit, recoveryKey)).equals(bytes)).toBe(true);
        const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
        const compact = recoveryKey.replaceAll('-', '');
        const wrong = alphabet.charAt((alphabet.indexOf(compact.charAt(at)) + 1 + step) % 32);
        const mistyped = compact.slice(0, at) + wrong + compact.slice(at + 1);
        // One in 2^20 passes the checksum; it still opens nothing.
        expect(() => openRecoveryKit(kit, mistyped)).toThrow(CryptoError);
      },
    ),
    { numRuns: 50 },
  );
  expect(() => createRecoveryKit(new Uint8Array(32))).toThrow(expect.objectContaining({ code: 'kek_invalid' }));
});

it('wraps any key and refuses noise', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async (noise) => {
      const { term } = await createTerm(kek, { installationId: 'i', scopeId: 's', purpose: 'value', number: 1 });
      await expect(openTerm(kek, 'i', { ...term, wrapped: noise })).rejects.toEqual(
        expect.objectContaining({ code: 'decryption_failed' }),
      );
    }),
  );
  fc.assert(
    fc.property(text, (noise) => {
      expect(() => kekFromText(noise)).toThrow(expect.objectContaining({ code: 'kek_invalid' }));
      expect(() => kekFromText(`strongroom-kek-v1:${noise}`)).toThrow(CryptoError);
    }),
  );
});

describe('passwords', () => {
  it('verify against today’s parameters and a fresh salt', async () => {
    const [one, other] = await Promise.all([hashPassword('grün ﬁ'), hashPassword('grün ﬁ')]);
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
    expect(one).not.toBe(other);
    expect(needsRehash(one)).toBe(false);
    expect(await verifyPassword('gru\u0308n fi', one)).toBe(true);
    expect(await verifyPassword('grun fi', one)).toBe(false);
  });
  it.each(['', 'a'.repeat(MAX_PASSWORD_BYTES + 1), '€'.repeat(342), '\uD800'])(
    'refuse a text that can be none',
    async (bad) => {
      await expect(hashPassword(bad)).rejects.toEqual(expect.objectContaining({ code: 'format_invalid' }));
      expect(await verifyPassword(bad, await hashPassword('x'))).toBe(false);
      await expect(burnPassword(bad)).resolves.toBeUndefined();
    },
  );
  it('take the longest text whole', async () => {
    const longest = '€'.repeat(341) + 'a';
    const encoded = await hashPassword(longest);
    expect(await verifyPassword(longest, encoded)).toBe(true);
    expect(await verifyPassword(`${longest.slice(0, -1)}b`, encoded)).toBe(false);
  });
});
