// Workloads that launch one secret over and over, and the comparison with the audit log.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, StrongroomError } from '@strongroom/sdk';
import { openLaunch } from '@strongroom/sdk/workload';
import { asAdministrator } from './database.ts';
import { domain, outages } from './ledger.ts';

export class Launches {
  /** Launches whose values a workload has got. */
  readonly delivered = new Set<string>();

  /** Makes the secret that is launched. */
  async prepare(admin: Client): Promise<void> {
    await admin.createDomainSecret({
      params: { domain },
      body: { key: 'launched', value: 'a value that is launched' },
    });
  }

  /** Launches until it is told to stop. @throws what is no outage */
  async run(reader: Client, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const refused = await this.once(reader);
      if (refused !== undefined) await sleep(20);
    }
  }

  /** @returns the outage that refused it, or undefined when the value was delivered. @throws what is no outage */
  async once(reader: Client): Promise<string | undefined> {
    try {
      const opened = await openLaunch(reader, {
        domain,
        references: [{ name: 'VALUE', reference: 'secret://domain/managed/launched' }],
      });
      await opened.resolve();
      this.delivered.add(opened.id);
      return undefined;
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      if (![...outages, 'server_unreachable', 'deadline_exceeded'].includes(error.code)) throw error;
      return error.code;
    }
  }

  /** Whatever was delivered is on record. */
  async requireRecords(url: string): Promise<void> {
    const rows = await asAdministrator(url, async (client) => {
      const found = await client.query<{ record: Buffer }>(
        `select record from audit_records where action = 'launch.resolve' and outcome = 'allowed'`,
      );
      return found.rows;
    });
    this.requireIn(rows.map(({ record }) => record));
  }

  /** @param records of deliveries, as the audit log has them */
  requireIn(records: readonly Uint8Array[]): void {
    const recorded = new Set(
      records.map((record) => (JSON.parse(Buffer.from(record).toString('utf8')) as { launch?: string }).launch),
    );
    const missing = [...this.delivered].filter((id) => !recorded.has(id));
    if (missing.length > 0) throw new Error(`${missing.length} launches were delivered without a record`);
  }
}
