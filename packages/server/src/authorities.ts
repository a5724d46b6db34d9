import { X509Certificate } from 'node:crypto';

/**
 * Whether a text is made of certificates in PEM, each of which can be read. What can't be read would be left out by TLS, so that
 * nobody is trusted, or not all who should be.
 */
export function isAuthority(pem: string): boolean {
  const blocks = pem
    .trim()
    .split(/(?<=-----END CERTIFICATE-----)\s*/)
    .filter((block) => block !== '');
  return blocks.length > 0 && blocks.every(isCertificate);
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).fingerprint256 !== '';
  } catch {
    return false;
  }
}
