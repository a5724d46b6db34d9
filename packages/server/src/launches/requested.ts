import type { Reference } from '@strongroom/contract';
import { timeText } from '../surfaces/views.ts';
import type { LaunchRow } from './rows.ts';
import type { AuthorisedWanted } from './wanted.ts';

/** What `launches.requested` holds. */
interface Requested {
  readonly name: string;
  readonly pointer: string;
  readonly reference: Reference;
  readonly text: string;
  readonly kind: AuthorisedWanted['kind'];
  readonly authorisers: readonly string[];
  readonly sourceId: string | null;
  readonly ownedBy?: string;
}

export function toRequested({
  name,
  pointer,
  reference,
  text,
  kind,
  authorisers,
  sourceId,
  ownedBy,
}: AuthorisedWanted): Requested {
  const owner = ownedBy === undefined ? {} : { ownedBy };
  return { name, pointer, reference, text, kind, authorisers, sourceId, ...owner };
}

/** Texts of `launches.requested` that were read lately: a workload asks for the same at each of its launches. */
const requestedTexts = new Map<string, readonly AuthorisedWanted[]>();
const maxRequestedTexts = 500;

/** What a launch asks for. */
export function readRequested({ requested }: Pick<LaunchRow, 'requested'>): readonly AuthorisedWanted[] {
  const known = requestedTexts.get(requested);
  if (known !== undefined) return known;
  const wanted: readonly AuthorisedWanted[] = JSON.parse(requested) as Requested[];
  if (requestedTexts.size >= maxRequestedTexts) requestedTexts.clear();
  requestedTexts.set(requested, wanted);
  return wanted;
}

const timeTexts = new Map<number, string>();
const maxTimeTexts = 64;

/** RFC 3339. Deliveries of one batch say the same times. */
export function deliveryTime(milliseconds: number): string {
  const known = timeTexts.get(milliseconds);
  if (known !== undefined) return known;
  if (timeTexts.size >= maxTimeTexts) timeTexts.clear();
  const text = timeText(milliseconds);
  timeTexts.set(milliseconds, text);
  return text;
}
