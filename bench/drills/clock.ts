// The wall clock of a server set by ten minutes, forth and back, under load: nothing ends early, nothing hangs, tokens expire when
// the clock says so, the audit log verifies. Then one of two servers over PostgreSQL whose clock is wrong. Needs libfaketime,
// which it unpacks as `npm run test:live` does.
//
//     node bench/drills/clock.ts
import { postgresUnavailable } from '../../packages/server/testing/postgres.ts';
import { clockOfOne, clockOfOneOfTwo } from './clock-drill.ts';

console.log(`one server: ${await clockOfOne()}`);
const reason = postgresUnavailable();
console.log(reason === undefined ? `one of two: ${await clockOfOneOfTwo()}` : `one of two: no PostgreSQL: ${reason}`);
