import { type Client, type ItemOf, StrongroomError } from '@strongroom/sdk';

type NamedList = 'listUsers' | 'listGroups' | 'listServiceAccounts' | 'listDomainServiceAccounts';
interface DomainParams {
  readonly domain: string;
}

const idPattern = /^[a-z]{2,4}_[0-9a-v]{26}$/;

const showById: {
  readonly [Id in NamedList]: (client: Client, id: string, params: DomainParams) => Promise<ItemOf<Id>>;
} = {
  listUsers: (client, user) => client.showUser({ params: { user } }),
  listGroups: (client, group) => client.showGroup({ params: { group } }),
  listServiceAccounts: (client, serviceAccount) => client.showServiceAccount({ params: { serviceAccount } }),
  listDomainServiceAccounts: (client, serviceAccount, { domain }) =>
    client.showDomainServiceAccount({ params: { domain, serviceAccount } }),
};

/**
 * The user, group or service account of a name, or of an id as --json shows it.
 * @throws StrongroomError `not_found`
 */
export async function findNamed<Id extends NamedList>(
  client: Client,
  list: Id,
  name: string,
  params?: DomainParams,
): Promise<ItemOf<Id>> {
  if (idPattern.test(name)) return showById[list](client, name, params ?? { domain: '' });
  // Names are kept in lower case.
  const folded = name.trim().toLowerCase();
  // All four take these; a domain is in the path of the last one only.
  const input = { params: params ?? { domain: '' }, query: { name: folded, limit: 200 } };
  for await (const item of client.items(list as 'listDomainServiceAccounts', input)) {
    // Service accounts of domains may share a name.
    if (item.name === folded && item.domain === params?.domain) return item as ItemOf<Id>;
  }
  throw new StrongroomError('not_found');
}
