import type { ObjectKind } from '../kind.ts';
import { grantKind, memberKind } from './access.ts';
import { bundleKind } from './bundle.ts';
import { configurationKinds } from './configuration.ts';
import { domainKind } from './domain.ts';
import { integrationKind } from './integration.ts';
import { platformKinds } from './platform.ts';
import { secretKind } from './secret.ts';

/** Everything that a directory of manifests may be about. */
export const objectKinds: readonly ObjectKind[] = [
  domainKind,
  memberKind,
  grantKind,
  bundleKind,
  integrationKind,
  secretKind,
  ...configurationKinds,
  ...platformKinds,
];
