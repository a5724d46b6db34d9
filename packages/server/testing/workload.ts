import { type KeyObject, generateKeyPairSync } from 'node:crypto';
import { compactDecrypt } from 'jose';
import type { VerifyReport } from '../src/audit/verify-report.ts';
import { verifyDataDirectory } from '../src/audit/verify-files.ts';
import { dataFiles } from '../src/store/data-directory.ts';
import type { Answer, TestServer } from './app.ts';

/** What a workload of `finance` does to get the secret `db-password`, and an operator to verify the log. */

/** Asks for a delivery. */
export function askForPassword(test: TestServer, token: string): Promise<Answer> {
  const references = [{ name: 'PGPASSWORD', reference: 'secret://domain/managed/db-password' }];
  return test.request('POST', `/v1/domains/finance/launches`, { token, body: { references } });
}

/** Asks for a delivery and receives it, sealed to a key made for it; the two may be done on different servers. */
export async function receivePassword(
  asked: TestServer,
  token: string,
  receiver: TestServer = asked,
): Promise<{ readonly value: string; readonly launch: string }> {
  const { id } = (await askForPassword(asked, token)).body as { id: string };
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const { kty, crv, x } = publicKey.export({ format: 'jwk' });
  const { jwe } = await receiver.call<{ jwe: string }>('POST', `/v1/launches/${id}/resolve`, {
    token,
    body: { publicKey: { kty, crv, x } },
  });
  return { value: await opened(jwe, privateKey), launch: id };
}

/** A delivery of one reference of `finance` to a workload. @returns the launch, whose values nobody opens */
export async function launchWith(test: TestServer, token: string, reference: string): Promise<string> {
  const { id } = await test.call<{ id: string }>('POST', '/v1/domains/finance/launches', {
    token,
    body: { references: [{ name: 'API', reference }] },
  });
  const { kty, crv, x } = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });
  await test.call('POST', `/v1/launches/${id}/resolve`, { token, body: { publicKey: { kty, crv, x } } });
  return id;
}

async function opened(jwe: string, key: KeyObject): Promise<string> {
  const { plaintext } = await compactDecrypt(jwe, key);
  const { values } = JSON.parse(Buffer.from(plaintext).toString('utf8')) as { values: { valueBase64: string }[] };
  return Buffer.from(values[0]?.valueBase64 ?? '', 'base64').toString('utf8');
}

/** @param others servers over the same database, whose anchors are given as kept elsewhere */
export function verifyLog(test: TestServer, others: readonly TestServer[] = []): Promise<VerifyReport> {
  const databaseUrl = test.settings['STRONGROOM_DATABASE_URL'] ?? '';
  return verifyDataDirectory(test.dataDir, {
    databaseUrl,
    outsideAnchors: others.map(({ dataDir }) => dataFiles(dataDir).anchor),
  });
}
