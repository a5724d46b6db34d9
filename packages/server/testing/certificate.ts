import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

/** PEM of a key and of the certificate that it signed itself. */
export interface SelfSigned {
  readonly key: string;
  readonly certificate: string;
}

const ecdsaWithSha256 = sequence(objectId([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));
const dayMilliseconds = 24 * 60 * 60_000;

/**
 * A certificate for 127.0.0.1 and `localhost`, good for a day: X.509 in DER (RFC 5280 §4.1), so that tests need no other
 * program.
 * @param host the one name it is for, in place of those
 */
export function loopbackCertificate(host?: string): SelfSigned {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = sequence(
    element(0x31, sequence(objectId([0x55, 0x04, 0x03]), element(0x0c, Buffer.from('loopback of tests')))),
  );
  const alternatives = sequence(
    ...(host === undefined ? [element(0x87, Buffer.from([127, 0, 0, 1]))] : []),
    element(0x82, Buffer.from(host ?? 'localhost')),
  );
  const extensions = sequence(
    extension([0x55, 0x1d, 0x11], alternatives),
    // It is its own authority.
    extension([0x55, 0x1d, 0x13], sequence(element(0x01, Buffer.from([0xff])))),
  );
  const now = Date.now();
  const toBeSigned = sequence(
    element(0xa0, element(0x02, Buffer.from([2]))),
    element(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    name,
    sequence(time(now - dayMilliseconds), time(now + dayMilliseconds)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    element(0xa3, extensions),
  );
  const signature = sign('sha256', toBeSigned, privateKey);
  const der = sequence(toBeSigned, ecdsaWithSha256, element(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const lines = der.toString('base64').replaceAll(/.{64}/g, '$&\n');
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  };
}

function extension(id: readonly number[], content: Buffer): Buffer {
  return sequence(objectId(id), element(0x04, content));
}

function objectId(bytes: readonly number[]): Buffer {
  return element(0x06, Buffer.from(bytes));
}

/** UTCTime. */
function time(at: number): Buffer {
  const digits = new Date(at).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return element(0x17, Buffer.from(digits.slice(2)));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return element(0x30, Buffer.concat(parts));
}

function element(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}
