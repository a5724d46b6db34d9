/**
 * The values need a larger index than one launch may hold. Carries sizes only. Callers answer with the contract's
 * `limit_exceeded`.
 */
export class RedactorLimitError extends Error {
  override readonly name = 'RedactorLimitError';
  readonly code = 'limit_exceeded';
  readonly limitBytes: number;
  readonly neededBytes: number;

  constructor(limitBytes: number, neededBytes: number) {
    super(`The redactor's index needs at least ${neededBytes} bytes; the limit is ${limitBytes} bytes`);
    this.limitBytes = limitBytes;
    this.neededBytes = neededBytes;
  }
}
