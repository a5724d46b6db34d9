import type { CheckLine } from '../backend.ts';
import { connectionSteps, trySteps } from '../check-steps.ts';
import type { AddressRules, Egress } from '../egress/index.ts';
import { type VendorAccess, vendorSteps } from '../vendor-steps.ts';

export interface AzureCheckParts extends VendorAccess {
  readonly egress: Egress;
  readonly vaultUrl: string;
  readonly rules: AddressRules;
  readonly signal: AbortSignal;
}

export async function checkAzure(parts: AzureCheckParts): Promise<CheckLine[]> {
  const { egress, vaultUrl, rules, signal } = parts;
  const { steps } = connectionSteps({
    checkAddress: () => egress.checkUrl(vaultUrl, { schemes: ['https'], ...rules }),
    isEncrypted: true,
    probe: () => egress.request(`${vaultUrl}/`, { ...rules, signal }),
  });
  return trySteps({ ...steps, ...vendorSteps(parts) }, ['list']);
}
