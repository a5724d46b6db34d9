import { StrongroomError } from '@strongroom/contract/core';
import type { Backend, CallOptions, KeyVersion, VersionAnswers } from './backend.ts';

export interface CurrentVersionsOptions extends CallOptions {
  /**
   * Called before values are read, with the keys, because there is no other way to their versions: what is read has to be on
   * record before. Values are not read when it throws.
   */
  readonly beforeReading: (keys: readonly string[]) => Promise<void>;
}

/**
 * Which version each key has now, without values where the backend can say that to the credential, else by reading them; they
 * are destroyed at once. One answer for each distinct key.
 *
 * @throws StrongroomError what fails for all keys, and what `beforeReading` throws
 */
export async function currentVersions(
  backend: Backend,
  keys: readonly string[],
  { signal, beforeReading }: CurrentVersionsOptions,
): Promise<VersionAnswers> {
  const asked = await askedVersions(backend, keys, signal);
  const answers = new Map(asked);
  const unanswered = [...new Set(keys)].filter((key) => {
    const answer = asked.get(key);
    return answer === undefined || (answer instanceof StrongroomError && answer.code === 'backend_denied');
  });
  if (unanswered.length === 0) return answers;
  await beforeReading(unanswered);
  for (const [key, entry] of await backend.getMany(unanswered, { signal })) {
    if (entry !== null && !(entry instanceof StrongroomError)) entry.value.destroy();
    answers.set(key, withoutValue(entry));
  }
  return answers;
}

/** Those of the backend; none where it has no such question, or the credential may not put it at all. */
async function askedVersions(backend: Backend, keys: readonly string[], signal: AbortSignal): Promise<VersionAnswers> {
  if (backend.versions === undefined) return new Map();
  try {
    return await backend.versions(keys, { signal });
  } catch (error) {
    if (error instanceof StrongroomError && error.code === 'backend_denied') return new Map();
    throw error;
  }
}

function withoutValue(answer: KeyVersion | null | StrongroomError): KeyVersion | null | StrongroomError {
  return answer === null || answer instanceof StrongroomError ? answer : { version: answer.version };
}
