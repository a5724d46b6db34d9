import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { openCursor, sealCursor } from './cursor.ts';
import { kekFromBytes } from './kek.ts';
import { createTerm, destroyTerm, KEY_PURPOSES, type KeyPurpose, MAX_TERM_USES, openTerm, TermKey } from './keyring.ts';
import { auditMac, fingerprint, idempotencyMac, timingSafeEqualBytes } from './mac.ts';
import { SecretValue } from './secret-value.ts';
import { createSigningKey, openSigningKey, SigningKey } from './signing.ts';
import { createToken, hashToken } from './token.ts';
import { openValue, sealValue, type ValueContext } from './value-envelope.ts';

const KEK_TEXT = 'canary-kek-51b09a77-32-bytes-xyz';
const kek = kekFromBytes(Buffer.from(KEK_TEXT));
const options = (purpose: KeyPurpose) => ({ installationId: 'inst', scopeId: 'scope', purpose, number: 1 });
const CONTEXT: ValueContext = {
  installationId: 'inst',
  scopeId: 'scope',
  secretId: 'secret',
  version: { epoch: 1, n: 1 },
};
const VALUE = SecretValue.fromText('canary-value-20a1');
const coded = (code: string) => expect.objectContaining({ code });

it('makes an active, unused term bound to its names', async () => {
  const { term, key } = await createTerm(kek, options('value'));
  expect(term).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{32}$/),
    scopeId: 'scope',
    purpose: 'value',
    number: 1,
    wrapped: expect.any(Uint8Array),
    kekId: kek.id,
    uses: 0,
    state: 'active',
  });
  const opened = await openTerm(kek, 'inst', term);
  expect(openValue(opened, CONTEXT, sealValue(key, CONTEXT, VALUE)).equals(VALUE)).toBe(true);
});

it('makes another key each time', async () => {
  const [one, other] = await Promise.all([createTerm(kek, options('value')), createTerm(kek, options('value'))]);
  expect(one.term.id).not.toBe(other.term.id);
  const raw = (key: TermKey) => key.withKey('value', (bytes) => Buffer.from(bytes).toString('hex'));
  expect(raw(one.key)).not.toBe(raw(other.key));
});

it.each(['\uD800', 'a\uDC00'])('refuses the ill-formed id %j', async (scopeId) => {
  await expect(createTerm(kek, { ...options('value'), scopeId })).rejects.toThrow(TypeError);
});

it.each([-1, 1.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY])('refuses number %d', async (number) => {
  await expect(createTerm(kek, { ...options('value'), number })).rejects.toThrow(TypeError);
});

it('uses a key for its own purpose only', async () => {
  const uses: [KeyPurpose, (key: TermKey) => unknown][] = [
    ['value', (key) => sealValue(key, CONTEXT, VALUE)],
    ['fingerprint', (key) => fingerprint(key, VALUE)],
    ['token', (key) => hashToken(key, createToken())],
    ['audit-mac', (key) => auditMac(key, Uint8Array.of(1))],
    ['cursor', (key) => openCursor(key, sealCursor(key, {}, ''), '')],
    ['idempotency', (key) => idempotencyMac(key, Uint8Array.of(1))],
  ];
  for (const purpose of KEY_PURPOSES) {
    const { key } = await createTerm(kek, options(purpose));
    for (const [, use] of uses.filter(([needed]) => needed === purpose)) expect(use(key)).not.toBeNull();
    for (const [, use] of uses.filter(([needed]) => needed !== purpose)) expect(() => use(key)).toThrow(TypeError);
  }
  const { term } = await createTerm(kek, options('value'));
  await expect(openSigningKey(kek, 'inst', term)).rejects.toThrow(TypeError);
});

it('counts uses and stops at the limit', async () => {
  const { term } = await createTerm(kek, options('value'));
  const key = await openTerm(kek, 'inst', { ...term, uses: MAX_TERM_USES - 2 });
  const envelope = sealValue(key, CONTEXT, VALUE);
  sealValue(key, CONTEXT, VALUE);
  expect(key.uses).toBe(MAX_TERM_USES);
  expect(() => sealValue(key, CONTEXT, VALUE)).toThrow(coded('term_exhausted'));
  expect(openValue(key, CONTEXT, envelope).equals(VALUE)).toBe(true);
});

it('opens and does not seal under a retired term', async () => {
  const { term, key } = await createTerm(kek, options('value'));
  const envelope = sealValue(key, CONTEXT, VALUE);
  const retired = await openTerm(kek, 'inst', { ...term, state: 'retired' });
  expect(openValue(retired, CONTEXT, envelope).equals(VALUE)).toBe(true);
  expect(() => sealValue(retired, CONTEXT, VALUE)).toThrow(TypeError);
});

it('refuses to seal for another scope or installation, or in ill-formed places', async () => {
  const { key } = await createTerm(kek, options('value'));
  for (const context of [
    { ...CONTEXT, scopeId: 'other' },
    { ...CONTEXT, installationId: 'other' },
    { ...CONTEXT, secretId: '\uD800' },
    { ...CONTEXT, version: { epoch: 1, n: -1 } },
    { ...CONTEXT, version: { epoch: 1.5, n: 1 } },
  ]) {
    expect(() => sealValue(key, context, VALUE)).toThrow(TypeError);
  }
  expect(key.uses).toBe(0);
});

it('opens nothing once its wrapped key is destroyed', async () => {
  const { term } = await createTerm(kek, options('value'));
  const destroyed = destroyTerm(term);
  expect(destroyed).toEqual({ ...term, wrapped: new Uint8Array(0), state: 'destroyed' });
  await expect(openTerm(kek, 'inst', destroyed)).rejects.toEqual(coded('term_destroyed'));
});

it('zeroes keys in memory on destroy', async () => {
  const { key } = await createTerm(kek, options('value'));
  const envelope = sealValue(key, CONTEXT, VALUE);
  const raw = key.withKey('value', (bytes) => bytes);
  expect(raw.some((byte) => byte !== 0)).toBe(true);
  key.destroy();
  expect(raw.every((byte) => byte === 0)).toBe(true);
  expect(() => openValue(key, CONTEXT, envelope)).toThrow(coded('term_destroyed'));

  const ownKek = kekFromBytes(Buffer.from(KEK_TEXT));
  ownKek.destroy();
  await expect(createTerm(ownKek, options('value'))).rejects.toEqual(coded('kek_invalid'));
  expect(() => ownKek.revealKekBytes()).toThrow(coded('kek_invalid'));

  const signingKey = createSigningKey();
  signingKey.destroy();
  expect(() => signingKey.sign(Uint8Array.of(1))).toThrow(coded('term_destroyed'));
  await expect(signingKey.wrap(kek, options('audit-sign'))).rejects.toEqual(coded('term_destroyed'));
});

it.each([0, 31, 33])('refuses a signing key of %d bytes', (length) => {
  expect(() => new SigningKey(new Uint8Array(length))).toThrow(TypeError);
});

it('prints no key material', async () => {
  const key = new TermKey('inst', (await createTerm(kek, options('value'))).term, Buffer.from(KEK_TEXT));
  const signingKey = createSigningKey();
  const termOfSigningKey = await signingKey.wrap(kek, options('audit-sign'));
  const seed = (await openTerm(kek, 'inst', termOfSigningKey)).withKey('audit-sign', (bytes) => Buffer.from(bytes));
  const things = { kek, key, signingKey };
  const printed = [
    JSON.stringify(things),
    inspect(things, { depth: null, showHidden: true }),
    inspect(things, { depth: null, showHidden: true, customInspect: false }),
    JSON.stringify([kek, key, signingKey].map((thing) => Object.entries(thing))),
  ].join('\n');
  for (const secret of [Buffer.from(KEK_TEXT), seed]) {
    for (const form of [secret.toString('latin1'), secret.toString('hex'), secret.toString('base64url').slice(0, 42)]) {
      expect(printed).not.toContain(form);
    }
    expect(printed.replaceAll(/\s/g, '')).not.toContain(secret.subarray(0, 8).join(','));
    expect(printed).not.toContain(inspect(secret).slice(8, 40));
  }
});

it('compares bytes of unequal length without throwing', () => {
  expect(timingSafeEqualBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
  expect(timingSafeEqualBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
  expect(timingSafeEqualBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0))).toBe(false);
  expect(timingSafeEqualBytes(new Uint8Array(0), new Uint8Array(0))).toBe(true);
});
