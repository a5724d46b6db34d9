import { Type } from 'typebox';
import { Label } from '../names.ts';
import { Closed, route } from '../route.ts';

const TermSummary = Closed({
  scope: Type.String({ description: 'admin, global, the name of a domain, or installation' }),
  purpose: Type.String(),
  state: Type.String(),
  terms: Type.Integer(),
  uses: Type.Integer({ description: 'Values sealed, as an upper bound' }),
});

const KeyStatus = Closed({
  installation: Type.String(),
  keyEncryptionKey: Closed({ id: Type.String(), source: Type.String() }),
  recoveryConfirmed: Type.Boolean(),
  terms: Type.Array(TermSummary),
  valuesToReseal: Type.Integer({ description: 'Values still sealed under a retired term' }),
});

export const keyRoutes = [
  route({
    id: 'showKeys',
    method: 'GET',
    path: '/v1/keys',
    summary: 'Show the keyring: identifiers, states and counts; no key',
    tag: 'keys',
    access: { kind: 'platform', action: 'settings.view' },
    status: 200,
    response: KeyStatus,
  }),
  route({
    id: 'rotateKeys',
    method: 'POST',
    path: '/v1/keys/rotate',
    summary: 'Rotate the key-encryption key, or the value keys of one scope or of all',
    tag: 'keys',
    access: { kind: 'platform', action: 'keys.manage' },
    body: Closed({
      what: Type.Union([Type.Literal('kek'), Type.Literal('terms')]),
      scope: Type.Optional(Type.Union([Type.Literal('admin'), Type.Literal('global'), Type.Literal('domain')])),
      domain: Type.Optional(Label),
    }),
    status: 202,
    response: KeyStatus,
    errors: ['state_conflict', 'version_conflict', 'key_unavailable'],
  }),
  route({
    id: 'confirmRecoveryKit',
    method: 'POST',
    path: '/v1/keys/recovery/confirm',
    summary: 'Record that a recovery kit was made and tried; kit and recovery key stay where they are',
    tag: 'keys',
    access: { kind: 'platform', action: 'keys.manage' },
    body: Closed({
      kekId: Type.String({ maxLength: 64, description: 'The key-encryption key that the kit gave back' }),
    }),
    status: 200,
    response: KeyStatus,
    errors: ['state_conflict'],
  }),
] as const;
