import { expect, it } from 'vitest';
import { crc32c } from './crc32c.ts';

/** RFC 3720 appendix B.4, and the check value of the catalogue of CRCs. */
it.each([
  ['nothing', new Uint8Array(), 0],
  ['32 zeroes', new Uint8Array(32), 0x8a91_36aa],
  ['32 ones', new Uint8Array(32).fill(0xff), 0x62a8_ab43],
  ['0 to 31', Uint8Array.from({ length: 32 }, (_, index) => index), 0x46dd_794e],
  ['31 to 0', Uint8Array.from({ length: 32 }, (_, index) => 31 - index), 0x113f_db5c],
  ['123456789', Buffer.from('123456789'), 0xe306_9283],
])('is the one of RFC 3720: %s', (_, bytes, expected) => {
  expect(crc32c(bytes)).toBe(expected);
});
