import { exitCode, interruptedCode } from './exit-codes.ts';

/** The command was written wrongly; nothing was sent. Never holds what an argument said where that could be a value. */
export class UsageError extends Error {
  readonly hint: string | undefined;

  constructor(detail: string, hint?: string) {
    super(detail);
    this.hint = hint;
  }
}

/** A check said no: exit code 7. What it found is on stdout already. */
export class CheckFailed extends Error {
  readonly hint: string | undefined;

  constructor(detail: string, hint?: string) {
    super(detail);
    this.hint = hint;
  }
}

/** Whoever was asked said no, or pressed Ctrl-C. */
export class Cancelled extends Error {
  readonly exitCode: number;

  constructor(reason: 'declined' | 'interrupted') {
    super(reason === 'declined' ? 'nothing was changed' : 'interrupted');
    this.exitCode = reason === 'declined' ? exitCode.fault : interruptedCode;
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
