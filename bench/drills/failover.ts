// PostgreSQL's primary killed under load, its standby promoted, and the old primary back and still a primary: no acknowledged
// write lost, none made twice, no launch without its audit record, and nothing acknowledged by the old one.
//
//     node bench/drills/failover.ts [failovers=5]
import { postgresUnavailable } from '../../packages/server/testing/postgres.ts';
import { failover } from './failover-drill.ts';

const failovers = Number(process.argv[2] ?? 5);
const reason = postgresUnavailable();
if (reason !== undefined) throw new Error(`No PostgreSQL: ${reason}`);
for (let round = 1; round <= failovers; round += 1) console.log(`failover ${round}: ${await failover()}`);
