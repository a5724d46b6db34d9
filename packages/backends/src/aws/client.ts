import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { StrongroomError } from '@strongroom/contract/core';
import { untilAborted } from '../wrappers/deadline.ts';
import { type Absence, absenceOf, awsFailure, errorName, isExpired } from './failures.ts';

interface SendOptions {
  readonly abortSignal: AbortSignal;
}

/** The SDK's client, with our errors. Its retries are off: there is one budget for them, and it isn't the SDK's. */
export class AwsClient {
  readonly #create: () => SecretsManagerClient;
  readonly #checkAddress: () => void;
  #sdk: SecretsManagerClient | null;

  /** @param checkAddress throws when the address may not be used */
  constructor(create: () => SecretsManagerClient, checkAddress: () => void) {
    this.#checkAddress = checkAddress;
    this.#create = create;
    this.#sdk = create();
  }

  /**
   * One request, a second one with an identity had anew when its time was over.
   *
   * @param about what is asked for; completes the detail of errors
   * @throws StrongroomError for everything but the answer and what AWS says of a secret that isn't there
   */
  async send<Answer extends object>(
    about: string,
    signal: AbortSignal,
    run: (sdk: SecretsManagerClient, options: SendOptions) => Promise<Answer>,
  ): Promise<Answer | Absence> {
    const first = this.#current(signal);
    this.#checkAddress();
    try {
      return await untilAborted(run(first, { abortSignal: signal }), signal);
    } catch (error) {
      if (!isExpired(error)) return absenceOrThrow(error, about);
    }
    if (this.#sdk === first) this.#sdk = this.#create();
    try {
      return await untilAborted(run(this.#current(signal), { abortSignal: signal }), signal);
    } catch (error) {
      return absenceOrThrow(error, about);
    }
  }

  close(): void {
    this.#sdk?.destroy();
    this.#sdk = null;
  }

  #current(signal: AbortSignal): SecretsManagerClient {
    if (signal.aborted) throw new StrongroomError('deadline_exceeded', { detail: 'AWS: the call was given up.' });
    if (this.#sdk === null) throw new StrongroomError('shutting_down', { detail: 'The connection to AWS is closed.' });
    return this.#sdk;
  }
}

function absenceOrThrow(error: unknown, about: string): Absence {
  const absence = absenceOf(errorName(error));
  if (absence !== null) return absence;
  throw awsFailure(error, about);
}
