import { access } from 'node:fs/promises';
import { type Client, createClient } from './client.ts';
import { StrongroomError } from './errors.ts';
import { tokenFromFile, workloadTokenFile } from './token-file.ts';
import { type DeliveredValues, endLaunch, openLaunch, startHeartbeat } from './workload.ts';

/** Reading secrets inside a workload: one call asks, receives, opens, and says from then on that the workload runs. */

export interface ReaderOptions {
  readonly domain: string;
  /** In place of one made from the environment ({@link clientFromEnvironment}). */
  readonly client?: Client;
  readonly signal?: AbortSignal;
}

/** Values of one launch, until it is closed. */
export interface HeldSecrets<Name extends string> extends AsyncDisposable {
  readonly names: readonly Name[];
  /** As UTF-8. @throws StrongroomError `launch_refused` when the bytes aren't, `state_conflict` once closed */
  get(name: Name): string;
  /** The bytes themselves, which are zeroed when it is closed. @throws StrongroomError `state_conflict` once closed */
  bytes(name: Name): Uint8Array;
  /** Zeroes the values and tells the server that the workload has ended. Idempotent; never fails. */
  close(): Promise<void>;
}

/**
 * Receives values: all that are named, or none.
 *
 * @param references what each value is called here → `secret://SCOPE/SOURCE/KEY#FIELD`
 * @throws StrongroomError `reference_malformed` for what is no reference, before anybody is asked; `launch_refused` or
 * `reference_unresolved` with one entry of `errors` for each that did not resolve; and whatever a call can throw. No error
 * holds a value, and no reference is ever given back as one
 */
export async function readSecrets<const Name extends string>(
  references: Readonly<Record<Name, string>>,
  { domain, client: given, signal }: ReaderOptions,
): Promise<HeldSecrets<Name>> {
  const wanted = Object.entries<string>(references).map(([name, reference]) => ({ name, reference }));
  for (const { name, reference } of wanted)
    if (!reference.startsWith('secret://'))
      throw new StrongroomError('reference_malformed', { detail: `What ${name} names is not a reference.` });
  const client = given ?? (await clientFromEnvironment());
  const launch = await openLaunch(client, { domain, references: wanted, ...(signal === undefined ? {} : { signal }) });
  const delivered = await launch.resolve();
  const stopHeartbeat = startHeartbeat(client, delivered);
  return new Held(Object.keys(references) as Name[], client, delivered, stopHeartbeat);
}

class Held<Name extends string> implements HeldSecrets<Name> {
  readonly names: readonly Name[];
  readonly #client: Client;
  readonly #delivered: DeliveredValues;
  readonly #stopHeartbeat: () => void;
  #closing: Promise<void> | undefined;

  constructor(names: readonly Name[], client: Client, delivered: DeliveredValues, stopHeartbeat: () => void) {
    this.names = names;
    this.#client = client;
    this.#delivered = delivered;
    this.#stopHeartbeat = stopHeartbeat;
  }

  get(name: Name): string {
    return this.#open().text(name);
  }

  bytes(name: Name): Uint8Array {
    return this.#open().bytes(name);
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #open(): DeliveredValues {
    // What was zeroed would read as a value of NULs.
    if (this.#closing !== undefined) throw new StrongroomError('state_conflict', { detail: 'The values are closed.' });
    return this.#delivered;
  }

  async #end(): Promise<void> {
    this.#stopHeartbeat();
    this.#delivered.destroy();
    try {
      await endLaunch(this.#client, this.#delivered.launch);
    } catch (error) {
      // The values are gone here; that nobody could be told shows as an unknown workload when the lease has ended.
      if (!(error instanceof StrongroomError)) throw error;
    }
  }
}

/**
 * The client of a workload: `STRONGROOM_URL`, and `STRONGROOM_TOKEN`, `STRONGROOM_TOKEN_FILE`, or the pod's projected token at
 * {@link workloadTokenFile}.
 *
 * @throws StrongroomError `validation_failed` for the address, `unauthenticated` without a credential
 */
export async function clientFromEnvironment(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Client> {
  const { STRONGROOM_URL: url = '', STRONGROOM_TOKEN: token = '', STRONGROOM_TOKEN_FILE: file = '' } = environment;
  if (url === '') throw new StrongroomError('validation_failed', { detail: 'STRONGROOM_URL is not set.' });
  if (token !== '' && file !== '')
    throw new StrongroomError('validation_failed', {
      detail: 'STRONGROOM_TOKEN and STRONGROOM_TOKEN_FILE are both set; one is enough.',
    });
  if (token !== '') return createClient({ url, token });
  if (file !== '') return createClient({ url, token: tokenFromFile(file) });
  const isMounted = await access(workloadTokenFile).then(
    () => true,
    () => false,
  );
  if (isMounted) return createClient({ url, token: tokenFromFile(workloadTokenFile) });
  throw new StrongroomError('unauthenticated', {
    detail: `There is no credential: STRONGROOM_TOKEN and STRONGROOM_TOKEN_FILE are not set, and ${workloadTokenFile} is not there.`,
  });
}
