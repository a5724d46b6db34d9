import { StrongroomError } from '@strongroom/contract/core';
import { type KeyTerm, MAX_TERM_USES } from '@strongroom/crypto';
import { type LeaseToken, requireLease } from '../store/leases.ts';
import type { CommandContext } from '../store/store.ts';
import { termsDestroyed } from './terms.ts';

/** How many sealings are reserved at once: a crash loses at most this many of a term's 2³¹. */
export const useReservation = 4096;

export interface NewInstallation {
  readonly id: string;
  readonly kekId: string;
  readonly kekCheck: Uint8Array;
  readonly terms: readonly KeyTerm[];
}

/** First start: the installation and its terms in one transaction, so that a crash leaves either nothing or all of it. */
async function createInstallation(context: CommandContext, args: NewInstallation): Promise<{ readonly id: string }> {
  const existing = await context.db.selectFrom('installation').select('id').executeTakeFirst();
  if (existing !== undefined) return { id: existing.id };
  await context.db
    .insertInto('installation')
    .values({
      id: args.id,
      epoch: 1,
      created_at: context.now,
      kek_id: args.kekId,
      kek_check: args.kekCheck,
      recovery_confirmed_at: null,
      authorisation_revision: 1,
    })
    .execute();
  for (const term of args.terms) await insertTerm(context, term);
  return { id: args.id };
}

/**
 * Adds terms, each retiring the active one of its scope and purpose. A term whose number is taken was added by another
 * replica: that one stays. The KEK must still be the installation's, else a replica with an old KEK would write terms
 * nobody can open.
 *
 * @throws StrongroomError `key_unavailable`: another KEK is in force, or the scope's keys were destroyed
 */
async function addTerms(context: CommandContext, args: { readonly terms: readonly KeyTerm[] }): Promise<void> {
  const { kek_id } = await context.db.selectFrom('installation').select('kek_id').executeTakeFirstOrThrow();
  for (const term of args.terms) {
    if (term.kekId !== kek_id) {
      throw new StrongroomError('key_unavailable', {
        detail: 'The key-encryption key was rotated by another process.',
        hint: 'Restart this server with the new key-encryption key.',
      });
    }
    const others = await context.db
      .selectFrom('key_terms')
      .select(['number', 'state'])
      .where('scope_id', '=', term.scopeId)
      .where('purpose', '=', term.purpose)
      .execute();
    // The scope was deleted since: a new key would seal values that nobody can ever purge.
    if (others.some(({ state }) => state === 'destroyed')) throw termsDestroyed();
    if (others.some(({ number }) => number === term.number)) continue;
    await context.db
      .updateTable('key_terms')
      .set({ state: 'retired' })
      .where('scope_id', '=', term.scopeId)
      .where('purpose', '=', term.purpose)
      .where('state', '=', 'active')
      .execute();
    await insertTerm(context, term);
  }
}

async function insertTerm(context: CommandContext, term: KeyTerm): Promise<void> {
  await context.db
    .insertInto('key_terms')
    .values({
      id: term.id,
      scope_id: term.scopeId,
      purpose: term.purpose,
      number: term.number,
      kek_id: term.kekId,
      wrapped: term.wrapped,
      uses: term.uses,
      state: term.state,
      created_at: context.now,
      destroyed_at: null,
    })
    .execute();
}

/**
 * Reserves sealings before they happen, so that the stored count is never below the real one, over all replicas together.
 * @returns whether the term has too few left, and needs a successor; then nothing was reserved
 * @throws StrongroomError `version_conflict` when the term was retired
 */
async function reserveUses(
  context: CommandContext,
  args: { readonly termId: string },
): Promise<{ readonly isExhausted: boolean }> {
  const row = await context.db
    .updateTable('key_terms')
    .set((column) => ({ uses: column('uses', '+', useReservation) }))
    .where('id', '=', args.termId)
    .where('state', '=', 'active')
    .where('uses', '<=', MAX_TERM_USES - useReservation)
    .returning('uses')
    .executeTakeFirst();
  if (row !== undefined) return { isExhausted: false };
  const term = await context.db
    .selectFrom('key_terms')
    .select('state')
    .where('id', '=', args.termId)
    .executeTakeFirst();
  if (term?.state === 'active') return { isExhausted: true };
  throw new StrongroomError('version_conflict', { detail: 'The key term was retired meanwhile.' });
}

/** All terms under another KEK, and the installation's proof of it, in one transaction. */
async function replaceKek(
  context: CommandContext,
  args: {
    readonly oldKekId: string;
    readonly newKekId: string;
    readonly kekCheck: Uint8Array;
    readonly terms: readonly KeyTerm[];
  },
): Promise<void> {
  // What the old key opens would be as good as the old key.
  context.erase();
  const installation = await context.db
    .updateTable('installation')
    .set({ kek_id: args.newKekId, kek_check: args.kekCheck, recovery_confirmed_at: null })
    .where('kek_id', '=', args.oldKekId)
    .executeTakeFirst();
  if (Number(installation.numUpdatedRows) !== 1)
    throw new StrongroomError('version_conflict', { detail: 'The key-encryption key was rotated meanwhile.' });
  for (const term of args.terms) {
    await context.db
      .updateTable('key_terms')
      .set({ wrapped: term.wrapped, kek_id: term.kekId })
      .where('id', '=', term.id)
      .where('kek_id', '=', args.oldKekId)
      .execute();
  }
  const left = await context.db
    .selectFrom('key_terms')
    .select('id')
    .where('kek_id', '=', args.oldKekId)
    .where('state', '!=', 'destroyed')
    .executeTakeFirst();
  // A replica added a term between the reading and this: nothing is changed, the caller reads again.
  if (left !== undefined) throw new StrongroomError('version_conflict', { detail: 'A key term was added meanwhile.' });
}

/** Destroys every term of a scope: what they sealed is gone, in every backup made from now on. */
async function destroyScope(context: CommandContext, args: { readonly scopeId: string }): Promise<void> {
  context.erase();
  await context.db
    .updateTable('key_terms')
    .set({ wrapped: null, state: 'destroyed', destroyed_at: context.now })
    .where('scope_id', '=', args.scopeId)
    .where('state', '!=', 'destroyed')
    .execute();
}

/** @throws StrongroomError `state_conflict` when the kit holds another KEK than the one in force */
async function confirmRecovery(context: CommandContext, args: { readonly kekId: string }): Promise<void> {
  const confirmed = await context.db
    .updateTable('installation')
    .set({ recovery_confirmed_at: context.now })
    .where('kek_id', '=', args.kekId)
    .executeTakeFirst();
  if (confirmed.numUpdatedRows === 1n) return;
  throw new StrongroomError('state_conflict', {
    detail: 'The kit holds another key-encryption key than the one in use.',
    hint: 'Make a new kit with strongroom recovery create.',
  });
}

export interface ResealedVersion {
  readonly secretId: string;
  readonly epoch: number;
  readonly version: number;
  readonly oldTermId: string;
  readonly termId: string;
  readonly envelope: Uint8Array;
}

/**
 * Replaces envelopes that still are under the old term; one changed meanwhile is left to the next pass.
 * @throws StrongroomError `version_conflict` when the lease went to another process
 */
async function resealVersions(
  context: CommandContext,
  args: { readonly versions: readonly ResealedVersion[]; readonly lease?: LeaseToken },
): Promise<{ readonly changed: number }> {
  if (args.lease !== undefined) await requireLease(context, args.lease);
  let changed = 0;
  for (const row of args.versions) {
    const result = await context.db
      .updateTable('secret_versions')
      .set({ envelope: row.envelope, term_id: row.termId })
      .where('secret_id', '=', row.secretId)
      .where('epoch', '=', row.epoch)
      .where('version', '=', row.version)
      .where('term_id', '=', row.oldTermId)
      .executeTakeFirst();
    changed += Number(result.numUpdatedRows);
  }
  return { changed };
}

export interface ResealedCredential {
  readonly sourceId: string;
  readonly name: string;
  readonly epoch: number;
  readonly version: number;
  readonly oldTermId: string;
  readonly termId: string;
  readonly envelope: Uint8Array;
}

/** The same for credentials of integrations. @throws StrongroomError `version_conflict` when the lease went to another process */
async function resealCredentials(
  context: CommandContext,
  args: { readonly credentials: readonly ResealedCredential[]; readonly lease?: LeaseToken },
): Promise<{ readonly changed: number }> {
  if (args.lease !== undefined) await requireLease(context, args.lease);
  let changed = 0;
  for (const row of args.credentials) {
    const result = await context.db
      .updateTable('integration_credentials')
      .set({ envelope: row.envelope, term_id: row.termId })
      .where('source_id', '=', row.sourceId)
      .where('name', '=', row.name)
      .where('epoch', '=', row.epoch)
      .where('version', '=', row.version)
      .where('term_id', '=', row.oldTermId)
      .executeTakeFirst();
    changed += Number(result.numUpdatedRows);
  }
  return { changed };
}

export const keyCommands = {
  'keys.createInstallation': createInstallation,
  'keys.addTerms': addTerms,
  'keys.reserveUses': reserveUses,
  'keys.replaceKek': replaceKek,
  'keys.destroyScope': destroyScope,
  'keys.confirmRecovery': confirmRecovery,
  'keys.resealVersions': resealVersions,
  'keys.resealCredentials': resealCredentials,
};
