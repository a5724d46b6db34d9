import type { AccessService } from '../access/service.ts';
import type { Resource } from '../access/types.ts';
import type { WhoMay } from '../access/who-may.ts';
import type { DriftService } from '../launches/drift.ts';
import type { SecretKnowledge } from './routes.ts';

/** What the catalogue shows of other folders' matters. */
export function secretKnowledge(access: AccessService, whoMay: WhoMay, drift: DriftService): SecretKnowledge {
  return {
    drift: (caller, scope, secretId, includesEnded) => drift.ofSecret(caller, scope, secretId, includesEnded),
    access: async (caller, scope, secret) => {
      const manage: Resource = { kind: 'scope', scope };
      const asked: { readonly action: 'secret.manage' | 'secret.use'; readonly resource: Resource }[] = [
        { action: 'secret.manage', resource: manage },
      ];
      // Whether another domain may use a Global secret is that domain's matter.
      if (scope.kind === 'domain') {
        const asset = await access.secretAsset(scope, { scope: 'domain', secretId: secret.id, key: secret.key });
        asked.push({ action: 'secret.use', resource: { kind: 'asset', asset } });
      }
      const answers = await Promise.all(
        asked.map(async ({ action, resource }) =>
          (await whoMay.list(caller, scope, action, resource)).map(({ principal, decision }) => ({
            principal: principal.label,
            action,
            because: [...decision.because],
          })),
        ),
      );
      return { items: answers.flat() };
    },
  };
}
