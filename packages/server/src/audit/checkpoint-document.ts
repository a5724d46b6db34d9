import { type SigningKey, verifySignature } from '@strongroom/crypto';
import { type AnchorPosition, type ChainHead, sha256Hex, signingKeyId } from './record.ts';

const type = 'strongroom.audit.checkpoint';

/** What a checkpoint says; signed as the exact bytes of its JSON. */
export interface CheckpointDocument {
  readonly id: string;
  readonly installation: string;
  readonly epoch: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The checkpoint before; together they cover the heads of all chains. */
  readonly previous: { readonly id: string; readonly digest: string } | null;
  /** Heads that moved since the checkpoint before. */
  readonly heads: readonly ChainHead[];
  /** The last line of this process's anchor file; null without one. */
  readonly anchor: AnchorPosition | null;
}

/** As stored. */
export interface SignedCheckpoint {
  readonly id: string;
  readonly at: number;
  readonly document: Uint8Array;
  /** Ed25519 over `document`. */
  readonly signature: Uint8Array;
  readonly keyId: string;
}

export function signCheckpoint(checkpoint: CheckpointDocument, signing: SigningKey): SignedCheckpoint {
  const keyId = signingKeyId(signing.publicKey);
  const document = Buffer.from(
    JSON.stringify({
      type,
      v: 1,
      id: checkpoint.id,
      installation: checkpoint.installation,
      epoch: checkpoint.epoch,
      at: new Date(checkpoint.at).toISOString(),
      previous: checkpoint.previous,
      heads: checkpoint.heads.map(({ chain, sequence, hash }) => ({ chain, sequence, hash })),
      anchor: checkpoint.anchor,
      key: keyId,
    }),
  );
  return { id: checkpoint.id, at: checkpoint.at, document, signature: signing.sign(document), keyId };
}

export function checkpointDigest(document: Uint8Array): string {
  return sha256Hex(document);
}

/**
 * The document of a checkpoint that one of the keys signed and whose columns say what the document says; else what is
 * wrong with it.
 */
export function openCheckpoint(
  stored: SignedCheckpoint,
  publicKeys: ReadonlyMap<string, Uint8Array>,
): CheckpointDocument | { readonly why: string } {
  const publicKey = publicKeys.get(stored.keyId);
  if (publicKey === undefined) return { why: `it is signed with the key ${stored.keyId}, which was not given` };
  if (!verifySignature(publicKey, stored.document, stored.signature)) return { why: 'its signature is not valid' };
  const document = parseDocument(stored.document);
  // The key signs other things, too. What has this type has the form that signCheckpoint gave it.
  if (document?.type !== type) return { why: 'it is no checkpoint' };
  const at = Date.parse(document.at);
  if (document.id !== stored.id || at !== stored.at) return { why: 'its row says something else than its document' };
  return { ...document, at };
}

type RawDocument = Omit<CheckpointDocument, 'at'> & { readonly type: string; readonly at: string };

function parseDocument(bytes: Uint8Array): RawDocument | null {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as RawDocument;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
