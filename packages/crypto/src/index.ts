export { auditMac, fingerprint, idempotencyMac, MAC_BYTES, timingSafeEqualBytes } from './mac.ts';
export { CryptoError, type CryptoErrorCode } from './errors.ts';
export { MAX_CURSOR_CHARACTERS, openCursor, sealCursor } from './cursor.ts';
export { formatKekText, Kek, kekFromBytes, kekFromText, type KeyEncryptionKey } from './kek.ts';
export { createKekFile, loadKekFile } from './kek-file.ts';
export { createPrivateFile, isPrivateFile, readPrivateFile } from './private-file.ts';
export {
  createTerm,
  destroyTerm,
  KEY_PURPOSES,
  type KeyPurpose,
  type KeyTerm,
  type KeyTermOptions,
  MAX_TERM_USES,
  openTerm,
  rewrapTerm,
  TermKey,
} from './keyring.ts';
export { burnPassword, hashPassword, MAX_PASSWORD_BYTES, needsRehash, verifyPassword } from './password.ts';
export { createRecoveryKit, openRecoveryKit, type RecoveryKit, recoveryKitKekId } from './recovery-kit.ts';
export { SecretValue } from './secret-value.ts';
export {
  createSigningKey,
  decodePublicKeyText,
  encodePublicKeyText,
  openSigningKey,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
  SigningKey,
  verifySignature,
} from './signing.ts';
export { createToken, hashChosenToken, hashToken, isChosenToken, type ParsedToken, parseToken } from './token.ts';
export { envelopeTermId, openValue, sealValue, type ValueContext } from './value-envelope.ts';
