// @needs vault
import { startVault } from '../../../../servers/vault.ts';
import type { VaultProduct } from '../../testing/live-vault.ts';
import { describeVaultAnswers } from '../../testing/live-vault-answers.ts';
import { describeVaultConformance } from '../../testing/live-vault-conformance.ts';
import { describeManagedVault } from '../../testing/live-vault-managed.ts';
import { describeVaultSignIn } from '../../testing/live-vault-sign-in.ts';

const vault: VaultProduct = { name: 'Vault', start: startVault, hasNamespaces: false, hasStandby: true };

describeVaultAnswers(vault);
describeVaultSignIn(vault);
describeVaultConformance(vault);
describeManagedVault(vault);
