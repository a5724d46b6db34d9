import { randomBytes } from 'node:crypto';

const ofThisProcess = randomBytes(8).toString('hex');
let count = 0;

/** An id of a request: unique over all processes, since each begins with 64 random bits of its own. Not a secret. */
export function newRequestId(): string {
  count += 1;
  return `req_${ofThisProcess}${count.toString(16).padStart(6, '0')}`;
}
