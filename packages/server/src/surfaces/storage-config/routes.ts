import type { storageConfigRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../../http/handler.ts';
import type { OpenEgress } from '../../integrations/connection.ts';
import { configurationHandlers, formTestHandlers } from '../configuration-handlers.ts';
import { credentialState } from '../credential-fields.ts';
import type { FormTester } from '../form-test.ts';
import type { ConfigurationService } from '../service.ts';
import type { StorageConfigDocument, StorageConfigInput } from './document.ts';
import { probeStorage } from './probe.ts';

/** Handlers of storage configurations. */
export function storageConfigHandlers(
  storageConfigs: ConfigurationService<StorageConfigInput, StorageConfigDocument>,
  tester: FormTester<StorageConfigInput, StorageConfigDocument>,
  openEgress: OpenEgress,
): HandlersOf<typeof storageConfigRoutes> {
  const each = configurationHandlers(storageConfigs, shown);
  const { testForm, test, preflight } = formTestHandlers(tester, async (form) =>
    probeStorage(form, await openEgress()),
  );
  return {
    createStorageConfig: each.create,
    listStorageConfigs: each.list,
    showStorageConfig: each.show,
    updateStorageConfig: each.update,
    deleteStorageConfig: each.delete,
    testStorageConfigForm: testForm,
    testStorageConfig: test,
    preflightStorageConfig: preflight,
  };
}

function shown({ accessKey, secretKey, ...rest }: StorageConfigDocument) {
  return { ...rest, accessKey: credentialState(accessKey), secretKey: credentialState(secretKey) };
}
