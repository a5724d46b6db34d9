import { StrongroomError } from '@strongroom/contract/core';

/** What a check found wrong. The message is in our words and holds no value. */
export class ConformanceFailure extends Error {
  override readonly name = 'ConformanceFailure';
}

/** A check that found, while it ran, that it cannot be tried here. */
export class NotApplicable extends Error {
  override readonly name = 'NotApplicable';
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new ConformanceFailure(message);
}

/** Names an error without its text, which may be anybody's: only ours are quoted, and they hold no value. */
export function describeError(error: unknown): string {
  if (error instanceof ConformanceFailure) return error.message;
  if (error instanceof StrongroomError) return `it threw ${error.code}`;
  if (error instanceof Error) return `it threw ${error.name}, which is not one of our errors`;
  return `it threw a ${typeof error}, which is not one of our errors`;
}
