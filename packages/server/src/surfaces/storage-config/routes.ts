import type { storageConfigRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../../http/handler.ts';
import { configurationHandlers } from '../configuration-handlers.ts';
import { credentialState } from '../credential-fields.ts';
import type { ConfigurationService } from '../service.ts';
import type { StorageConfigDocument, StorageConfigInput } from './document.ts';

/** Handlers of storage configurations. */
export function storageConfigHandlers(
  storageConfigs: ConfigurationService<StorageConfigInput, StorageConfigDocument>,
): HandlersOf<typeof storageConfigRoutes> {
  const each = configurationHandlers(storageConfigs, shown);
  return {
    createStorageConfig: each.create,
    listStorageConfigs: each.list,
    showStorageConfig: each.show,
    updateStorageConfig: each.update,
    deleteStorageConfig: each.delete,
  };
}

function shown({ accessKey, secretKey, ...rest }: StorageConfigDocument) {
  return { ...rest, accessKey: credentialState(accessKey), secretKey: credentialState(secretKey) };
}
