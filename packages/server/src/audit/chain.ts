import { StrongroomError } from '@strongroom/contract/core';
import { SigningKey } from '@strongroom/crypto';
import type { Kysely } from 'kysely';
import type { AuditKeyMaterial } from '../keys/keyring.ts';
import { newId } from '../store/ids.ts';
import type { Tables } from '../store/tables.ts';
import { type AnchorSinks, AnchorWriter } from './anchor.ts';
import type { AuditEvent } from './event.ts';
import {
  type ChainHead,
  createRecordHash,
  completeRecord,
  encodeEvent,
  type EncodedEvent,
  type Genesis,
  noPreviousHash,
  createRecordMac,
  sha256Hex,
  signingKeyId,
} from './record.ts';
import { latestCheckpoint, movedHeads } from './statements.ts';

export type AuditRow = Tables['audit_records'];

/** Where a chain stands; made by `position`, taken by `reset`. */
interface ChainPosition {
  readonly sequence: number;
  readonly hash: Uint8Array;
}

/**
 * The chain of one writer. It only hashes, signs and appends to the anchor; the writer stores the rows in the same
 * transaction as the change and keeps `audit_chains` in step.
 *
 * When the outcome of a COMMIT is unknown the chain is unusable: the writer opens a new one, whose first record links to
 * what the database then holds.
 */
export interface AuditChain {
  readonly chainId: string;
  /** Take it before a transaction, to `reset` when that is rolled back. */
  position(): ChainPosition;
  reset(position: ChainPosition): void;
  /** The next record, ready to insert. Touches nothing outside. @param now milliseconds since 1970 */
  append(event: AuditEvent, now: number): AuditRow;
  /** {@link append} of an event that was encoded where there was more time. */
  appendEncoded(event: EncodedEvent, now: number): AuditRow;
  /**
   * After COMMIT and before any answer: the head goes into the anchor, one line per batch, none when nothing was appended.
   * @throws StrongroomError `audit_unavailable` when a sink did not take the line; nothing of the batch may be released.
   * The next batch makes up for it.
   */
  committed(): void;
  /** Lets go of the anchor's file. Nothing else may be called afterwards. */
  close(): void;
}

/** Plain data: may cross into a worker. */
export interface AuditChainSettings {
  readonly keys: AuditKeyMaterial;
  readonly epoch: number;
  readonly anchor: AnchorSinks;
}

/** What the database held when the chain was opened: {@link readChainOpening}. */
export interface ChainOpening {
  readonly checkpoint: { readonly id: string; readonly digest: string } | null;
  readonly heads: readonly ChainHead[];
}

export interface AuditChainOptions extends AuditChainSettings {
  readonly opening: ChainOpening;
}

/**
 * A new chain. Its first record, whatever it is about, carries the genesis; writers append `server.start` first.
 *
 * @throws the file system's error when the anchor cannot be opened
 */
export function createAuditChain(options: AuditChainOptions): AuditChain {
  const { keys, epoch, opening } = options;
  const chainId = newId('chain');
  const hashRecord = createRecordHash(chainId);
  const macRecord = createRecordMac(keys.installationId, keys.macTermId, keys.macKey);
  const signingKey = new SigningKey(Uint8Array.from(keys.signingSeed));
  const anchor = new AnchorWriter(options.anchor, signingKey, epoch);
  const genesis: Genesis = {
    installation: keys.installationId,
    epoch,
    macTerm: keys.macTermId,
    signingKey: signingKeyId(signingKey.publicKey),
    checkpoint: opening.checkpoint,
    heads: opening.heads,
    anchor: anchor.opening,
  };
  let head: ChainPosition = { sequence: 0, hash: noPreviousHash };
  let headAt = 0;
  let anchored = 0;

  const appendEncoded = (event: EncodedEvent, now: number): AuditRow => {
    const sequence = head.sequence + 1;
    const record = completeRecord(event, now, sequence === 1 ? genesis : undefined);
    const hash = hashRecord(sequence, head.hash, record);
    head = { sequence, hash };
    headAt = now;
    const [, principal, action, outcome, scopeId] = event;
    return {
      chain_id: chainId,
      sequence,
      at: now,
      record,
      hash,
      mac: macRecord(hash),
      scope_id: scopeId,
      principal_id: principal,
      action,
      outcome,
    };
  };

  return {
    chainId,
    position: () => head,
    reset(position) {
      head = position;
    },
    append: (event, now) => appendEncoded(encodeEvent(event), now),
    appendEncoded,
    committed() {
      if (head.sequence === anchored) return;
      try {
        anchor.append({
          chain: chainId,
          sequence: head.sequence,
          hash: Buffer.from(head.hash).toString('hex'),
          at: headAt,
          epoch,
        });
      } catch (cause) {
        throw new StrongroomError('audit_unavailable', { detail: 'The audit anchor could not be written.', cause });
      }
      anchored = head.sequence;
    },
    close: () => anchor.close(),
  };
}

/** What a new chain links to. Read by the writer before it opens its chain. */
export async function readChainOpening(db: Kysely<Tables>): Promise<ChainOpening> {
  const checkpoint = await latestCheckpoint(db);
  const heads = await movedHeads(db);
  return {
    checkpoint: checkpoint === undefined ? null : { id: checkpoint.id, digest: sha256Hex(checkpoint.document) },
    heads: heads.map(({ chain, sequence, hash }) => ({ chain, sequence, hash })),
  };
}
