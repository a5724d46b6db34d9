import type { CheckLine } from '../backend.ts';
import { connectionSteps, trySteps } from '../check-steps.ts';
import type { Egress } from '../egress/index.ts';
import { type VendorAccess, vendorSteps } from '../vendor-steps.ts';
import { checkEndpoint, type Endpoint } from './endpoint.ts';

export interface AwsCheckParts extends VendorAccess {
  readonly egress: Egress;
  readonly endpoint: Endpoint;
  readonly signal: AbortSignal;
}

export async function checkAws(parts: AwsCheckParts): Promise<CheckLine[]> {
  const { egress, endpoint, signal } = parts;
  const { steps } = connectionSteps({
    checkAddress: () => checkEndpoint(endpoint, egress),
    isEncrypted: endpoint.url.startsWith('https:'),
    probe: () => egress.request(`${endpoint.url}/`, { ...endpoint.rules, signal }),
  });
  return trySteps({ ...steps, ...vendorSteps(parts) }, ['list']);
}
