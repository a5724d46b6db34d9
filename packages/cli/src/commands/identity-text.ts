import { type Client, type ItemOf, StrongroomError } from '@strongroom/sdk';

type NamedList = 'listUsers' | 'listGroups' | 'listServiceAccounts' | 'listDomainServiceAccounts';
const idPattern = /^[a-z]{2,4}_[0-9a-v]{26}$/;

/**
 * The user, group or service account of a name, or of an id as --json shows it.
 * @throws StrongroomError `not_found`
 */
export async function findNamed<Id extends NamedList>(
  client: Client,
  id: Id,
  name: string,
  params: { readonly domain: string } | undefined,
): Promise<ItemOf<Id>> {
  // Names are kept in lower case.
  const folded = name.trim().toLowerCase();
  const filter = idPattern.test(name) ? {} : { name: folded };
  const input = { params: params ?? { domain: '' }, query: { ...filter, limit: 200 } };
  for await (const item of client.items(id as 'listDomainServiceAccounts', input)) {
    // Service accounts of domains may share a name.
    if (item.id === name || (item.name === folded && isWhere(item, params))) return item as ItemOf<Id>;
  }
  throw new StrongroomError('not_found');
}

function isWhere(item: { readonly domain?: string }, params: { readonly domain: string } | undefined): boolean {
  return item.domain === params?.domain;
}
