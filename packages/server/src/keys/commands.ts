import { StrongroomError } from '@strongroom/contract/core';
import type { KeyTerm } from '@strongroom/crypto';
import type { CommandContext } from '../store/store.ts';

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
    const taken = await context.db
      .selectFrom('key_terms')
      .select('id')
      .where('scope_id', '=', term.scopeId)
      .where('purpose', '=', term.purpose)
      .where('number', '=', term.number)
      .executeTakeFirst();
    if (taken !== undefined) continue;
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

/** Reserves sealings before they happen, so that the stored count is never below the real one. */
async function reserveUses(
  context: CommandContext,
  args: { readonly termId: string },
): Promise<{ readonly uses: number }> {
  const row = await context.db
    .updateTable('key_terms')
    .set((column) => ({ uses: column('uses', '+', useReservation) }))
    .where('id', '=', args.termId)
    .where('state', '=', 'active')
    .returning('uses')
    .executeTakeFirst();
  if (row === undefined)
    throw new StrongroomError('version_conflict', { detail: 'The key term was retired meanwhile.' });
  return { uses: row.uses };
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
  await context.db
    .updateTable('key_terms')
    .set({ wrapped: null, state: 'destroyed', destroyed_at: context.now })
    .where('scope_id', '=', args.scopeId)
    .where('state', '!=', 'destroyed')
    .execute();
}

async function confirmRecovery(context: CommandContext): Promise<void> {
  await context.db.updateTable('installation').set({ recovery_confirmed_at: context.now }).execute();
}

export interface ResealedVersion {
  readonly secretId: string;
  readonly epoch: number;
  readonly version: number;
  readonly oldTermId: string;
  readonly termId: string;
  readonly envelope: Uint8Array;
}

/** Replaces envelopes that still are under the old term; one changed meanwhile is left to the next pass. */
async function resealVersions(
  context: CommandContext,
  args: { readonly versions: readonly ResealedVersion[] },
): Promise<{ readonly changed: number }> {
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

export const keyCommands = {
  'keys.createInstallation': createInstallation,
  'keys.addTerms': addTerms,
  'keys.reserveUses': reserveUses,
  'keys.replaceKek': replaceKek,
  'keys.destroyScope': destroyScope,
  'keys.confirmRecovery': confirmRecovery,
  'keys.resealVersions': resealVersions,
};
