import type { Client, ItemOf, ListId } from '@strongroom/sdk';
import { wholeOf } from '../lists.ts';
import { orAbsent } from './kind.ts';

/** Lists of a domain that many manifests are compared with, each read once. */
export class Lists {
  readonly #client: Client;
  readonly #read = new Map<string, Promise<readonly unknown[]>>();

  constructor(client: Client) {
    this.#client = client;
  }

  members(domain: string): Promise<readonly ItemOf<'listMembers'>[]> {
    return this.#once('listMembers', domain);
  }

  grants(domain: string): Promise<readonly ItemOf<'listGrants'>[]> {
    return this.#once('listGrants', domain);
  }

  bundles(domain: string): Promise<readonly ItemOf<'listBundles'>[]> {
    return this.#once('listBundles', domain);
  }

  /** Empty where the domain is not there yet. */
  #once<Id extends ListId & ('listMembers' | 'listGrants' | 'listBundles')>(
    id: Id,
    domain: string,
  ): Promise<readonly ItemOf<Id>[]> {
    const key = `${id} ${domain}`;
    const known = this.#read.get(key);
    if (known !== undefined) return known as Promise<readonly ItemOf<Id>[]>;
    const read = this.#whole(id, domain);
    this.#read.set(key, read);
    return read;
  }

  async #whole<Id extends 'listMembers' | 'listGrants' | 'listBundles'>(id: Id, domain: string): Promise<ItemOf<Id>[]> {
    const input = { params: { domain }, query: { limit: 200 } };
    const items = wholeOf(this.#client.items(id, input as Parameters<Client['items']>[1])) as Promise<ItemOf<Id>[]>;
    return (await orAbsent(items)) ?? [];
  }
}
