export { RedactorLimitError } from './limit-error.ts';
export {
  createRedactor,
  DEFAULT_INDEX_LIMIT_BYTES,
  type NamedValue,
  type Redactor,
  type RedactorOptions,
  type RedactorStream,
  type UnmaskedValue,
} from './redactor.ts';
export { COMMON_WORDS, MIN_ENCODED_BYTES, MIN_TOKEN_BYTES, type UnmaskedReason, unmaskedReason } from './values.ts';
