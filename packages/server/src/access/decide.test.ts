import {
  actionTable,
  assetPermissions,
  domainPermissions,
  isAction,
  platformRoles,
  presetAssetPermissions,
  presetPermissions,
  presets,
  roleStanding,
  type Action,
  type PlatformRole,
  type Preset,
} from '@strongroom/contract';
import { describe, expect, it } from 'vitest';
import { decide, isDomainOwner, sees } from './decide.ts';
import { actionsOn } from './refusal.ts';
import { buildSnapshot } from './snapshot.ts';
import type { SnapshotRow } from './queries.ts';
import type { AccessSnapshot, AssetRef, Resource, ScopeRef } from './types.ts';

const finance: ScopeRef = { id: 'dom_f', kind: 'domain', name: 'finance' };
const inFinance: Resource = { kind: 'scope', scope: finance };
const adminScope: Resource = { kind: 'scope', scope: { id: 'dom_admin', kind: 'admin', name: 'admin' } };
const globalScope: Resource = { kind: 'scope', scope: { id: 'dom_global', kind: 'global', name: 'global' } };
const job: AssetRef = { type: 'spark-job', id: 'cfg_1', name: 'nightly', scope: finance, bundleIds: ['bnd_f'] };
const secret: AssetRef = { type: 'secret', id: 'sec_1', name: 'db-password', scope: finance, bundleIds: ['bnd_f'] };
const about = (asset: AssetRef): Resource => ({ kind: 'asset', asset });

type Row = Partial<SnapshotRow> & Pick<SnapshotRow, 'tag'>;
function snapshotOf(...rows: readonly Row[]): AccessSnapshot {
  const empty = { scope: '', first: '', second: '', third: '[]', number: 0 };
  const hasActor = rows.some((row) => row.tag === 'actor');
  const all = hasActor ? rows : [{ tag: 'actor', first: 'usr_1', second: 'user' } as const, ...rows];
  const snapshot = buildSnapshot(
    'usr_1',
    all.map((row) => ({ ...empty, ...row })),
  );
  if (snapshot === null) throw new TypeError('no principal');
  return snapshot;
}
const member = (preset: Preset) => snapshotOf({ tag: 'member', scope: 'dom_f', first: preset });
const holder = (permission: string) => snapshotOf({ tag: 'grant', scope: 'dom_f', first: permission });
const withRoles = (...roles: readonly string[]) =>
  snapshotOf({ tag: 'actor', first: 'usr_1', second: 'user', third: JSON.stringify(roles) });
const actions = Object.keys(actionTable).filter(isAction);

describe('the tables', () => {
  it('give no RESOLVE by preset or role', () => {
    for (const preset of presets) expect(presetPermissions[preset]).not.toContain('RESOLVE');
    for (const role of platformRoles) expect(decide(withRoles(role), 'launch.create', inFinance).allow).toBe(false);
    expect(decide(holder('RESOLVE'), 'launch.create', inFinance)).toEqual({
      allow: true,
      because: ['permission:RESOLVE'],
    });
  });

  it('make OWNER all but RESOLVE, and MAINTAINER that without MANAGE_ACCESS', () => {
    expect(presetPermissions.OWNER).toEqual(domainPermissions.filter((word) => word !== 'RESOLVE'));
    expect(presetPermissions.MAINTAINER).toEqual(presetPermissions.OWNER.filter((word) => word !== 'MANAGE_ACCESS'));
    expect(presetPermissions.VIEWER).toEqual(['LIST_SECRETS']);
  });

  it('put each weaker preset inside the stronger ones', () => {
    for (const [index, strong] of presets.entries()) {
      for (const weak of presets.slice(index)) {
        expect(presetPermissions[strong]).toEqual(expect.arrayContaining([...presetPermissions[weak]]));
        for (const type of Object.keys(assetPermissions) as (keyof typeof assetPermissions)[]) {
          expect(presetAssetPermissions[strong][type]).toEqual(
            expect.arrayContaining([...presetAssetPermissions[weak][type]]),
          );
        }
      }
    }
  });

  it('say for every domain what the roles stand for there', () => {
    for (const action of actions) {
      const row = actionTable[action];
      if (row.on !== 'scope' || row.domain === 'RESOLVE') continue;
      const { domain: permission } = row;
      for (const [role, preset] of Object.entries(roleStanding) as [PlatformRole, Preset][]) {
        const expected = permission === 'member' || presetPermissions[preset].includes(permission);
        expect([action, role, row.everyDomain.some((word) => word === role)]).toEqual([action, role, expected]);
      }
    }
  });
});

describe('a snapshot', () => {
  it('spells out the roles that a role includes, of the principal and its groups', () => {
    expect(withRoles('PLATFORM_ADMIN').roles).toEqual(new Set(['PLATFORM_ADMIN', 'SECRETS_ADMIN', 'DOMAIN_MANAGER']));
    const throughGroup = snapshotOf(
      { tag: 'actor', first: 'usr_1', second: 'user' },
      { tag: 'actor', first: 'grp_1', second: 'group', third: '["AUDITOR"]' },
    );
    expect(throughGroup.roles).toEqual(new Set(['AUDITOR']));
    expect(throughGroup.actorIds).toEqual(new Set(['usr_1', 'grp_1']));
  });

  it('names presets strongest first, whatever order they are stored in', () => {
    const both = snapshotOf(
      { tag: 'member', scope: 'dom_f', first: 'VIEWER' },
      { tag: 'member', scope: 'dom_f', first: 'OWNER' },
    );
    expect(both.domains.get('dom_f')?.presets).toEqual(['OWNER', 'VIEWER']);
    expect(decide(both, 'secret.list', inFinance).because).toEqual(['preset:OWNER']);
  });
});

describe('decide on a scope', () => {
  it.each<[Preset, Action, boolean]>([
    ['OWNER', 'access.manage', true],
    ['MAINTAINER', 'access.manage', false],
    ['MAINTAINER', 'secret.manage', true],
    ['MEMBER', 'secret.manage', false],
    ['MEMBER', 'secret.list', true],
    ['MEMBER', 'spark-job.create', true],
    ['MEMBER', 'integration.create', false],
    ['MEMBER', 'bundle.create', false],
    ['VIEWER', 'secret.list', true],
    ['VIEWER', 'spark-job.create', false],
    ['VIEWER', 'domain.view', true],
  ])('%s: %s is %s', (preset, action, allow) => {
    const decision = decide(member(preset), action, inFinance);
    expect([decision.allow, decision.because[0]?.startsWith('preset:')]).toEqual([allow, allow]);
  });

  it('names what is missing', () => {
    expect(decide(member('MEMBER'), 'secret.manage', inFinance).because).toEqual(['missing:MANAGE_SECRETS']);
    expect(decide(snapshotOf(), 'secret.manage', inFinance).because).toEqual(['no-standing']);
    expect(decide(withRoles('READ_ONLY_ADMIN'), 'secret.manage', inFinance).because).toEqual([
      'missing:MANAGE_SECRETS',
    ]);
    expect(decide(snapshotOf(), 'domain.create', { kind: 'platform' }).because).toEqual([
      'missing-role:PLATFORM_ADMIN',
      'missing-role:DOMAIN_MANAGER',
    ]);
  });

  it('lets everybody see the global scope, and administrators alone the admin scope', () => {
    expect(decide(snapshotOf(), 'secret.list', globalScope)).toEqual({ allow: true, because: ['everyone'] });
    expect(decide(snapshotOf(), 'secret.manage', globalScope).allow).toBe(false);
    expect(decide(member('OWNER'), 'domain.view', adminScope).allow).toBe(false);
    expect(decide(withRoles('SECRETS_ADMIN'), 'secret.manage', adminScope).because).toEqual(['role:SECRETS_ADMIN']);
    expect(decide(withRoles('PLATFORM_ADMIN'), 'secret.manage', globalScope).because).toEqual(['role:PLATFORM_ADMIN']);
  });

  it('lets a domain manager do in every domain what an owner may, without a row there', () => {
    const manager = withRoles('DOMAIN_MANAGER');
    for (const action of actions.filter((each) => actionTable[each].on === 'scope')) {
      const asOwner = decide(member('OWNER'), action, inFinance).allow;
      expect([action, decide(manager, action, inFinance).allow]).toEqual([action, asOwner]);
    }
    expect(decide(manager, 'spark-job.run', about(job)).because).toEqual(['role:DOMAIN_MANAGER', 'bundle:default']);
    expect(isDomainOwner(manager, 'dom_f')).toBe(true);
  });
});

describe('decide on an asset', () => {
  it.each<[Preset, Action, AssetRef, boolean]>([
    ['MEMBER', 'secret.use', secret, true],
    ['VIEWER', 'secret.use', secret, false],
    ['VIEWER', 'spark-job.view', job, true],
    ['VIEWER', 'spark-job.run', job, false],
    ['MEMBER', 'spark-job.update', job, true],
    ['MEMBER', 'spark-job.delete', job, true],
    ['MEMBER', 'integration.view', { ...job, type: 'integration' }, true],
    ['MEMBER', 'integration.update', { ...job, type: 'integration' }, false],
    ['MAINTAINER', 'integration.update', { ...job, type: 'integration' }, true],
  ])('%s on the default bundle: %s', (preset, action, asset, allow) => {
    expect(decide(member(preset), action, about(asset)).allow).toBe(allow);
    // No preset reaches into another bundle.
    expect(decide(member(preset), action, about({ ...asset, bundleIds: ['bnd_x'] })).allow).toBe(false);
  });

  it('goes through a grant on the asset’s bundle, of its type and permission', () => {
    const granted = snapshotOf({
      tag: 'bundle-grant',
      scope: 'dom_f',
      first: 'bnd_x',
      second: 'secret',
      third: '["USE"]',
    });
    expect(decide(granted, 'secret.use', about({ ...secret, bundleIds: ['bnd_w', 'bnd_x'] }))).toEqual({
      allow: true,
      because: ['grant:USE', 'bundle:bnd_x'],
    });
    expect(decide(granted, 'secret.use', about(secret)).because).toEqual(['missing:USE', 'bundle:default']);
    expect(
      decide(granted, 'integration.use', about({ ...secret, type: 'integration', bundleIds: ['bnd_x'] })).allow,
    ).toBe(false);
  });

  it('gives the owner of a bundle everything on its assets', () => {
    const owner = snapshotOf({ tag: 'owned-bundle', scope: 'dom_f', first: 'bnd_x' });
    expect(decide(owner, 'spark-job.delete', about({ ...job, bundleIds: ['bnd_x'] }))).toEqual({
      allow: true,
      because: ['bundle-owner', 'bundle:bnd_x'],
    });
    expect(decide(owner, 'spark-job.delete', about(job)).allow).toBe(false);
  });

  it('needs the assignment of a Global secret as well as USE', () => {
    expect(decide(member('OWNER'), 'secret.use', about({ ...secret, isAssigned: false })).because).toEqual([
      'not-assigned',
    ]);
    expect(decide(member('MEMBER'), 'secret.use', about({ ...secret, isAssigned: true })).allow).toBe(true);
    expect(decide(member('VIEWER'), 'secret.use', about({ ...secret, isAssigned: true })).allow).toBe(false);
  });

  it('says no-standing before anything about the asset', () => {
    expect(decide(snapshotOf(), 'secret.use', about({ ...secret, isAssigned: false })).because).toEqual([
      'no-standing',
    ]);
  });

  it('refuses an action of another type and an asset in no bundle', () => {
    expect(decide(member('OWNER'), 'spark-job.run', about(secret)).because).toEqual(['wrong-resource']);
    expect(decide(member('OWNER'), 'spark-job.run', inFinance).because).toEqual(['wrong-resource']);
    expect(decide(member('OWNER'), 'spark-job.run', about({ ...job, bundleIds: [] })).allow).toBe(false);
  });
});

describe('bad input', () => {
  it('refuses the disabled everything', () => {
    const disabled = snapshotOf(
      { tag: 'actor', first: 'usr_1', second: 'user', third: '["PLATFORM_ADMIN"]', number: 1 },
      { tag: 'member', scope: 'dom_f', first: 'OWNER' },
    );
    for (const action of actions) {
      const { on } = actionTable[action];
      const resource: Resource = on === 'platform' ? { kind: 'platform' } : on === 'scope' ? inFinance : about(job);
      expect(decide(disabled, action, resource)).toEqual({ allow: false, because: ['disabled'] });
    }
    expect(isDomainOwner(disabled, 'dom_f')).toBe(false);
  });

  it.each(['__proto__', 'constructor', 'toString', 'SECRET.USE', ''])('knows no action %j', (word) => {
    expect(decide(withRoles('PLATFORM_ADMIN'), word as Action, inFinance).because).toEqual(['wrong-resource']);
  });

  it.each(['owner', 'Owner', '__proto__', 'constructor', 'OWNER '])('gives nothing for the stored word %j', (word) => {
    expect(decide(snapshotOf({ tag: 'member', scope: 'dom_f', first: word }), 'secret.list', inFinance).allow).toBe(
      false,
    );
    expect(decide(snapshotOf({ tag: 'grant', scope: 'dom_f', first: word }), 'secret.list', inFinance).allow).toBe(
      false,
    );
    expect(decide(withRoles(word), 'domain.create', { kind: 'platform' }).allow).toBe(false);
    const granted = snapshotOf({ tag: 'bundle-grant', scope: 'dom_f', first: 'bnd_f', second: word, third: '["USE"]' });
    expect(decide(granted, 'secret.use', about(secret)).allow).toBe(false);
  });

  it('keeps domains apart whose ids are names of object properties', () => {
    const strange = snapshotOf({ tag: 'member', scope: '__proto__', first: 'OWNER' });
    expect(decide(strange, 'secret.list', { kind: 'scope', scope: { ...finance, id: '__proto__' } }).allow).toBe(true);
    expect(decide(strange, 'secret.list', { kind: 'scope', scope: { ...finance, id: 'constructor' } }).because).toEqual(
      ['no-standing'],
    );
    expect(decide(strange, 'secret.list', inFinance).because).toEqual(['no-standing']);
  });
});

describe('seeing', () => {
  it('a secret: by listing secrets or by any right on it; an unassigned Global one only by a right', () => {
    expect(sees(member('VIEWER'), about({ ...secret, bundleIds: ['bnd_x'] }))).toBe(true);
    expect(sees(member('VIEWER'), about({ ...secret, isAssigned: false }))).toBe(false);
    expect(sees(snapshotOf(), about(secret))).toBe(false);
  });

  it('a job: by any right on it', () => {
    const runner = snapshotOf({
      tag: 'bundle-grant',
      scope: 'dom_f',
      first: 'bnd_x',
      second: 'spark-job',
      third: '["RUN"]',
    });
    expect(sees(runner, about({ ...job, bundleIds: ['bnd_x'] }))).toBe(true);
    expect(sees(runner, about(job))).toBe(false);
    expect(sees(member('OWNER'), about({ ...job, bundleIds: ['bnd_x'] }))).toBe(false);
  });
});

describe('actions of an item', () => {
  it('carry a reason where they are refused', () => {
    expect(actionsOn(member('VIEWER'), ['spark-job.view', 'spark-job.run'], about(job))).toEqual([
      { action: 'spark-job.view', allowed: true },
      {
        action: 'spark-job.run',
        allowed: false,
        reason: 'It needs RUN on spark-job nightly, through a bundle that holds it',
      },
    ]);
    expect(actionsOn(member('MEMBER'), ['secret.manage'], inFinance)).toEqual([
      { action: 'secret.manage', allowed: false, reason: 'It needs MANAGE_SECRETS in domain finance' },
    ]);
  });
});
