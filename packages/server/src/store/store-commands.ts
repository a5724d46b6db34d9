import { epochCommands } from './epoch-commands.ts';
import { idempotencyCommands } from './idempotency.ts';
import { leaseCommands } from './leases.ts';

/** Writes of the store itself. */
export const storeCommands = { ...epochCommands, ...idempotencyCommands, ...leaseCommands };
