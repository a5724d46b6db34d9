import { Type } from 'typebox';
import { Time } from '../names.ts';
import { Closed, pageQuery } from '../route.ts';
import { SecretMetadata, Use } from './secret-schemas.ts';

/** What an inventory looks for, in the order that it lists what it finds. */
export const inventoryFindings = [
  'expired',
  'expiring',
  'stale',
  'due-soon',
  'used-but-missing',
  'shared-value',
  'unused',
] as const;
export type InventoryFinding = (typeof inventoryFindings)[number];

const FindingName = Type.Enum([...inventoryFindings], {
  description:
    'expired, expiring: by its own date; stale: older than its rotation period; due-soon: its rotation falls due; used-but-missing: a field refers to what is not there; shared-value: another secret of the scope has the same value of 16 bytes or more (MANAGE_SECRETS); unused: no field refers to it, and it was neither made nor launched lately',
});

export const inventoryQuery = {
  limit: pageQuery.limit,
  cursor: pageQuery.cursor,
  finding: Type.Optional(FindingName),
  withinDays: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 365, default: 30, description: 'What counts as expiring and as due soon' }),
  ),
  unusedForDays: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 3650,
      default: 90,
      description: 'For how long what is unused was neither made nor launched',
    }),
  ),
} as const;

/** One thing that needs care. A secret may be in several. */
export const InventoryItem = Closed(
  {
    finding: FindingName,
    key: Type.String(),
    reference: Type.String({ description: 'Canonical reference of what is found, or of what is missing' }),
    at: Type.Union([Time, Type.Null()], {
      description:
        'When it expires, falls due, was deleted, or was last launched, whichever the finding is about; null: unknown, or never',
    }),
    advice: Type.String({ description: 'What to do' }),
    secret: Type.Optional(SecretMetadata),
    sharedWith: Type.Optional(
      Type.Array(Type.String(), {
        description: 'Keys of the scope with the same value, at most 20; shared-value alone',
      }),
    ),
    cause: Type.Optional(
      Type.Enum(['deleted', 'absent', 'not-assigned', 'source-gone', 'not-listed'], {
        description:
          'Of used-but-missing. deleted: it can be restored; absent: there is no such secret, or none of the domain; not-assigned: it is in Global, assigned to other domains, told to who knows all of Global; source-gone: its integration was deleted; not-listed: its integration has no such key, as last listed or asked',
      }),
    ),
    use: Type.Optional(Use),
  },
  { description: 'Something that needs care, with what to do about it; never a value' },
);
