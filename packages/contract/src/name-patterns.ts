/**
 * Names people give to things. All are ASCII, so that folding and comparing are the same everywhere (no `ſ`, no Kelvin
 * sign, no zero-width characters). Patterns are anchored and linear.
 */

/** A secret's key: 1–253 characters. Visible, unique in its scope after {@link foldKey}. */
export const secretKeyPattern = '^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$';
/** Domains, configurations, groups: a DNS label of at most 53 characters, immutable (RFC 1123 §2.1). */
export const labelPattern = '^[a-z0-9](?:[a-z0-9-]{0,51}[a-z0-9])?$';
/** An integration's name: 1–53 letters, digits, `_ - .`; immutable; `managed` is reserved. */
export const integrationNamePattern = '^[A-Za-z0-9][A-Za-z0-9_.-]{0,52}$';
/** A folder: up to 8 path segments of secret-key characters; empty is the root. */
export const folderPattern = '^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,62}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,62}){0,7})?$';
/** A tag: 1–63 characters, `key` or `key:value`. */
export const tagPattern = '^[A-Za-z0-9][A-Za-z0-9._/=:-]{0,62}$';
/** An id of ours: a prefix and a UUIDv7 in base32hex order, never reused. */
export const idPattern = '^[a-z]{2,4}_[0-9a-v]{26}$';

export const reservedSourceName = 'managed';

/** Case folding for uniqueness, of ASCII alone: nothing beyond it ever becomes a key's like (no Kelvin sign). */
export function foldKey(key: string): string {
  return /[\u0080-\uffff]/.test(key) ? key.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()) : key.toLowerCase();
}

/**
 * In place of {@link foldKey} for an entry that another program left under a name that no secret of ours could get: an odd
 * one, or one that differs from another's in case alone. It is exact, and never the fold of a key.
 */
export function exactKey(key: string): string {
  return `!${key}`;
}

/** Whether a secret is held under {@link exactKey}. */
export function isExactKey(foldedKey: string): boolean {
  return foldedKey.startsWith('!');
}
