import { inspect } from 'node:util';
import { StrongroomError } from '@strongroom/contract/core';

/**
 * The error that a call ends with, once it is known to show nothing it must not show.
 *
 * @param hidden texts that must not be found in it, whichever way it is shown
 * @throws what is not a StrongroomError; an Error when the call did not throw or one of the texts was found
 */
export async function refusalOf(
  call: () => Promise<unknown>,
  hidden: readonly string[] = [],
): Promise<StrongroomError> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    assertHidden(error, hidden);
    return error;
  }
  throw new Error('It did not throw');
}

/** @throws Error when one of the texts is found in what `inspect`, JSON or a string makes of it */
export function assertHidden(shown: unknown, hidden: readonly string[]): void {
  const text = `${inspect(shown, { depth: 10, showHidden: true })} ${JSON.stringify(shown)} ${String(shown)}`;
  for (const [index, secret] of hidden.entries())
    if (text.includes(secret)) throw new Error(`It shows what must stay hidden: text ${index} of the list`);
}
