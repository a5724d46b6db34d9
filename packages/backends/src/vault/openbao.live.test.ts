// @needs openbao
import { startOpenBao } from '../../../../servers/openbao.ts';
import type { VaultProduct } from '../../testing/live-vault.ts';
import { describeVaultAnswers } from '../../testing/live-vault-answers.ts';
import { describeVaultConformance } from '../../testing/live-vault-conformance.ts';
import { describeManagedVault } from '../../testing/live-vault-managed.ts';
import { describeVaultSignIn } from '../../testing/live-vault-sign-in.ts';

const openbao: VaultProduct = { name: 'OpenBao', start: startOpenBao, hasNamespaces: true, hasStandby: false };

describeVaultAnswers(openbao);
describeVaultSignIn(openbao);
describeVaultConformance(openbao);
describeManagedVault(openbao);
