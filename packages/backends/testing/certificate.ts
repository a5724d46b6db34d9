import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Certificates are made by openssl. */
export const canServeTls = spawnSync('openssl', ['version']).status === 0;

/** PEM of a key and of the certificate that it signed itself. */
export interface Certificate {
  readonly key: string;
  readonly certificate: string;
}

/** @param kind what the key is; Azure takes RSA alone from applications */
export function makeCertificate(names: readonly string[], kind: 'ec' | 'rsa' = 'ec'): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-certificate-'));
  try {
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
    const algorithm = kind === 'ec' ? '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1' : '-newkey rsa:2048';
    const words = `req -x509 ${algorithm} -nodes -days 2 -subj /CN=localhost -keyout ${key} -out ${certificate}`;
    const subject =
      names.length === 0 ? [] : ['-addext', `subjectAltName=${names.map((each) => `DNS:${each}`).join(',')}`];
    execFileSync('openssl', [...words.split(' '), ...subject], { stdio: 'ignore' });
    return { key: readFileSync(key, 'utf8'), certificate: readFileSync(certificate, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
