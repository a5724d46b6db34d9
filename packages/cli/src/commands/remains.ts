import type { Cli } from '../cli.ts';
import { count } from '../output/text.ts';
import type { Impact } from './impact.ts';

type Remains = NonNullable<Impact['remains']>;

/** Rows that one answer shows; --json has all. */
const maxShown = 50;

/** `1 single grant, 2 grants on bundles, 1 bundle of its own`. */
function remainsText({ grants, bundleGrants, bundles }: Remains): string {
  return [
    ...(grants.length > 0 ? [count(grants.length, 'single grant')] : []),
    ...(bundleGrants.length > 0 ? [count(bundleGrants.length, 'grant on a bundle', 'grants on bundles')] : []),
    ...(bundles.length > 0 ? [count(bundles.length, 'bundle of its own', 'bundles of its own')] : []),
  ].join(', ');
}

/** `CREATE_JOB`, `USE on each secret of the bundle etl`, `the bundle own as its owner`. */
export function keptNames({ grants, bundleGrants, bundles }: Remains): string[] {
  return [...grants.map(grantName), ...bundleGrants.map(bundleGrantName), ...bundles.map(bundleName)];
}

const grantName = ({ permission }: Remains['grants'][number]): string => permission;
const bundleGrantName = ({ bundle, assetType, permissions }: Remains['bundleGrants'][number]): string =>
  `${permissions.join(', ')} on each ${assetType} of the bundle ${bundle}`;
const bundleName = (bundle: string): string => `the bundle ${bundle} as its owner`;

/** What somebody has in a domain beside its preset, each with the command that ends it. */
export function printRemains(
  output: Cli['output'],
  remains: Remains | undefined,
  principal: string,
  domain: string,
): void {
  if (remains === undefined) return;
  output.note(`${principal} keeps ${remainsText(remains)} in ${domain}, until that is ended, too`);
  const rows = [
    ...remains.grants.map((each) => [grantName(each), `strongroom grant remove ${each.id} --domain ${domain}`]),
    ...remains.bundleGrants.map((each) => [
      bundleGrantName(each),
      `strongroom bundle revoke ${each.bundle} ${each.id} --domain ${domain}`,
    ]),
    ...remains.bundles.map((bundle) => [
      bundleName(bundle),
      `strongroom bundle edit ${bundle} --domain ${domain} --owner PRINCIPAL`,
    ]),
  ];
  output.table([{ title: 'KEEPS', canWrap: true }, { title: 'ENDED BY' }], rows.slice(0, maxShown));
  if (rows.length > maxShown) output.note(`and ${rows.length - maxShown} more; --json names all`);
}
