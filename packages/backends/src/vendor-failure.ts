import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode, ErrorOptions } from '@strongroom/contract/errors';
import { answerOrError } from './at-once.ts';

/** An error of a cloud's vendor. */
export class VendorFailure extends StrongroomError {
  /** The identity is not known or could not be had; it is not about what it may do. */
  readonly isOfIdentity: boolean;

  constructor(code: ErrorCode, options: ErrorOptions, isOfIdentity: boolean) {
    super(code, options);
    this.isOfIdentity = isOfIdentity;
  }
}

/** An answer, or the error when it concerns just this key; what is wrong with the identity concerns all of them. */
export async function answerOfKey<T>(read: () => T | Promise<T>): Promise<T | StrongroomError> {
  const answer = await answerOrError(read);
  if (answer instanceof VendorFailure && answer.isOfIdentity) throw answer;
  return answer;
}
