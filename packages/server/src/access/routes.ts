import type { bundleRoutes, explainRoutes, grantRoutes, memberRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../http/handler.ts';
import type { BundleAssets } from './bundle-assets.ts';
import type { Bundles } from './bundles.ts';
import type { Explain } from './explain.ts';
import type { Members } from './members.ts';

export function memberHandlers(members: Members): HandlersOf<typeof memberRoutes> {
  return {
    listMembers: async ({ caller, scope, query }) => ({ body: await members.list(caller, scope, query) }),
    addMember: async ({ caller, scope, query, body, idempotency }) => ({
      body:
        query.dryRun === true
          ? await members.preview(caller, scope, body)
          : await members.add(caller, scope, body, idempotency),
    }),
    putMember: async ({ caller, scope, params, query, body }) => ({
      body:
        query.dryRun === true
          ? await members.previewPut(caller, scope, params.principal, body.preset)
          : await members.put(caller, scope, params.principal, body.preset),
    }),
    deleteMember: async ({ caller, scope, params }) => {
      await members.delete(caller, scope, params.principal);
      return {};
    },
  };
}

export function grantHandlers(members: Members): HandlersOf<typeof grantRoutes> {
  return {
    listGrants: async ({ caller, scope, query }) => ({ body: await members.listGrants(caller, scope, query) }),
    addGrant: async ({ caller, scope, query, body, idempotency }) => ({
      body:
        query.dryRun === true
          ? await members.previewGrant(caller, scope, body)
          : await members.addGrant(caller, scope, body, idempotency),
    }),
    deleteGrant: async ({ caller, scope, params }) => {
      await members.deleteGrant(caller, scope, params.grant);
      return {};
    },
  };
}

export function bundleHandlers(bundles: Bundles, assets: BundleAssets): HandlersOf<typeof bundleRoutes> {
  return {
    listBundles: async ({ caller, scope, query }) => ({ body: await bundles.list(caller, scope, query) }),
    createBundle: async ({ caller, scope, query, body, idempotency }) => {
      if (query.dryRun === true) return { body: await bundles.previewCreation(caller, scope, body) };
      const bundle = await bundles.create(caller, scope, body, idempotency);
      return { body: bundle, etag: bundle.revision };
    },
    showBundle: async ({ caller, scope, params }) => {
      const bundle = await bundles.get(caller, scope, params.bundle);
      return { body: bundle, etag: bundle.revision };
    },
    updateBundle: async ({ caller, scope, params, query, body, ifMatch }) => {
      if (query.dryRun === true)
        return { body: await bundles.previewUpdate(caller, scope, params.bundle, body, ifMatch) };
      const bundle = await bundles.update(caller, scope, params.bundle, body, ifMatch);
      return { body: bundle, etag: bundle.revision };
    },
    deleteBundle: async ({ caller, scope, params, query, ifMatch }) => {
      const force = query.force === true;
      await bundles.delete(
        caller,
        scope,
        params.bundle,
        ifMatch === undefined ? { force } : { force, expectedRevision: ifMatch },
      );
      return {};
    },
    listBundleGrants: async ({ caller, scope, params, query }) => ({
      body: await bundles.listGrants(caller, scope, params.bundle, query),
    }),
    addBundleGrant: async ({ caller, scope, params, query, body, idempotency }) => ({
      body:
        query.dryRun === true
          ? await bundles.previewGrant(caller, scope, params.bundle, body)
          : await bundles.putGrant(caller, scope, params.bundle, body, idempotency),
    }),
    deleteBundleGrant: async ({ caller, scope, params }) => {
      await bundles.deleteGrant(caller, scope, params.bundle, params.grant);
      return {};
    },
    listBundleAssets: async ({ caller, scope, params, query }) => ({
      body: await assets.list(caller, scope, params.bundle, query),
    }),
    addBundleAsset: async ({ caller, scope, params, query, body, idempotency }) => ({
      body:
        query.dryRun === true
          ? await assets.preview(caller, scope, params.bundle, body)
          : await assets.add(caller, scope, params.bundle, body, idempotency),
    }),
    moveBundleAsset: async ({ caller, scope, params, body }) => ({
      body: await assets.move(caller, scope, params.bundle, params.asset, body.bundle),
    }),
    deleteBundleAsset: async ({ caller, scope, params }) => {
      await assets.delete(caller, scope, params.bundle, params.asset);
      return {};
    },
  };
}

export function explainHandlers(explain: Explain): HandlersOf<typeof explainRoutes> {
  return { explain: async ({ caller, body }) => ({ body: await explain.explain(caller, body) }) };
}
