import type { Commands } from './commands.ts';

/**
 * What is still written when the disk is nearly full. Each adds little, and stopping it would stop what the rest was kept
 * for: a value is released only with its record, and an administrator has to get in and make room.
 */
const names: readonly (keyof Commands)[] = [
  // Records alone
  'access.record',
  'store.record',
  'audit.countDenials',
  'audit.foldDenials',
  'audit.storeCheckpoint',
  // Launches and runs of what is configured
  'launches.create',
  'launches.deliver',
  'launches.refuse',
  'launches.heartbeat',
  'launches.end',
  'launches.record',
  'runs.create',
  'runs.release',
  'runs.started',
  'runs.end',
  'runs.takeOver',
  'runs.renewHolder',
  'runs.jobUser',
  'runs.logDeleted',
  // A scope whose first fingerprint is a launch's
  'keys.addTerms',
  // Getting in, and being put out
  'identities.beginAttempt',
  'identities.signInWithPassword',
  'identities.signInWithDirectory',
  'identities.signInWithLink',
  'identities.denySignIn',
  'identities.createOperatorLink',
  'identities.endSession',
  'identities.revokeToken',
  'identities.revokeUserSessions',
  'identities.removeGroupMember',
  'access.deleteMember',
  'access.deleteGrant',
  'access.deleteBundleGrant',
  // The end of what a store outside the database has already
  'managed.commit',
  'managed.abandon',
  'managed.sweep',
  // Making room
  'identities.sweep',
  'idempotency.sweep',
  'secret.purge',
  'launches.remove',
  // The server's own
  'lease.acquire',
  'lease.renew',
  'lease.release',
  'operation.probe',
];

export const essentialCommands: ReadonlySet<string> = new Set(names);
