// Writers that note what was acknowledged, and the comparison with what is there afterwards.
import { randomBytes } from 'node:crypto';
import { type Client, createClient, StrongroomError } from '@strongroom/sdk';
import { openLaunch } from '@strongroom/sdk/workload';

/** The domain that a drill writes to; whoever makes the ledger creates it. */
export const domain = 'drill';

/** What a client may be told while the database is away; anything else ends the drill. */
export const outages: readonly string[] = ['storage_unavailable', 'audit_unavailable', 'version_conflict'];

/** What may legally be in the store for one key. */
interface Entry {
  acknowledged: string | undefined;
  /** Sent after the acknowledged one; the answer never came. */
  readonly unanswered: Set<string>;
  /** Writes that were acknowledged, and those that were sent. */
  readonly counts: { acknowledged: number; sent: number };
}

/** Where the server is, and by what one signs in. */
interface Place {
  readonly url: string;
  readonly token: string;
}

/** What a writer takes for the fault that the drill brings about: it stops, and the write counts as unanswered. */
const faults: ReadonlySet<string> = new Set(['server_unreachable', 'deadline_exceeded', 'shutting_down']);

export class Ledger {
  readonly #entries = new Map<string, Entry>();
  acknowledgements = 0;

  get secrets(): number {
    return this.#entries.size;
  }

  /**
   * Creates and rotates one secret until it is told to stop or meets a fault.
   * @param faultCodes what else counts as one
   */
  async write(place: Place, key: string, signal: AbortSignal, faultCodes: readonly string[] = []): Promise<void> {
    const client = createClient({ url: place.url, token: place.token, timeoutMilliseconds: 10_000 });
    while (!signal.aborted) {
      const value = randomBytes(18).toString('hex');
      const entry = this.#entries.get(key) ?? {
        acknowledged: undefined,
        unanswered: new Set(),
        counts: { acknowledged: 0, sent: 0 },
      };
      const isNew = !this.#entries.has(key);
      this.#entries.set(key, entry);
      entry.unanswered.add(value);
      entry.counts.sent += 1;
      try {
        if (isNew) await client.createDomainSecret({ params: { domain }, body: { key, value } });
        else await client.rotateDomainSecret({ params: { domain, key }, body: { value } });
        entry.acknowledged = value;
        entry.unanswered.clear();
        entry.counts.acknowledged += 1;
        this.acknowledgements += 1;
      } catch (error) {
        if (!(error instanceof StrongroomError)) throw error;
        // A create whose answer was lost may have happened, and may not: both are right.
        if (error.code === 'already_exists') continue;
        if (error.code === 'not_found' && entry.acknowledged === undefined) {
          this.#entries.delete(key);
          continue;
        }
        if (!faults.has(error.code) && !faultCodes.includes(error.code)) throw error;
        return;
      }
    }
  }

  /**
   * Holds the versions that each secret has had against the writes: each acknowledged one made one version, no write two.
   * @throws Error naming the first secret of which that isn't so
   */
  async requireWrittenOnce(admin: Client): Promise<void> {
    for (const [key, { acknowledged, counts }] of this.#entries) {
      if (acknowledged === undefined) continue;
      const { version } = await admin.showDomainSecret({ params: { domain, key } });
      const written = Number(version?.split('.')[1]);
      if (!(written >= counts.acknowledged && written <= counts.sent))
        throw new Error(
          `${key} has had ${version} versions by ${counts.acknowledged} acknowledged of ${counts.sent} writes`,
        );
    }
  }

  /**
   * Resolves every secret as a workload does and holds it against what was acknowledged.
   * @throws Error naming the first secret that lost a write
   */
  async compare(reader: Client): Promise<void> {
    const keys = [...this.#entries].filter(([, entry]) => entry.acknowledged !== undefined).map(([key]) => key);
    for (let at = 0; at < keys.length; at += 50) {
      const part = keys.slice(at, at + 50);
      const launch = await openLaunch(reader, {
        domain,
        references: part.map((key, n) => ({ name: `V${n}`, reference: `secret://domain/managed/${key}` })),
      });
      const delivered = await launch.resolve();
      for (const [n, key] of part.entries()) {
        const held = delivered.text(`V${n}`);
        const entry = this.#entries.get(key);
        if (held !== entry?.acknowledged && entry?.unanswered.has(held) !== true)
          throw new Error(`${key} lost an acknowledged write`);
      }
    }
  }
}

/** A workload that may have every secret of the domain. */
export async function addReader(admin: Client, url: string): Promise<Client> {
  return createClient({ url, token: await addReaderToken(admin) });
}

/** Of such a workload. */
export async function addReaderToken(admin: Client): Promise<string> {
  const account = await admin.createDomainServiceAccount({ params: { domain }, body: { name: 'reader' } });
  const issued = await admin.issueDomainToken({
    params: { domain, serviceAccount: account.id },
    body: { description: 'drill' },
  });
  const principal = `service-account:${domain}/reader`;
  await admin.addGrant({ params: { domain }, body: { principal, permission: 'RESOLVE' } });
  await admin.putMember({ params: { domain, principal }, body: { preset: 'MEMBER' } });
  return issued.token;
}
