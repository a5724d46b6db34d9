// A directory for tests: slapd of Debian, with a configuration directory and a port of its own. `node servers/ldap.ts` starts it by hand.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runUntilInterrupted } from './command.ts';
import { unpackDebianPackages } from './debian-packages.ts';
import { freePort } from './free-port.ts';
import { isMissing, type LiveServer, locate } from './live-server.ts';
import { ServerProcess } from './server-process.ts';

const variable = 'STRONGROOM_LIVE_LDAP';
const version = '2.5';
const packages = [
  'slapd',
  'libldap-2.5-0',
  'libltdl7',
  'libodbc2',
  'libwrap0',
  'libsasl2-2',
  'libsasl2-modules-db',
  'libargon2-1',
  'libperl5.36',
];

export const ldap: LiveServer = {
  name: 'ldap',
  async install(progress) {
    const unpacked = unpackDebianPackages({ name: 'slapd', version, packages, holds: 'usr/sbin/slapd' }, progress);
    if (isMissing(unpacked)) return unpacked;
    return { environment: { [variable]: unpacked.folder } };
  },
};

export interface LdapOptions {
  /** LDIF of entries below `dc=example,dc=org`, which is there. */
  readonly entries: string;
  /** PEM; with it the server takes StartTLS, and ldaps on a port of its own. */
  readonly tls?: { readonly key: string; readonly certificate: string };
  /** Entries that one search gives at most; paged or not. */
  readonly sizeLimit?: number;
}

export interface Ldap {
  readonly url: string;
  /** With TLS from the first byte; empty without a certificate. */
  readonly secureUrl: string;
  readonly pid: number;
  readonly adminDn: string;
  readonly adminPassword: string;
  /** Kills it. */
  stop(): Promise<void>;
}

const adminDn = 'cn=admin,dc=example,dc=org';
const adminPassword = 'admin of the directory';

/** Starts slapd on loopback; it ends with this process at the latest. */
export async function startLdap({ entries, tls, sizeLimit }: LdapOptions): Promise<Ldap> {
  const folder = await locate(ldap, variable);
  const place = mkdtempSync(join(tmpdir(), 'strongroom-slapd-'));
  const data = join(place, 'data');
  mkdirSync(data);
  const [key, certificate] = [join(place, 'key.pem'), join(place, 'certificate.pem')];
  if (tls !== undefined) {
    writeFileSync(key, tls.key, { mode: 0o600 });
    writeFileSync(certificate, tls.certificate);
  }
  const schemas = ['core', 'cosine', 'inetorgperson'].map((name) => `include ${folder}/etc/ldap/schema/${name}.schema`);
  const configuration = [
    ...schemas,
    `modulepath ${folder}/usr/lib/ldap`,
    'moduleload back_mdb',
    `pidfile ${place}/slapd.pid`,
    ...(tls === undefined ? [] : [`TLSCertificateFile ${certificate}`, `TLSCertificateKeyFile ${key}`]),
    ...(sizeLimit === undefined ? [] : [`sizelimit ${sizeLimit}`]),
    'database mdb',
    'maxsize 67108864',
    'suffix dc=example,dc=org',
    `rootdn ${adminDn}`,
    `rootpw "${adminPassword}"`,
    `directory ${data}`,
    '',
  ].join('\n');
  writeFileSync(join(place, 'slapd.conf'), configuration, { mode: 0o600 });
  const top = 'dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n';
  writeFileSync(join(place, 'entries.ldif'), `${top}\n${entries}`);
  const program = join(folder, 'usr/sbin/slapd');
  const libraries = ['usr/lib/x86_64-linux-gnu', 'usr/lib/aarch64-linux-gnu', 'lib/x86_64-linux-gnu', 'usr/lib/ldap'];
  const environment = { LD_LIBRARY_PATH: libraries.map((each) => join(folder, each)).join(':') };
  const added = spawnSync(program, ['-Tadd', '-f', join(place, 'slapd.conf'), '-l', join(place, 'entries.ldif')], {
    env: { PATH: process.env['PATH'], ...environment },
    encoding: 'utf8',
  });
  if (added.status !== 0) throw new Error(`slapd takes no entries: ${added.stderr}`);
  const [port, securePort] = [await freePort(), await freePort()];
  const url = `ldap://127.0.0.1:${port}`;
  const secureUrl = tls === undefined ? '' : `ldaps://127.0.0.1:${securePort}`;
  const listens = `${url}/ ${secureUrl === '' ? '' : `${secureUrl}/`}`.trim();
  const child = new ServerProcess(program, ['-f', join(place, 'slapd.conf'), '-h', listens, '-d', '1'], environment);
  try {
    await child.until(() => (/slapd starting/.test(child.output) ? true : undefined));
  } catch (error) {
    await child.stop();
    throw error;
  }
  return {
    url,
    secureUrl,
    pid: child.pid,
    adminDn,
    adminPassword,
    async stop() {
      await child.stop();
      rmSync(place, { recursive: true, force: true });
    },
  };
}

if (import.meta.main)
  await runUntilInterrupted(
    () => startLdap({ entries: '' }),
    ({ url }) => ({ LDAP_URL: url, LDAP_BIND_DN: adminDn, LDAP_BIND_PASSWORD: adminPassword }),
  );
