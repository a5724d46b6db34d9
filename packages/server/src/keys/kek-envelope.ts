import { StrongroomError } from '@strongroom/contract';
import { readPrivateFile } from '@strongroom/crypto';

/**
 * What stands in a file for a key-encryption key that AWS KMS has encrypted. Nothing in it is secret, and all that counts is
 * authenticated by KMS: installation and key id are in the encryption context.
 */
export interface KekEnvelope {
  readonly installation: string;
  /** Public id of the key inside. */
  readonly kekId: string;
  /** The key of KMS, as it was configured when this was made. For messages. */
  readonly keyArn: string;
  readonly blob: Uint8Array;
}

const format = 'strongroom-kek-aws-kms-v1';
const patterns = {
  installation: /^ins_[A-Za-z0-9_-]{1,64}$/,
  kek: /^[0-9a-f]{32}$/,
  keyArn: /^arn:[!-~]{1,2044}$/,
  blob: /^[A-Za-z0-9_-]{1,8192}$/,
} as const;
const maxFileBytes = 16 * 1024;

/** One line of JSON: `format`, `installation`, `kek`, `keyArn`, and `blob` in base64url. */
export function formatEnvelope({ installation, kekId, keyArn, blob }: KekEnvelope): string {
  const text = Buffer.from(blob).toString('base64url');
  return `${JSON.stringify({ format, installation, kek: kekId, keyArn, blob: text })}\n`;
}

/**
 * @returns `null` when there is no file
 * @throws CryptoError for a file that is open to others or can't be read; StrongroomError `key_unavailable` for one that is
 * something else
 */
export async function readEnvelope(path: string): Promise<KekEnvelope | null> {
  const text = await readPrivateFile(path, maxFileBytes);
  if (text === null) return null;
  const fields = fieldsOf(text);
  const field = (name: keyof typeof patterns): string => {
    const value = fields?.[name];
    if (typeof value === 'string' && patterns[name].test(value)) return value;
    throw new StrongroomError('key_unavailable', {
      detail: `The file ${path} is no key-encryption key that KMS encrypted, or somebody changed it.`,
      hint: 'Put the file back as it was, or recover it with strongroom recovery restore.',
    });
  };
  const [installation, kekId, keyArn] = [field('installation'), field('kek'), field('keyArn')];
  return { installation, kekId, keyArn, blob: Buffer.from(field('blob'), 'base64url') };
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('format' in value) || value.format !== format)
      return undefined;
    return value;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
