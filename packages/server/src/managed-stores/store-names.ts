import type { StoreName } from '@strongroom/contract';
import type { Tables } from '../store/tables.ts';

type SourceType = Tables['sources']['type'];

const types = { database: 'DATABASE', kubernetes: 'KUBERNETES', vault: 'VAULT' } as const satisfies Record<
  StoreName,
  SourceType
>;

/** The type of a managed source. */
export function sourceTypeOf(store: StoreName): 'DATABASE' | 'KUBERNETES' | 'VAULT' {
  return types[store];
}

/** Of a managed source; integrations are of other types besides. */
export function storeNameOf(type: SourceType): StoreName {
  if (type === 'KUBERNETES') return 'kubernetes';
  return type === 'VAULT' ? 'vault' : 'database';
}
