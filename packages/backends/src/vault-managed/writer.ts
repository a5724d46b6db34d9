import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import type { Content, Expectation } from '../backend.ts';
import type { VaultCall } from '../vault/client.ts';
import { serverTime } from '../vault/connection.ts';
import { writeField } from '../vault/entries.ts';
import { own } from '../vault/json.ts';
import type { KvReader } from '../vault/kv.ts';
import { malformed, statusError } from '../vault/statuses.ts';
import { foreignMembers, type Members, membersOf, writeRequest } from './content.ts';
import { formatWriteMark, hasOwnerMark, ownerMark, type WriteMark } from './mark.ts';
import { assertExpected, conflict, foreign, type Place, placeOf, readPlace, versionOf } from './state.ts';

/** Tries of a write that expects nothing, against writers at the same time. */
const mostTries = 8;
/** For so long a deletion that was begun is its beginner's to finish: requests of his may still be on their way. */
const defaultDeletionMilliseconds = 60_000;

/** Changes secrets that are ours, each by check-and-set on the version that was looked at. */
export class ManagedWriter {
  readonly #kv: KvReader;
  readonly #now: () => number;
  readonly #deletionMilliseconds: number;

  /** @param now the wall clock, where Vault doesn't say the time */
  constructor(kv: KvReader, now: () => number, deletionMilliseconds: number = defaultDeletionMilliseconds) {
    this.#kv = kv;
    this.#now = now;
    this.#deletionMilliseconds = deletionMilliseconds;
  }

  async put(path: string, content: Content, expect: Expectation, intentId: string, call: VaultCall): Promise<string> {
    const members = membersOf(content);
    return this.#repeat(expect, async () => {
      const place = await this.#writable(path, call);
      assertExpected(place, expect);
      const kept = place.entry === null ? {} : foreignMembers(place.entry.data, place.mark);
      const mark = markOf(members, intentId, place.cas + 1, placeOf(this.#kv, path));
      const version = await this.#write(path, { ...kept, ...members.members }, mark, place, call);
      if (!place.hasOwnerMark) await this.#markAfterWrite(path, customOf(place), call);
      return version;
    });
  }

  async delete(path: string, expect: Expectation, call: VaultCall): Promise<void> {
    await this.#repeat(expect, async () => {
      const place = await this.#writable(path, call);
      if (place.secret.kind === 'absent') return;
      assertExpected(place, expect);
      await this.#remove(path, place, call);
    });
  }

  /**
   * Makes somebody else's secret ours. Its value stays as it is.
   *
   * @returns `false` when it was ours before. @throws StrongroomError `not_found` when nothing is there
   */
  async adopt(path: string, call: VaultCall): Promise<boolean> {
    const place = await readPlace(this.#kv, path, call);
    if (place.secret.kind === 'absent')
      throw new StrongroomError('not_found', { detail: 'No secret is there in Vault.' });
    if (place.hasOwnerMark) return false;
    await this.#setOwnerMark(path, customOf(place), call);
    return true;
  }

  async #writable(path: string, call: VaultCall): Promise<Place> {
    const place = await readPlace(this.#kv, path, call);
    if (place.isForeign) throw foreign();
    if (place.mark?.shape === 'deleted') {
      await this.#finishDeletion(path, place, call);
      return this.#writable(path, call);
    }
    if (place.secret.kind === 'absent') await this.#assertNoMetadata(path, call);
    return place;
  }

  /** Metadata without a version can be there: somebody's preparation, which isn't ours to fill. */
  async #assertNoMetadata(path: string, call: VaultCall): Promise<void> {
    const request = { about: 'reading the metadata', answers: [404] };
    const { status, body } = await this.#kv.client.send('GET', this.#kv.path('metadata', path), request, call);
    if (status === 404) return;
    const data = own(body, 'data');
    // Another writer came in between.
    if (own(data, 'current_version') !== 0) throw conflict();
    const custom = own(data, 'custom_metadata') ?? {};
    if (!hasOwnerMark(custom as Readonly<Record<string, string>>)) throw foreign();
  }

  /** @returns the new version. @throws StrongroomError `version_conflict` */
  async #write(
    path: string,
    members: Readonly<Record<string, unknown>>,
    mark: WriteMark,
    place: Place,
    call: VaultCall,
  ): Promise<string> {
    const about = 'writing the secret';
    const body = writeRequest({ ...members, [writeField]: formatWriteMark(mark) }, place.cas);
    try {
      const request = { about, body, answers: [400] };
      const answer = await this.#kv.client.send('POST', this.#kv.path('data', path), request, call);
      // A version that doesn't match is one of the reasons for 400; whether it is this one shows the secret itself.
      if (answer.status === 400)
        throw (await this.#hasChanged(path, place, call)) ? conflict() : statusError(answer, about);
      const [version, createdTime] = ['version', 'created_time'].map((name) => own(own(answer.body, 'data'), name));
      if (version !== mark.version || typeof createdTime !== 'string') throw malformed(about);
      return versionOf({ version: mark.version, createdTime });
    } finally {
      body.destroy();
    }
  }

  async #hasChanged(path: string, before: Place, call: VaultCall): Promise<boolean> {
    const { secret } = await readPlace(this.#kv, path, call);
    const old = before.secret;
    if (secret.kind === 'absent' || old.kind === 'absent') return secret.kind !== old.kind;
    return versionOf(secret) !== versionOf(old);
  }

  /** The value is written by now: whatever this ends with, it isn't "nothing has changed". */
  async #markAfterWrite(path: string, custom: Readonly<Record<string, string>>, call: VaultCall): Promise<void> {
    try {
      await this.#setOwnerMark(path, custom, call);
    } catch (error) {
      if (!(error instanceof StrongroomError) || error.code === 'deadline_exceeded') throw error;
      throw new StrongroomError('backend_unavailable', {
        detail: `The secret was written in Vault, and marking it as Strongroom’s failed (${error.code}).`,
        hint: 'Check that the policy allows to update the metadata, then write it again.',
        cause: error,
      });
    }
  }

  async #setOwnerMark(path: string, custom: Readonly<Record<string, string>>, call: VaultCall): Promise<void> {
    const text = JSON.stringify({ custom_metadata: { ...custom, [ownerMark.name]: ownerMark.value } });
    const body = SecretValue.fromText(text);
    await this.#kv.client.send('POST', this.#kv.path('metadata', path), { about: 'marking the secret', body }, call);
  }

  /** In two steps: a version without the value, by check-and-set; then the secret, with all of its versions. */
  async #remove(path: string, place: Place, call: VaultCall): Promise<void> {
    const version = place.cas + 1;
    const mark: WriteMark = { intentId: '', version, place: placeOf(this.#kv, path), shape: 'deleted' };
    await this.#write(path, {}, mark, place, call);
    await this.#kv.client.send('DELETE', this.#kv.path('metadata', path), { about: 'deleting the secret' }, call);
  }

  /** A deletion that was cut off between its steps. As long as its beginner may still be at it, it is his. */
  async #finishDeletion(path: string, place: Place, call: VaultCall): Promise<void> {
    if (place.secret.kind === 'absent') return;
    const request = { about: 'reading the metadata', answers: [404] };
    const answer = await this.#kv.client.send('GET', this.#kv.path('metadata', path), request, call);
    const age = (serverTime(answer) ?? this.#now()) - Date.parse(place.secret.createdTime);
    if (!(age > this.#deletionMilliseconds))
      throw new StrongroomError('backend_unavailable', {
        detail: 'The secret in Vault is just being deleted.',
        retryAfterSeconds: Math.ceil(this.#deletionMilliseconds / 1000),
      });
    await this.#remove(path, place, call);
  }

  /** A write that expects nothing is tried again when another one came first. */
  async #repeat<Result>(expect: Expectation, write: () => Promise<Result>): Promise<Result> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await write();
      } catch (error) {
        const isLate = error instanceof StrongroomError && error.code === 'version_conflict';
        if (!isLate || expect.kind !== 'any' || tries === mostTries) throw error;
      }
    }
  }
}

function customOf({ secret }: Place): Readonly<Record<string, string>> {
  return secret.kind === 'absent' ? {} : secret.customMetadata;
}

function markOf({ shape, members }: Members, intentId: string, version: number, place: string): WriteMark {
  return shape === 'fields'
    ? { intentId, version, place, shape, fields: Object.keys(members) }
    : { intentId, version, place, shape };
}
