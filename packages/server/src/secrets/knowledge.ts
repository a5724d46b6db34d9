import { sees } from '../access/decide.ts';
import { readPage, wholeList } from '../access/pages.ts';
import type { AccessService } from '../access/service.ts';
import { type Asked, positionOf, type WhoMay } from '../access/who-may.ts';
import type { DriftService } from '../launches/drift.ts';
import type { Keys } from '../keys/keys.ts';
import type { SecretKnowledge } from './routes.ts';

/** What the catalogue shows of other folders' matters. */
export function secretKnowledge(
  access: AccessService,
  whoMay: WhoMay,
  drift: DriftService,
  keys: Pick<Keys, 'sealCursor' | 'openCursor'>,
): SecretKnowledge {
  return {
    drift: (caller, scope, secretId, query) => drift.ofSecret(caller, scope, secretId, query),
    access: async (caller, scope, secret, { limit = wholeList, cursor }) => {
      const asked: Asked[] = [{ action: 'secret.manage', resource: { kind: 'scope', scope } }];
      // Whether another domain may use a Global secret is that domain's matter.
      if (scope.kind === 'domain') {
        const asset = await access.secretAsset(scope, { scope: 'domain', secretId: secret.id, key: secret.key });
        const resource = { kind: 'asset', asset } as const;
        // Who sees neither the secret nor the audit is not told by this that it is there.
        const here = { kind: 'scope', scope } as const;
        if (!sees(caller.snapshot, resource) && !access.decide(caller.snapshot, 'scope.audit', here).allow)
          await access.refuse(caller, 'secret.list', resource, access.decide(caller.snapshot, 'secret.list', here));
        asked.push({ action: 'secret.use', resource });
      }
      const request = { limit, ...(cursor === undefined ? {} : { cursor }) };
      return readPage(keys, caller, ['secret-access', secret.id], request, {
        read: (args) => whoMay.list(caller, scope, asked, args),
        positionOf,
        toItem: ({ action, principal, decision }) => ({
          principal: principal.label,
          action,
          because: [...decision.because],
        }),
      });
    },
  };
}
