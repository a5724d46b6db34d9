import type { RouteDeclaration } from '../route.ts';
import { bundleRoutes, grantRoutes, memberRoutes } from './access.ts';
import { domainRoutes } from './domains.ts';
import { explainRoutes } from './explain.ts';
import { auditRoutes } from './audit.ts';
import { authRoutes } from './auth.ts';
import { groupRoutes, userRoutes } from './identities.ts';
import { integrationRoutes } from './integrations.ts';
import { impactRoutes } from './impact.ts';
import { keyRoutes } from './keys.ts';
import { domainServiceAccountRoutes, serviceAccountRoutes } from './service-accounts.ts';
import { clusterRoutes } from './clusters.ts';
import { connectionRoutes } from './connections.ts';
import { emailRoutes, ldapRoutes } from './platform-surfaces.ts';
import { workloadRoutes } from './workloads.ts';
import { placeholderRoutes, platformPlaceholderRoutes } from './placeholders.ts';
import { adminNoticeRoutes, domainNoticeRoutes, globalNoticeRoutes } from './notices.ts';
import { profileRoutes } from './profiles.ts';
import { operationRoutes } from './operation.ts';
import { launchRoutes } from './launches.ts';
import { runRoutes } from './runs.ts';
import {
  computeClusterRoutes,
  notebookRoutes,
  referenceRoutes,
  sparkJobRoutes,
  storageConfigRoutes,
} from './surfaces.ts';
import { secretRoutes } from './secrets.ts';

/** Every route of the API: the server registers these, the OpenAPI document and the client are made from them. */
export const routes = [
  ...domainRoutes,
  ...memberRoutes,
  ...grantRoutes,
  ...bundleRoutes,
  ...explainRoutes,
  ...authRoutes,
  ...userRoutes,
  ...groupRoutes,
  ...serviceAccountRoutes,
  ...domainServiceAccountRoutes,
  ...keyRoutes,
  ...secretRoutes,
  ...integrationRoutes,
  ...impactRoutes,
  ...adminNoticeRoutes,
  ...globalNoticeRoutes,
  ...domainNoticeRoutes,
  ...profileRoutes,
  ...clusterRoutes,
  ...workloadRoutes,
  ...auditRoutes,
  ...operationRoutes,
  ...sparkJobRoutes,
  ...computeClusterRoutes,
  ...notebookRoutes,
  ...storageConfigRoutes,
  ...connectionRoutes,
  ...emailRoutes,
  ...ldapRoutes,
  ...referenceRoutes,
  ...placeholderRoutes,
  ...platformPlaceholderRoutes,
  ...runRoutes,
  ...launchRoutes,
] as const satisfies readonly RouteDeclaration[];
