import {
  actionTable,
  assetAction,
  formatReference,
  isAction,
  isShortAction,
  parseReference,
  platformSurfaceActions,
  platformSurfaces,
  reservedSourceName,
  shortActions,
  StrongroomError,
  type Action,
  type AssetType,
  type Reference,
  type ShortAction,
} from '@strongroom/contract';
import { isAssetType } from './snapshot.ts';

type PlatformSurface = (typeof platformSurfaces)[number];

/** What a question is about: a key, a configuration of a domain or of the platform, or nothing but the place. */
export type Subject =
  | { readonly kind: 'reference'; readonly reference: Reference; readonly text: string }
  | { readonly kind: 'configuration'; readonly type: AssetType; readonly name: string; readonly text: string }
  | { readonly kind: 'platform'; readonly type: PlatformSurface; readonly text: string }
  | { readonly kind: 'place'; readonly text: null };

/** @throws StrongroomError `reference_malformed`, `validation_failed` */
export function readSubject(question: { readonly reference?: string; readonly asset?: string }): Subject {
  const { reference: referenceText, asset } = question;
  if (referenceText !== undefined && asset !== undefined)
    throw invalid('/asset', 'Ask about a reference or an asset, not both.');
  if (referenceText !== undefined) return referenceSubject(parseReference(referenceText));
  if (asset === undefined) return { kind: 'place', text: null };
  const slash = asset.indexOf('/');
  const [type, name] = [asset.slice(0, slash), asset.slice(slash + 1)];
  const surface = platformSurfaces.find((each) => each === type);
  if (surface !== undefined) {
    // There is one of each, under its own name.
    if (name !== surface) throw invalid('/asset', `The platform has one ${surface}: ${surface}/${surface}.`);
    return { kind: 'platform', type: surface, text: asset };
  }
  if (!isAssetType(type)) throw invalid('/asset', 'The part before the slash is a type of asset, such as spark-job.');
  if (type === 'secret') return referenceSubject({ scope: 'domain', source: reservedSourceName, key: name });
  return { kind: 'configuration', type, name, text: asset };
}

function referenceSubject(reference: Reference): Subject {
  return { kind: 'reference', reference, text: formatReference(reference) };
}

/**
 * The actions of the table that a question comes to; all must be allowed. `resolve` of a reference needs RESOLVE and USE.
 * @throws StrongroomError `validation_failed` when the word says nothing about this subject
 */
export function readActions(word: string, subject: Subject): readonly [Action, ...Action[]] {
  const action = isShortAction(word)
    ? shortMeaning[word](subject)
    : isAction(word) && fits(word, subject)
      ? word
      : undefined;
  if (action === undefined) {
    const fitting = shortActions.filter((each) => shortMeaning[each](subject) !== undefined);
    throw invalid('/action', `This action does not fit what is asked about. What does: ${fitting.join(', ')}.`);
  }
  return word === 'resolve' && subject.kind === 'reference' ? [action, useOf(subject)] : [action];
}

const shortMeaning: Readonly<Record<ShortAction, (subject: Subject) => Action | undefined>> = {
  use: (subject) => {
    if (subject.kind === 'reference') return useOf(subject);
    // The server uses it by itself: what is asked is whether it could, of who may see it.
    if (subject.kind === 'platform') return platformSurfaceActions[subject.type].view;
    return subject.kind === 'configuration'
      ? (assetAction(subject.type, 'USE') ?? assetAction(subject.type, 'CONSUME'))
      : undefined;
  },
  run: (subject) =>
    subject.kind === 'configuration'
      ? (assetAction(subject.type, 'RUN') ?? assetAction(subject.type, 'EXECUTE'))
      : undefined,
  view: (subject) => {
    if (subject.kind === 'configuration') return assetAction(subject.type, 'VIEW');
    if (subject.kind === 'platform') return platformSurfaceActions[subject.type].view;
    return subject.kind === 'reference' ? 'secret.list' : 'domain.view';
  },
  manage: (subject) => {
    if (subject.kind === 'configuration') return assetAction(subject.type, 'UPDATE');
    if (subject.kind === 'platform') return platformSurfaceActions[subject.type].manage;
    return subject.kind === 'reference' ? 'secret.manage' : 'access.manage';
  },
  list: (subject) => {
    if (subject.kind === 'configuration') return assetAction(subject.type, 'VIEW');
    return subject.kind === 'platform' ? platformSurfaceActions[subject.type].view : 'secret.list';
  },
  resolve: (subject) => (subject.kind === 'configuration' || subject.kind === 'platform' ? undefined : 'launch.create'),
};

function useOf({ reference }: Extract<Subject, { kind: 'reference' }>): Action {
  return reference.source === reservedSourceName ? 'secret.use' : 'integration.use';
}

function fits(action: Action, subject: Subject): boolean {
  const row = actionTable[action];
  if (subject.kind === 'platform') return row.on === 'platform';
  if (row.on !== 'asset') return true;
  if (subject.kind === 'reference')
    return row.type === (subject.reference.source === reservedSourceName ? 'secret' : 'integration');
  return subject.kind === 'configuration' && row.type === subject.type;
}

function invalid(pointer: string, message: string): StrongroomError {
  return new StrongroomError('validation_failed', { errors: [{ pointer, message }] });
}
