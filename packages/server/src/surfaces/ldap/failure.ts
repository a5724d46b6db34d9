import type { TestCause } from '@strongroom/contract';

/** How far it came. */
export type LdapStep = 'connect' | 'tls' | 'bind' | 'search users' | 'search groups';

/** Why a directory could not be asked. Nothing of what it said is in it. */
export class LdapFailure extends Error {
  override readonly name = 'LdapFailure';
  readonly step: LdapStep;
  readonly reason: TestCause;

  constructor(step: LdapStep, reason: TestCause) {
    super(`The directory: ${step}: ${reason}`);
    this.step = step;
    this.reason = reason;
  }
}
