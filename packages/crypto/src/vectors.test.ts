import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as crypto from './index.ts';
import {
  auditMac,
  CryptoError,
  decodePublicKeyText,
  encodePublicKeyText,
  envelopeTermId,
  fingerprint,
  formatKekText,
  hashToken,
  idempotencyMac,
  kekFromBytes,
  kekFromText,
  type KeyTerm,
  needsRehash,
  openCursor,
  openRecoveryKit,
  openSigningKey,
  openTerm,
  openValue,
  parseToken,
  recoveryKitKekId,
  rewrapTerm,
  sealCursor,
  SecretValue,
  TermKey,
  type ValueContext,
  verifyPassword,
  verifySignature,
} from './index.ts';

// Every function that reads stored or foreign bytes goes through the vectors; the others are named with the reason.
const ENTRY_POINTS = `
  vectors: auditMac fingerprint idempotencyMac kekFromBytes kekFromText formatKekText openTerm rewrapTerm openValue
    envelopeTermId parseToken hashToken openCursor sealCursor openSigningKey verifySignature encodePublicKeyText
    decodePublicKeyText verifyPassword needsRehash openRecoveryKit recoveryKitKekId
  random output, so read back: createTerm sealValue createToken createSigningKey hashPassword createRecoveryKit
  tested beside their source: burnPassword createKekFile createPrivateFile destroyTerm hashChosenToken isChosenToken isPrivateFile
    loadKekFile readPrivateFile timingSafeEqualBytes
  classes: CryptoError Kek SecretValue SigningKey TermKey`;

interface StoredTerm extends Omit<KeyTerm, 'wrapped'> {
  wrapped: string;
}
interface TermVector {
  installationId: string;
  key: string;
  term: StoredTerm;
}

const load = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../testdata/crypto/${name}.json`, import.meta.url), 'utf8'));
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const toTerm = (stored: StoredTerm): KeyTerm => ({ ...stored, wrapped: hex(stored.wrapped) });
const toKey = (vector: TermVector): TermKey => new TermKey(vector.installationId, toTerm(vector.term), hex(vector.key));
const keyHex = (termKey: TermKey): string => termKey.withKey(termKey.purpose, toHex);
const named = <T extends { name: string }>(list: readonly T[]) => list.map((item) => [item.name, item] as const);

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof CryptoError) return error.code;
    throw error;
  }
  return 'no error';
}

async function codeOfAsync(action: () => Promise<unknown>): Promise<string> {
  try {
    await action();
  } catch (error) {
    if (error instanceof CryptoError) return error.code;
    throw error;
  }
  return 'no error';
}

/** Every copy of `bytes` with one byte changed, each by another pattern, and the changed index. */
function* flipped(bytes: Uint8Array): Generator<[number, Uint8Array]> {
  for (const index of bytes.keys()) {
    for (const mask of [0x01, 0x80, 0xff]) {
      const copy = Uint8Array.from(bytes);
      copy[index] = (copy[index] ?? 0) ^ mask;
      yield [index, copy];
    }
  }
}

it('accounts for every exported function', () => {
  const functions = Object.entries(crypto).filter(([, value]) => typeof value === 'function');
  expect(functions.length).toBeGreaterThan(0);
  for (const [name] of functions) expect(ENTRY_POINTS.split(/[\s,]+/)).toContain(name);
});

describe('key encryption keys', () => {
  const vectors = load('kek') as {
    valid: { bytes: string; id: string; text: string }[];
    invalidBytes: { name: string; bytes: string }[];
    invalidText: { name: string; text: string }[];
    acceptedText: { name: string; text: string; id: string }[];
  };

  it.each(vectors.valid)('reads $id', ({ bytes, id, text }) => {
    expect(kekFromBytes(hex(bytes)).id).toBe(id);
    expect(kekFromText(text).id).toBe(id);
    expect(formatKekText(hex(bytes))).toBe(text);
    expect(toHex(kekFromText(text).revealKekBytes())).toBe(bytes);
  });
  it.each(named(vectors.acceptedText))('accepts text: %s', (_, { text, id }) => {
    expect(kekFromText(text).id).toBe(id);
  });
  it.each(named(vectors.invalidBytes))('refuses bytes: %s', (_, { bytes }) => {
    expect(codeOf(() => kekFromBytes(hex(bytes)))).toBe('kek_invalid');
  });
  it.each(named(vectors.invalidText))('refuses text: %s', (_, { text }) => {
    expect(codeOf(() => kekFromText(text))).toBe('kek_invalid');
  });
});

describe('terms', () => {
  const vectors = load('terms') as {
    keks: { a: string; b: string };
    valid: (TermVector & { name: string })[];
    rewrapped: { name: string; installationId: string; key: string; before: StoredTerm; after: StoredTerm }[];
    mustFail: { name: string; code: string; kek: 'a' | 'b'; installationId: string; term: StoredTerm }[];
  };
  const keks = { a: kekFromBytes(hex(vectors.keks.a)), b: kekFromBytes(hex(vectors.keks.b)) };

  it.each(named(vectors.valid))('opens: %s', async (_, { installationId, key, term }) => {
    expect(keyHex(await openTerm(keks.a, installationId, toTerm(term)))).toBe(key);
  });
  it.each(named(vectors.rewrapped))('rewraps: %s', async (_, { installationId, key, before, after }) => {
    expect(keyHex(await openTerm(keks.b, installationId, toTerm(after)))).toBe(key);
    const rewrapped = await rewrapTerm(keks.a, keks.b, installationId, toTerm(before));
    expect({ ...rewrapped, wrapped: '' }).toEqual({ ...after, wrapped: '' });
    expect(keyHex(await openTerm(keks.b, installationId, rewrapped))).toBe(key);
    expect(await codeOfAsync(() => rewrapTerm(keks.a, keks.b, installationId, rewrapped))).toBe('kek_mismatch');
  });
  it.each(named(vectors.mustFail))('refuses: %s', async (_, { kek, installationId, term, code }) => {
    const other = kek === 'a' ? keks.b : keks.a;
    expect(await codeOfAsync(() => openTerm(keks[kek], installationId, toTerm(term)))).toBe(code);
    expect(await codeOfAsync(() => rewrapTerm(keks[kek], other, installationId, toTerm(term)))).toBe(code);
  });
  it('refuses any changed byte of the wrapped key', async () => {
    const [vector] = vectors.valid;
    if (vector === undefined) throw new Error('no vector');
    const term = toTerm(vector.term);
    for (const [index, wrapped] of flipped(term.wrapped)) {
      const code = await codeOfAsync(() => openTerm(keks.a, vector.installationId, { ...term, wrapped }));
      expect([index, code]).toEqual([index, 'decryption_failed']);
    }
  });
});

describe('values', () => {
  interface ValueVector {
    name: string;
    term: TermVector;
    context: ValueContext;
    envelope: string;
  }
  const vectors = load('values') as {
    valid: (ValueVector & { plaintext: string })[];
    mustFail: (ValueVector & { code: string })[];
  };
  // The key as the context wants it, so that only the ciphertext's own binding can refuse.
  const keyFor = (term: TermVector, { scopeId, installationId }: ValueContext): TermKey =>
    toKey({ ...term, installationId, term: { ...term.term, scopeId } });

  it.each(named(vectors.valid))('opens: %s', (_, { term, context, envelope, plaintext }) => {
    expect(envelopeTermId(hex(envelope))).toBe(term.term.id);
    expect(toHex(openValue(toKey(term), context, hex(envelope)).reveal())).toBe(plaintext);
  });
  it.each(named(vectors.valid.filter(({ term }) => term.term.state === 'active')))(
    'seals to the same layout: %s',
    (_, { term, context, envelope, plaintext }) => {
      const sealed = crypto.sealValue(toKey(term), context, SecretValue.fromBytes(hex(plaintext)));
      expect(sealed.length).toBe(envelope.length / 2);
      expect(toHex(openValue(toKey(term), context, sealed).reveal())).toBe(plaintext);
    },
  );
  it.each(named(vectors.mustFail))('refuses: %s', (_, { term, context, envelope, code }) => {
    expect(codeOf(() => openValue(toKey(term), context, hex(envelope)))).toBe(code);
    expect(codeOf(() => openValue(keyFor(term, context), context, hex(envelope)))).toBe(code);
  });
  it('refuses any changed byte of an envelope', () => {
    const { term, context, envelope } = vectors.valid.find(({ name }) => name === 'text') ?? {};
    if (term === undefined || context === undefined || envelope === undefined) throw new Error('no vector');
    for (const [index, changed] of flipped(hex(envelope))) {
      const expected = index < 3 ? 'format_invalid' : index < 19 ? 'term_unknown' : 'decryption_failed';
      expect([index, codeOf(() => openValue(toKey(term), context, changed))]).toEqual([index, expected]);
    }
  });
  it('refuses any changed byte of the additional data', () => {
    const { term, context, envelope } = vectors.valid.find(({ name }) => name === 'text') ?? {};
    if (term === undefined || context === undefined || envelope === undefined) throw new Error('no vector');
    const changes: ValueContext[] = [];
    for (const field of ['installationId', 'scopeId', 'secretId'] as const) {
      for (const [, bytes] of flipped(Buffer.from(context[field]))) {
        changes.push({ ...context, [field]: Buffer.from(bytes).toString('latin1') });
      }
      changes.push({ ...context, [field]: '' }, { ...context, [field]: `${context[field]}\0` });
    }
    for (let bit = 0; bit < 53; bit += 1) {
      const { epoch, n } = context.version;
      const change = (value: number) => Number(BigInt(value) ^ (1n << BigInt(bit)));
      changes.push({ ...context, version: { epoch: change(epoch), n } });
      changes.push({ ...context, version: { epoch, n: change(n) } });
    }
    for (const changed of changes) {
      expect(codeOf(() => openValue(keyFor(term, changed), changed, hex(envelope)))).toBe('decryption_failed');
    }
  });
});

describe('MACs', () => {
  const vectors = load('macs') as {
    fingerprintTerm: TermVector;
    fingerprints: { name: string; value: string; fingerprint: string }[];
    auditTerm: TermVector;
    auditMacs: { name: string; parts: string[]; mac: string }[];
    idempotencyTerm: TermVector;
    idempotencyMacs: { name: string; body: string; mac: string }[];
  };

  it.each(named(vectors.fingerprints))('fingerprints: %s', (_, { value, fingerprint: expected }) => {
    expect(toHex(fingerprint(toKey(vectors.fingerprintTerm), SecretValue.fromBytes(hex(value))))).toBe(expected);
  });
  it.each(named(vectors.auditMacs))('audit: %s', (_, { parts, mac }) => {
    expect(toHex(auditMac(toKey(vectors.auditTerm), ...parts.map(hex)))).toBe(mac);
  });
  it.each(named(vectors.idempotencyMacs))('idempotency: %s', (_, { body, mac }) => {
    expect(toHex(idempotencyMac(toKey(vectors.idempotencyTerm), hex(body)))).toBe(mac);
  });
});

describe('tokens', () => {
  const vectors = load('tokens') as {
    term: TermVector;
    valid: { token: string; prefix: string; hash: string }[];
    mustFail: { name: string; token: string }[];
  };

  it.each(vectors.valid)('reads $token', ({ token, prefix, hash }) => {
    expect(parseToken(token)).toEqual({ prefix, text: token });
    expect(toHex(hashToken(toKey(vectors.term), token))).toBe(hash);
  });
  it.each(named(vectors.mustFail))('refuses: %s', (_, { token }) => {
    expect(parseToken(token)).toBeNull();
    expect(codeOf(() => hashToken(toKey(vectors.term), token))).toBe('format_invalid');
  });
});

describe('cursors', () => {
  const vectors = load('cursors') as {
    term: TermVector;
    valid: { name: string; payload: object; binding: string; cursor: string }[];
    mustFail: { name: string; cursor: string; binding: string }[];
  };

  it.each(named(vectors.valid))('opens: %s', (_, { payload, binding, cursor }) => {
    expect(openCursor(toKey(vectors.term), cursor, binding)).toEqual(payload);
    expect(sealCursor(toKey(vectors.term), payload, binding)).toBe(cursor);
  });
  it.each(named(vectors.mustFail))('refuses: %s', (_, { cursor, binding }) => {
    expect(openCursor(toKey(vectors.term), cursor, binding)).toBeNull();
  });
  it('refuses any changed byte', () => {
    const { cursor = '', binding = '' } = vectors.valid[0] ?? {};
    for (const [, bytes] of flipped(Buffer.from(cursor, 'base64url'))) {
      expect(openCursor(toKey(vectors.term), Buffer.from(bytes).toString('base64url'), binding)).toBeNull();
    }
  });
});

describe('signatures', () => {
  const vectors = load('signing') as {
    kek: string;
    term: TermVector;
    publicKey: string;
    publicKeyText: string;
    valid: { name: string; message: string; signature: string }[];
    mustFail: { name: string; publicKey: string; message: string; signature: string }[];
    invalidText: { name: string; text: string }[];
  };
  const publicKey = hex(vectors.publicKey);

  it.each(named(vectors.valid))('signs and verifies: %s', async (_, { message, signature }) => {
    const { installationId, term } = vectors.term;
    const key = await openSigningKey(kekFromBytes(hex(vectors.kek)), installationId, toTerm(term));
    expect(toHex(key.publicKey)).toBe(vectors.publicKey);
    expect(toHex(key.sign(hex(message)))).toBe(signature);
    expect(verifySignature(publicKey, hex(message), hex(signature))).toBe(true);
    for (const [, changed] of flipped(hex(signature))) {
      expect(verifySignature(publicKey, hex(message), changed)).toBe(false);
    }
  });
  it.each(named(vectors.mustFail))('refuses: %s', (_, vector) => {
    expect(verifySignature(hex(vector.publicKey), hex(vector.message), hex(vector.signature))).toBe(false);
  });
  it('reads and writes the public key as text', () => {
    expect(encodePublicKeyText(publicKey)).toBe(vectors.publicKeyText);
    expect(toHex(decodePublicKeyText(vectors.publicKeyText))).toBe(vectors.publicKey);
  });
  it.each(named(vectors.invalidText))('refuses text: %s', (_, { text }) => {
    expect(codeOf(() => decodePublicKeyText(text))).toBe('format_invalid');
  });
});

describe('passwords', () => {
  const vectors = load('passwords') as {
    valid: { name: string; password: string; encoded: string; needsRehash: boolean }[];
    wrong: { name: string; password: string; encoded: string }[];
    malformed: { name: string; encoded: string }[];
  };

  it.each(named(vectors.valid))('accepts: %s', async (_, vector) => {
    expect(await verifyPassword(vector.password, vector.encoded)).toBe(true);
    expect(needsRehash(vector.encoded)).toBe(vector.needsRehash);
  });
  it.each(named(vectors.wrong))('refuses: %s', async (_, { password, encoded }) => {
    expect(await verifyPassword(password, encoded)).toBe(false);
  });
  it.each(named(vectors.malformed))('refuses the stored form: %s', async (_, { encoded }) => {
    expect(await codeOfAsync(() => verifyPassword('x', encoded))).toBe('format_invalid');
    expect(codeOf(() => needsRehash(encoded))).toBe('format_invalid');
  });
});

describe('recovery kits', () => {
  const vectors = load('recovery-kits') as {
    valid: { name: string; kit: string; recoveryKey: string; kek: string; kekId: string }[];
    mustFail: { name: string; code: string; kit: string; recoveryKey: string }[];
  };

  it.each(named(vectors.valid))('opens: %s', (_, { kit, recoveryKey, kek, kekId }) => {
    expect(toHex(openRecoveryKit(kit, recoveryKey))).toBe(kek);
    expect(recoveryKitKekId(kit)).toBe(kekId);
  });
  it.each(named(vectors.mustFail))('refuses: %s', (_, { kit, recoveryKey, code }) => {
    expect(codeOf(() => openRecoveryKit(kit, recoveryKey))).toBe(code);
  });
  it('refuses any changed byte of the wrapped key', () => {
    const { kit = '', recoveryKey = '' } = vectors.valid[0] ?? {};
    const text = /wrapped-kek: (\S+)/.exec(kit)?.[1] ?? '';
    for (const [, bytes] of flipped(Buffer.from(text, 'base64url'))) {
      const changed = kit.replace(text, Buffer.from(bytes).toString('base64url'));
      expect(codeOf(() => openRecoveryKit(changed, recoveryKey))).toBe('decryption_failed');
    }
  });
});
