import { StrongroomError } from '@strongroom/contract';
import { type Kek, type KeyTerm, openTerm } from '@strongroom/crypto';
import type { LoadedConfiguration } from '../config/load.ts';
import { kekSourceOf } from '../keys/kek-source.ts';
import { installationScopeId, orUnavailable } from '../keys/terms.ts';
import { readBeside, type Row } from '../store/read-beside.ts';

const installationSql = 'select id, kek_id from installation';
const termsSql = `select id, number, state, wrapped, kek_id from key_terms where scope_id = '${installationScopeId}' and purpose = 'audit-mac'`;

/**
 * Gives `work` the MAC keys of all chains, by term, and wipes them afterwards. Reads the keyring of the database and the key
 * file, writes nothing, and works while the server runs. A term that somebody put into the database does not open: it is
 * bound to the key file's key.
 *
 * @throws StrongroomError `key_unavailable` when there is no installation, or the key file is missing or another; the
 * database's error when it cannot be read
 */
export async function withMacKeys<Result>(
  configuration: LoadedConfiguration,
  work: (keys: ReadonlyMap<string, Uint8Array>) => Promise<Result>,
): Promise<Result> {
  // One snapshot: a rotation changes both in one transaction.
  const [installations = [], terms = []] = await readBeside(configuration, 'audit verify', [installationSql, termsSql]);
  const [installation] = installations;
  if (installation === undefined)
    throw new StrongroomError('key_unavailable', { detail: 'The database has no installation, so no keyring.' });
  // Read after the database: a rotation in between leaves the key it replaced beside the file.
  const kek = await kekSourceOf(configuration).find(String(installation['kek_id']));
  const keys = new Map<string, Uint8Array>();
  try {
    for (const row of terms) keys.set(String(row['id']), await openMacKey(kek, String(installation['id']), row));
    return await work(keys);
  } finally {
    kek.destroy();
    for (const key of keys.values()) key.fill(0);
  }
}

async function openMacKey(kek: Kek, installationId: string, row: Row): Promise<Uint8Array> {
  const term: KeyTerm = {
    id: String(row['id']),
    scopeId: installationScopeId,
    purpose: 'audit-mac',
    number: Number(row['number']),
    wrapped: row['wrapped'] instanceof Uint8Array ? Uint8Array.from(row['wrapped']) : new Uint8Array(0),
    kekId: String(row['kek_id']),
    uses: 0,
    state: row['state'] as KeyTerm['state'],
  };
  const opened = await orUnavailable(term, () => openTerm(kek, installationId, term));
  try {
    return opened.withKey('audit-mac', (key) => Uint8Array.from(key));
  } finally {
    opened.destroy();
  }
}
