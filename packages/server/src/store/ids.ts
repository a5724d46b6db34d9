import { randomFillSync } from 'node:crypto';

/** Prefixes of ids, one per kind of thing. */
export const idPrefixes = {
  installation: 'ins',
  scope: 'dom',
  user: 'usr',
  group: 'grp',
  serviceAccount: 'sa',
  token: 'tok',
  session: 'ses',
  link: 'lnk',
  grant: 'gnt',
  bundle: 'bnd',
  asset: 'ast',
  source: 'src',
  profile: 'prf',
  cluster: 'clu',
  workload: 'wkl',
  secret: 'sec',
  intent: 'wri',
  notice: 'ntc',
  configuration: 'cfg',
  launch: 'lch',
  chain: 'chn',
  checkpoint: 'chk',
  term: 'trm',
} as const;

const alphabet = '0123456789abcdefghijklmnopqrstuv';

/**
 * A new id: the prefix and a UUIDv7 (RFC 9562 §5.7) in base32hex, so that ids of one kind sort by creation. 74 random bits
 * a millisecond; never reused.
 */
export function newId(kind: keyof typeof idPrefixes, now = Date.now()): string {
  const bytes = new Uint8Array(16);
  randomFillSync(bytes);
  bytes[0] = now / 2 ** 40;
  bytes[1] = now / 2 ** 32;
  bytes[2] = now / 2 ** 24;
  bytes[3] = now / 2 ** 16;
  bytes[4] = now / 2 ** 8;
  bytes[5] = now;
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  let text = '';
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet[(buffer >> bits) & 31];
    }
    buffer &= (1 << bits) - 1;
  }
  text += alphabet[(buffer << (5 - bits)) & 31];
  return `${idPrefixes[kind]}_${text}`;
}

/** Ids of the two scopes that always exist. */
export const adminScopeId = 'dom_admin';
export const globalScopeId = 'dom_global';
